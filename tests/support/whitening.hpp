/// \file
/// Whitening of small batches: data, a layer, and how far results may lie apart.
#pragma once

#include <batchnorm/whitening/whitening_norm.hpp>

#include "kernels_whitening.hpp"
#include "values.hpp"

namespace testing_support::whitening {

namespace bn = batchnorm;
using bn::WhiteningMethod;
using Layer = bn::WhiteningNorm<double>;
using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// For sums of a few dozen products and inverses of matrices of condition 100 at most: 2^-52 * 100 * 36 is 8e-13.
inline constexpr double rounding = 1e-12;

inline constexpr WhiteningMethod both_methods[] = {WhiteningMethod::eigen, WhiteningMethod::newton};

inline Matrix normal(Index rows, Index columns, std::uint64_t seed) {
  Random random(seed);
  return Matrix::NullaryExpr(rows, columns, [&] { return random.normal(); });
}

/// Channels that go together: unit noise, mixed, off the origin.
inline Matrix correlated(Index samples, Index channels, std::uint64_t seed) {
  const Matrix mix = Matrix::Identity(channels, channels) + 0.3 * normal(channels, channels, seed + 100);
  return (normal(samples, channels, seed) * mix).rowwise() + normal(1, channels, seed + 200).row(0);
}

inline Eigen::MatrixXd covariance(const Matrix& x) {
  const Matrix centered = x.rowwise() - x.colwise().mean();
  return centered.transpose() * centered / double(x.rows());
}

inline double distance(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b) { return double(max_abs(a - b)); }

/// With other parameters and running statistics than a layer begins with.
inline Layer make(const bn::WhiteningOptions& options) {
  Layer layer(options);
  Random random(11);
  for (auto* values : {&layer.affine().gamma, &layer.affine().beta, &layer.running().mean})
    for (double& value : *values) value = random.uniform(0.5, 1.5);
  const Index size = options.channels / options.groups;
  for (Index group = 0; group < options.groups; ++group)
    layer.running().covariance.middleRows(group * size, size) =
        covariance(correlated(20, size, 12 + std::uint64_t(group)));
  return layer;
}

inline bool same_state(const Layer& a, const Layer& b) {
  return a.running().mean.matrix() == b.running().mean.matrix() && a.running().covariance == b.running().covariance &&
         a.running().batches == b.running().batches && a.running().skipped == b.running().skipped &&
         a.moments().scatter == b.moments().scatter && a.whitening() == b.whitening() &&
         a.gradients().gamma.matrix() == b.gradients().gamma.matrix() &&
         a.gradients().beta.matrix() == b.gradients().beta.matrix();
}

}  // namespace testing_support::whitening
