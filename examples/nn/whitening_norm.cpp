#include "nn/whitening_norm.hpp"

namespace nn {

template <class Scalar>
WhiteningNorm<Scalar>::WhiteningNorm(const bn::WhiteningOptions& options) : norm_(options) {}

template <class Scalar>
void WhiteningNorm<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  y.resizeLike(x);
  norm_.forward(x, y);
}

template <class Scalar>
void WhiteningNorm<Scalar>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy,
                                     Matrix<Scalar>* dx) {
  if (!dx) dx = &unused_;
  dx->resizeLike(x);
  norm_.backward(x, dy, *dx);
}

template <class Scalar>
void WhiteningNorm<Scalar>::for_each_parameter(const ParameterVisitor<Scalar>& visit) {
  norm_.for_each_parameter(visit);
}

template <class Scalar>
bool WhiteningNorm<Scalar>::is_finite() {
  return Layer<Scalar>::is_finite() && norm_.running().mean.allFinite() && norm_.running().covariance.allFinite();
}

template <class Scalar>
void WhiteningNorm<Scalar>::set_mode(bn::Mode mode) {
  norm_.set_mode(mode);
}

template class WhiteningNorm<float>;
template class WhiteningNorm<double>;

}  // namespace nn
