#pragma once

#include "nn/dense.hpp"
#include "nn/patches.hpp"

namespace nn {

/// A convolution (rather, as everywhere, a correlation): at each position of the window the dense layer of what it
/// sees.
///
/// Shapes: x [samples * pixels, channels], y [samples * positions, outputs]: see shape.hpp. Images of one channel may
/// come as [samples, pixels] too, which are the same bytes.
template <class Scalar>
class Convolution final : public Layer<Scalar> {
 public:
  /// Weights and biases start at 0: see initialize_weights().
  Convolution(const Shape& image, Eigen::Index outputs, const Window& window = {}, Bias bias = Bias::yes);

  const Shape& output_shape() const { return output_; }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;
  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override;
  void initialize(Normal& normal, const Deviation& deviation) override;

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

  Eigen::Index samples_of(const Matrix<Scalar>& x) const;

  /// Calls body(first sample, samples, room for their patches).
  template <class Body>
  void for_each_block(const Matrix<Scalar>& x, const Body& body);

  Shape image_, output_;
  Patches<Scalar> patches_;
  bool is_dense_;
  Dense<Scalar> dense_;
  Eigen::Index samples_at_once_;
  Matrix<Scalar> buffer_;
};

extern template class Convolution<float>;
extern template class Convolution<double>;

}  // namespace nn
