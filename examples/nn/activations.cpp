#include "nn/activations.hpp"

namespace nn {

template <class Scalar>
void Sigmoid<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  // For float Eigen has a rational approximation: 0.6 ns a value with AVX-512 where 1/(1+exp(-x)) takes 0.8, and
  // within 2e-7 of the true value.
  y = x.array().logistic();
}

template <class Scalar>
void Sigmoid<Scalar>::backward(const Matrix<Scalar>&, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                               Matrix<Scalar>* dx) {
  if (dx) *dx = dy.array() * y.array() * (Scalar(1) - y.array());
}

template <class Scalar>
void Relu<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  y = x.cwiseMax(Scalar(0));
}

template <class Scalar>
void Relu<Scalar>::backward(const Matrix<Scalar>&, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                            Matrix<Scalar>* dx) {
  if (dx) *dx = (y.array() > Scalar(0)).select(dy.array(), Scalar(0));
}

template class Sigmoid<float>;
template class Sigmoid<double>;
template class Relu<float>;
template class Relu<double>;

}  // namespace nn
