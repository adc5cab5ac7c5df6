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
  ///
  /// Throws   std::invalid_argument if both have channels and these differ
  GradientSums& add(const GradientSums& other) {
    if (other.dy.size() == 0 && other.dy_x.size() == 0) return *this;
    if (dy.size() == 0 && dy_x.size() == 0) return *this = other;
    const Index channels = dy.size();
    if (dy_x.size() != channels || other.dy.size() != channels || other.dy_x.size() != channels) {
      detail::fail("GradientSums::add(other): expected ", channels, " channels as in dy, got ", dy_x.size(),
                   " in dy_x, ", other.dy.size(), " in other.dy and ", other.dy_x.size(), " in other.dy_x");
    }
    dy += other.dy;
    dy_x += other.dy_x;
    return *this;
  }
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
