#include "nn/local_response_norm.hpp"

#include <algorithm>
#include <cassert>

namespace nn {

template <class Scalar>
LocalResponseNorm<Scalar>::LocalResponseNorm(const Options& options)
    : reach_(options.size / 2),
      weight_(static_cast<Scalar>(options.alpha / static_cast<double>(options.size))),
      beta_(static_cast<Scalar>(options.beta)),
      k_(static_cast<Scalar>(options.k)) {
  assert(options.size % 2 == 1);
}

template <class Scalar>
void LocalResponseNorm<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  base(x);
  y = x.array() * base_.pow(-beta_);
}

template <class Scalar>
void LocalResponseNorm<Scalar>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                                         Matrix<Scalar>* dx) {
  if (!dx) return;
  base(x);
  terms_ = dy.array() * y.array() / base_;
  *dx = dy.array() * base_.pow(-beta_);
  add_neighbors(terms_, sums_);
  dx->array() -= (2 * beta_ * weight_) * x.array() * sums_;
}

template <class Scalar>
void LocalResponseNorm<Scalar>::base(const Matrix<Scalar>& x) {
  terms_ = x.array().square();
  add_neighbors(terms_, sums_);
  base_ = k_ + weight_ * sums_;
}

template <class Scalar>
void LocalResponseNorm<Scalar>::add_neighbors(const Values& terms, Values& sums) const {
  sums = terms;
  for (Eigen::Index away = 1; away <= std::min(reach_, terms.cols() - 1); ++away) {
    const Eigen::Index width = terms.cols() - away;
    sums.leftCols(width) += terms.rightCols(width);
    sums.rightCols(width) += terms.leftCols(width);
  }
}

template class LocalResponseNorm<float>;
template class LocalResponseNorm<double>;

}  // namespace nn
