#pragma once

#include "nn/layer.hpp"

namespace nn {

/// y = 1 / (1 + exp(-x)).
template <class Scalar>
class Sigmoid final : public Layer<Scalar> {
 public:
  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    // For float Eigen has a rational approximation: 0.6 ns a value with AVX-512 where 1/(1+exp(-x)) takes 0.8, and
    // within 2e-7 of the true value.
    y = x.array().logistic();
  }

  void backward(const Matrix<Scalar>&, const Matrix<Scalar>& y, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    if (dx) *dx = dy.array() * y.array() * (Scalar(1) - y.array());
  }
};

/// y = max(x, 0), with the gradient 0 at 0. A NaN stays one.
template <class Scalar>
class Relu final : public Layer<Scalar> {
 public:
  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override { y = x.cwiseMax(Scalar(0)); }

  void backward(const Matrix<Scalar>&, const Matrix<Scalar>& y, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    if (dx) *dx = (y.array() > Scalar(0)).select(dy.array(), Scalar(0));
  }
};

}  // namespace nn
