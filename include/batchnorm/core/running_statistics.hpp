/// \file
/// The statistics that inference normalises with.
#pragma once

#include <batchnorm/core/averaging.hpp>
#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/options.hpp>

namespace batchnorm::inline BATCHNORM_ABI {

namespace detail {

/// running = (1 - weight) * running + weight * batch, computed in double.
template <class Running, class Batch>
void blend(Running& running, const Batch& batch, double weight) {
  using Scalar = typename Running::Scalar;
  running = ((1.0 - weight) * running.template cast<double>() + weight * batch).template cast<Scalar>();
}

inline double variance_divisor(Index count, RunningVariance kind) {
  return static_cast<double>(kind == RunningVariance::unbiased ? count - 1 : count);
}

/// The first channel whose mean or variance is not finite, or the number of channels; for counts of 2 and more.
inline Index find_non_finite(const Moments& moments, RunningVariance kind) {
  const double divisor = variance_divisor(moments.count, kind);
  Index c = 0;
  while (c < moments.channels() && std::isfinite(moments.mean[eigen_index(c)]) &&
         std::isfinite(moments.m2[eigen_index(c)] / divisor)) {
    ++c;
  }
  return c;
}

}  // namespace detail

/// Averages of batch means and variances over training: what inference normalises with.
///
/// Starts at mean 0, variance 1, batches 0.
struct RunningStatistics {
  Eigen::ArrayXd mean, variance;
  /// Batches that were blended in, and batches that were left out.
  std::int64_t batches = 0, skipped = 0;

  explicit RunningStatistics(Index channels)
      : mean(Eigen::ArrayXd::Zero(detail::eigen_index(channels))),
        variance(Eigen::ArrayXd::Ones(detail::eigen_index(channels))) {}

  /// Blends one batch in, wholly or not at all; returns whether it did.
  ///
  ///   mean     = (1 - w) * mean     + w * moments.mean
  ///   variance = (1 - w) * variance + w * moments.m2 / (count - 1)        w = averaging.weight(batches)
  ///
  /// A batch with one value per channel has no variance to learn from: it is skipped. With `biased` the divisor is
  /// `count`.
  ///
  /// Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.1 and Algorithm 2, step 10 (the factor m / (m - 1)).
  /// Throws   std::invalid_argument if the channels differ, or if moments are not finite under NonFinite::error
  bool update(const Moments& moments, const Averaging& averaging, RunningVariance kind = RunningVariance::unbiased,
              NonFinite non_finite = NonFinite::skip) {
    check(moments, kind, non_finite);
    if (averaging == none()) return false;
    if (moments.count < 2 || (non_finite == NonFinite::skip && detail::find_non_finite(moments, kind) < mean.size())) {
      ++skipped;
      return false;
    }
    const double weight = averaging.weight(batches);
    detail::blend(mean, moments.mean, weight);
    detail::blend(variance, moments.m2 / detail::variance_divisor(moments.count, kind), weight);
    ++batches;
    return true;
  }

  /// Throws what update() would throw.
  void check(const Moments& moments, RunningVariance kind, NonFinite non_finite) const {
    const Index channels = mean.size();
    if (variance.size() != channels || moments.mean.size() != channels || moments.m2.size() != channels) {
      detail::fail("RunningStatistics::update(moments): expected ", channels, " channels as in mean, got ",
                   variance.size(), " in variance, ", moments.mean.size(), " in moments.mean and ", moments.m2.size(),
                   " in moments.m2");
    }
    if (non_finite != NonFinite::error || moments.count < 2) return;
    const Index c = detail::find_non_finite(moments, kind);
    if (c == channels) return;
    detail::fail("RunningStatistics::update(moments): expected finite statistics, got mean ",
                 moments.mean[detail::eigen_index(c)], " and m2 ", moments.m2[detail::eigen_index(c)], " in channel ",
                 c, "; NonFinite::skip leaves such a batch out");
  }
};

}  // namespace batchnorm::inline BATCHNORM_ABI
