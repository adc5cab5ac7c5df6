#pragma once

#include "nn/matrix.hpp"
#include "nn/shape.hpp"

namespace nn {

/// im2col: what a window sees at each of its positions, as the rows of a matrix, so that a convolution is a product.
///
/// Shapes: the patches of some samples are [samples * positions, size * size * channels]; within a row the window's
/// pixels come line by line, each with its channels, as they do in the image. A line of the window is one run of
/// memory.
template <class Scalar>
class Patches {
 public:
  Patches(const Shape& image, const Window& window);

  /// The positions of the window, and how many numbers it sees at each.
  const Shape& shape() const { return positions_; }

  /// Fills `patches` from the samples [first, first + samples) of x; what lies outside of an image is 0.
  void gather(const Matrix<Scalar>& x, Eigen::Index first, Eigen::Index samples, Rows<Scalar> patches) const;

  /// The transpose of gather: adds each number of `patches` to the pixel of x that it was read from.
  void scatter(const ConstRows<Scalar>& patches, Eigen::Index first, Eigen::Index samples, Matrix<Scalar>& x) const;

 private:
  /// Calls visit(row of the patches, offset in it, first pixel seen or -1, columns seen) for each line of each window.
  template <class Visit>
  void for_each_line(Eigen::Index first, Eigen::Index samples, const Visit& visit) const;

  Shape image_;
  Window window_;
  Shape positions_;
};

extern template class Patches<float>;
extern template class Patches<double>;

}  // namespace nn
