#include "nn/batch_norm.hpp"

namespace nn {

template <class Scalar, class Activation>
BatchNorm<Scalar, Activation>::BatchNorm(const bn::Options& options, Eigen::Index pixels)
    : norm_(options), pixels_(pixels) {}

template <class Scalar, class Activation>
void BatchNorm<Scalar, Activation>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  y.resizeLike(x);
  norm_.forward(joined(x), joined(y), {.across = ranks_});
}

template <class Scalar, class Activation>
void BatchNorm<Scalar, Activation>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy,
                                             Matrix<Scalar>* dx) {
  if (!dx) dx = &unused_;
  dx->resizeLike(x);
  norm_.backward(joined(x), joined(dy), joined(*dx), {.across = ranks_});
}

template <class Scalar, class Activation>
void BatchNorm<Scalar, Activation>::for_each_parameter(const ParameterVisitor<Scalar>& visit) {
  norm_.for_each_parameter(visit);
}

template <class Scalar, class Activation>
void BatchNorm<Scalar, Activation>::for_each_statistics(const StatisticsVisitor<Scalar>& visit) {
  visit(norm_.moments(), norm_.running());
}

template <class Scalar, class Activation>
void BatchNorm<Scalar, Activation>::set_mode(bn::Mode mode) {
  norm_.set_mode(mode);
}

template <class Scalar, class Activation>
void BatchNorm<Scalar, Activation>::set_across(const bn::Reducer* ranks) {
  ranks_ = ranks;
}

template <class Scalar, class Activation>
Eigen::Map<Matrix<Scalar>> BatchNorm<Scalar, Activation>::joined(Matrix<Scalar>& x) const {
  return {x.data(), x.rows() / pixels_, x.cols() * pixels_};
}

template <class Scalar, class Activation>
Eigen::Map<const Matrix<Scalar>> BatchNorm<Scalar, Activation>::joined(const Matrix<Scalar>& x) const {
  return {x.data(), x.rows() / pixels_, x.cols() * pixels_};
}

template class BatchNorm<float>;
template class BatchNorm<float, bn::relu>;
template class BatchNorm<float, bn::sigmoid>;
template class BatchNorm<double>;
template class BatchNorm<double, bn::relu>;
template class BatchNorm<double, bn::sigmoid>;

}  // namespace nn
