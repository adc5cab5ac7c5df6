/// \file
/// The two sums per channel that all gradients of batch normalization are made of.
#pragma once

#include <batchnorm/core/parameters.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// Sums over the values of each channel, kept in double. Parts add up to the whole, over threads and ranks.
///
///   dy_c = sum_i dz_ci        dy_x_c = sum_i dz_ci (x_ci - mean_c)
///
/// where dz is dy, times the derivative of a fused activation.
///
/// Shapes   dy, dy_x: [C]
struct GradientSums {
  /// Of dz.
  Eigen::ArrayXd dy;
  /// Of dz times the distance of x from the mean.
  Eigen::ArrayXd dy_x;

  /// Of no channels.
  GradientSums() = default;
  /// Sums over no values.
  explicit GradientSums(Index channels) { set_zero(detail::state_size("GradientSums", channels)); }

  /// The same, for so many channels.
  void set_zero(Index channels) {
    dy.setZero(channels);
    dy_x.setZero(channels);
  }

  /// Makes these the sums over both sets together.
  GradientSums& add(const GradientSums& other) {
    dy += other.dy;
    dy_x += other.dy_x;
    return *this;
  }
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
