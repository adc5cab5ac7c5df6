#pragma once

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

  explicit LocalResponseNorm(const Options& options = {});

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  /// dx[i] = dy[i] base[i]^-beta - 2 beta alpha / size x[i] * sum of dy[j] x[j] base[j]^(-beta - 1).
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;

 private:
  using Values = Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

  void base(const Matrix<Scalar>& x);

  /// sums[i] = the terms of the channels up to `reach` away.
  void add_neighbors(const Values& terms, Values& sums) const;

  Eigen::Index reach_;
  Scalar weight_, beta_, k_;
  Values terms_, sums_, base_;
};

extern template class LocalResponseNorm<float>;
extern template class LocalResponseNorm<double>;

}  // namespace nn
