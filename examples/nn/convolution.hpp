#pragma once

#include <algorithm>
#include <cassert>

#include "nn/dense.hpp"
#include "nn/patches.hpp"

namespace nn {

/// A convolution (rather, as everywhere, a correlation): at each position of the window the dense layer of what it sees.
///
/// Shapes: x [samples * pixels, channels], y [samples * positions, outputs]: see shape.hpp. Images of one channel may come
/// as [samples, pixels] too, which are the same bytes.
template <class Scalar>
class Convolution final : public Layer<Scalar> {
 public:
  /// Weights and biases start at 0: see initialize_weights().
  Convolution(const Shape& image, Eigen::Index outputs, const Window& window = {}, Bias bias = Bias::yes)
      : image_(image),
        output_(window.slide_over(image, outputs)),
        patches_(image, window),
        is_dense_(window == Window{.size = 1} && image.channels > 1),
        dense_(patches_.shape().channels, outputs, bias),
        samples_at_once_(std::max<Eigen::Index>(1, rows_at_once / output_.pixels())) {}

  const Shape& output_shape() const { return output_; }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    if (is_dense_) return dense_.forward(x, y);
    y.resize(samples_of(x) * output_.pixels(), output_.channels);
    for_each_block(x, [&](Eigen::Index first, Eigen::Index samples, auto& patches) {
      patches_.gather(x, first, samples, patches);
      auto block = rows_of(y, first, samples);
      dense_.multiply(patches, block);
    });
  }

  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override {
    if (is_dense_) return dense_.backward(x, y, dy, dx);
    if (dx) dx->setZero(x.rows(), x.cols());
    for_each_block(x, [&](Eigen::Index first, Eigen::Index samples, auto& patches) {
      patches_.gather(x, first, samples, patches);
      const auto block = rows_of(dy, first, samples);
      dense_.add_gradients(patches, block);
      if (!dx) return;
      dense_.multiply_transposed(block, patches);
      patches_.scatter(patches, first, samples, *dx);
    });
  }

  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override { dense_.for_each_parameter(visit); }

  void initialize(Normal& normal, const Deviation& deviation) override { dense_.initialize(normal, deviation); }

 private:
  /// Patches are nine times as large as their images, so they are made a few samples at a time, while they stay in a
  /// near cache, and made again for the backward pass instead of being kept. Microseconds, forward and backward
  /// together, for 32 samples, 3x3 windows and as many channels out as in; one core of an EPYC (Zen 4, AVX-512), Eigen
  /// 3.4, g++ 12 -O3 -march=native, best of many:
  ///
  ///   images, channels   one product a sample   128 rows at once   one a batch
  ///   14x14, 16          1460                   1456               1480
  ///   14x14, 32          4882                   4877               5027
  ///   14x14, 64          17125                  17129              19471
  ///   7x7, 32            1272                   1218               1216
  ///   4x4, 64            1572                   1366               1354
  static constexpr Eigen::Index rows_at_once = 128;

  Eigen::Index samples_of(const Matrix<Scalar>& x) const {
    assert(x.size() % (image_.pixels() * image_.channels) == 0);
    return x.size() / (image_.pixels() * image_.channels);
  }

  template <class AnyMatrix>
  auto rows_of(AnyMatrix& matrix, Eigen::Index first, Eigen::Index samples) const {
    return matrix.middleRows(first * output_.pixels(), samples * output_.pixels());
  }

  /// Calls body(first sample, samples, room for their patches).
  template <class Body>
  void for_each_block(const Matrix<Scalar>& x, const Body& body) {
    const Eigen::Index samples = samples_of(x), width = patches_.shape().channels;
    buffer_.resize(samples_at_once_ * output_.pixels(), width);
    for (Eigen::Index first = 0; first < samples; first += samples_at_once_) {
      const Eigen::Index count = std::min(samples_at_once_, samples - first);
      auto block = buffer_.topRows(count * output_.pixels());
      body(first, count, block);
    }
  }

  Shape image_, output_;
  Patches<Scalar> patches_;
  bool is_dense_;
  Dense<Scalar> dense_;
  Eigen::Index samples_at_once_;
  Matrix<Scalar> buffer_;
};

}  // namespace nn
