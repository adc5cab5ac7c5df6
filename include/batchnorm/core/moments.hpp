/// \file
/// The statistics of a set of values, in the form that can be merged.
#pragma once

#include <batchnorm/base/error.hpp>
#include <batchnorm/base/finite.hpp>
#include <batchnorm/core/parameters.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// The statistics of `count` values in each channel, kept in double. Parts merge into the whole, so statistics over
/// threads, ranks, sub-batches and time are all made of this.
///
///   mean_c = (1/count) sum_i x_ci        m2_c = sum_i (x_ci - mean_c)^2
///
/// Shapes   mean, m2: [C]
/// Units    mean: those of x; m2: those of x squared
struct Moments {
  /// Values per channel, or the sum of their weights.
  double count = 0;
  /// The mean.
  Eigen::ArrayXd mean;
  /// The sum of the squared distances from the mean.
  Eigen::ArrayXd m2;

  /// Of no channels.
  Moments() = default;
  /// The moments of no values at all.
  explicit Moments(Index channels)
      : mean(Eigen::ArrayXd::Zero(detail::state_size("Moments", channels))), m2(Eigen::ArrayXd::Zero(channels)) {}

  /// How many.
  Index channels() const { return mean.size(); }

  /// The batch variance that normalizes: m2 / count.
  Eigen::ArrayXd variance() const { return m2 / count; }

  /// The estimate of the population's variance: m2 / (count - 1).
  Eigen::ArrayXd unbiased_variance() const { return m2 / (count - 1); }

  /// Whether no channel's mean or m2 is NaN or infinite.
  bool all_finite() const { return detail::all_finite(mean) && detail::all_finite(m2); }

  /// Makes these the moments of both sets together.
  ///
  ///   mean = mean_a + d * n_b / n        m2 = m2_a + m2_b + d^2 * n_a * n_b / n
  ///
  /// where d = mean_b - mean_a and n = n_a + n_b.
  ///
  /// Source   Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample Variance", equation 2.1.
  /// Throws   std::invalid_argument if both have values and their channels differ
  Moments& merge(const Moments& other) {
    if (other.count == 0) return *this;
    if (count == 0) return *this = other;
    if (other.mean.size() != channels() || other.m2.size() != channels() || m2.size() != channels()) {
      detail::fail("Moments::merge(other): expected ", channels(), " channels as in mean, got ", m2.size(), " in m2, ",
                   other.mean.size(), " in other.mean and ", other.m2.size(), " in other.m2");
    }
    const double fraction = other.count / (count + other.count);
    const double weight = count * fraction;
    for (Index c = 0; c < channels(); ++c) {
      const double distance = other.mean[c] - mean[c];
      m2[c] += other.m2[c] + distance * distance * weight;
      mean[c] += distance * fraction;
    }
    count += other.count;
    return *this;
  }
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
