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

  explicit WhiteningNorm(const bn::WhiteningOptions& options) : norm_(options) {}

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    y.resizeLike(x);
    norm_.forward(x, y);
  }

  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    if (!dx) dx = &unused_;
    dx->resizeLike(x);
    norm_.backward(x, dy, *dx);
  }

  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override { norm_.for_each_parameter(visit); }

  bool is_finite() override {
    return Layer<Scalar>::is_finite() && norm_.running().mean.allFinite() && norm_.running().covariance.allFinite();
  }

  void set_mode(bn::Mode mode) override { norm_.set_mode(mode); }

  /// The library's layer, for its statistics.
  Norm& norm() { return norm_; }

 private:
  Norm norm_;
  Matrix<Scalar> unused_;
};

}  // namespace nn
