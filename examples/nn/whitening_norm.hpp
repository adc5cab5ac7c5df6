#pragma once

#include <batchnorm/whitening/whitening_norm.hpp>

#include "nn/layer.hpp"

namespace nn {

/// The library's whitening as a layer of a network.
///
/// Shapes: x and y [samples, channels]; a pixel of an image is a sample.
template <class Scalar>
class WhiteningNorm final : public Layer<Scalar> {
 public:
  using Norm = bn::WhiteningNorm<Scalar>;

  explicit WhiteningNorm(const bn::WhiteningOptions& options);

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;
  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override;
  bool has_other_state() const override { return true; }
  bool is_finite() override;
  void set_mode(bn::Mode mode) override;

  /// The library's layer, for its statistics.
  Norm& norm() { return norm_; }

 private:
  Norm norm_;
  Matrix<Scalar> unused_;
};

extern template class WhiteningNorm<float>;
extern template class WhiteningNorm<double>;

}  // namespace nn
