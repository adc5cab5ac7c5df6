#pragma once

#include "nn/layer.hpp"

namespace nn {

/// y = 1 / (1 + exp(-x)).
template <class Scalar>
class Sigmoid final : public Layer<Scalar> {
 public:
  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;
};

/// y = max(x, 0), with the gradient 0 at 0. A NaN stays one.
template <class Scalar>
class Relu final : public Layer<Scalar> {
 public:
  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;
};

extern template class Sigmoid<float>;
extern template class Sigmoid<double>;
extern template class Relu<float>;
extern template class Relu<double>;

}  // namespace nn
