#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <span>
#include <vector>

#include "data/digits.hpp"
#include "data/distortion.hpp"
#include "data/random.hpp"

namespace data {

/// What the epochs have in common.
enum class Order {
  reshuffled,  ///< nothing: each has an order of its own
  fixed,       ///< everything: the same samples are always together in a batch
};

/// Minibatches: every sample once an epoch, in a random order.
class Batches {
 public:
  /// Batches of `batch` of the samples 0 to count - 1; an epoch's last batch has what is left. The order depends on the
  /// seed alone, not on the compiler. Throws std::invalid_argument unless 1 <= batch <= count.
  Batches(Eigen::Index count, Eigen::Index batch, std::uint64_t seed, Order order = Order::reshuffled);

  /// The next batch's samples; valid until the next call.
  std::span<const Eigen::Index> next();

 private:
  std::size_t batch_;
  std::size_t next_;
  std::vector<Eigen::Index> order_;
  Random random_;
  bool shuffle_ = true;
  bool reshuffle_;
};

/// How a pixel becomes a network's input.
enum class Input {
  gray,    ///< pixel / 255
  binary,  ///< 1 if pixel / 255 > 0.5, else 0
  halved,  ///< the mean of 2x2 pixels, / 255: images of 14x14
};

/// How many numbers an image becomes: 784, or 196 if it is halved.
constexpr Eigen::Index input_pixels(Input input) { return input == Input::halved ? image_pixels / 4 : image_pixels; }

/// A batch of images as floats: row i of `out` is image indices[i]. A column-major matrix with one image per column is
/// passed as `out.transpose()`.
///
/// Shapes: out [indices.size(), input_pixels(input)].
/// Throws std::invalid_argument if `out` has other extents or an index is not one of an image.
void to_float(const Digits& digits, std::span<const Eigen::Index> indices, Input input,
              Eigen::Ref<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> out);

/// The same, each image distorted anew: distort() before it becomes numbers, change_light() after that. Where nothing
/// is to be distorted, nothing is drawn.
void to_float(const Digits& digits, std::span<const Eigen::Index> indices, Input input, const Distortion& most,
              Random& random, Eigen::Ref<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> out);

}  // namespace data
