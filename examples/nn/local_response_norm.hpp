#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>

#include "nn/layer.hpp"

namespace nn {

/// Each value divided by a power of the squares around it, in the neighboring channels of the same pixel:
///
///   y[i] = x[i] / (k + alpha / size * sum of x[j]^2)^beta,  |i - j| <= size / 2
///
/// Source: Krizhevsky, Sutskever & Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks",
/// section 3.3, with alpha as most frameworks have it: over `size`.
template <class Scalar>
class LocalResponseNorm final : public Layer<Scalar> {
 public:
  struct Options {
    Eigen::Index size = 5;  ///< odd
    double alpha = 1e-4, beta = 0.75, k = 1;
  };

  explicit LocalResponseNorm(const Options& options = {})
      : reach_(options.size / 2),
        weight_(static_cast<Scalar>(options.alpha / static_cast<double>(options.size))),
        beta_(static_cast<Scalar>(options.beta)),
        k_(static_cast<Scalar>(options.k)) {
    assert(options.size % 2 == 1);
  }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    base(x);
    y = x.array() * base_.pow(-beta_);
  }

  /// dx[i] = dy[i] base[i]^-beta - 2 beta alpha / size x[i] * sum of dy[j] x[j] base[j]^(-beta - 1).
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override {
    if (!dx) return;
    base(x);
    terms_ = dy.array() * y.array() / base_;
    *dx = dy.array() * base_.pow(-beta_);
    add_neighbors(terms_, sums_);
    dx->array() -= (2 * beta_ * weight_) * x.array() * sums_;
  }

 private:
  using Values = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  void base(const Matrix<Scalar>& x) {
    terms_ = x.array().square();
    add_neighbors(terms_, sums_);
    base_ = k_ + weight_ * sums_;
  }

  /// sums[i] = the terms of the channels up to `reach` away.
  void add_neighbors(const Values& terms, Values& sums) const {
    sums = terms;
    for (Eigen::Index away = 1; away <= std::min(reach_, terms.cols() - 1); ++away) {
      const Eigen::Index width = terms.cols() - away;
      sums.leftCols(width) += terms.rightCols(width);
      sums.rightCols(width) += terms.leftCols(width);
    }
  }

  Eigen::Index reach_;
  Scalar weight_, beta_, k_;
  Values terms_, sums_, base_;
};

}  // namespace nn
