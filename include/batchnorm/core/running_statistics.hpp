/// \file
/// The statistics that inference normalizes with.
#pragma once

#include <batchnorm/core/averaging.hpp>
#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/options.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

namespace detail {

/// running = (1 - weight) * running + weight * sums / divisor; with weight 1 the batch, whatever was there before.
template <class Running, class Sums>
void blend(Running& running, const Sums& sums, double divisor, double weight) {
  double* const values = running.data();
  for (Index k = 0; k < running.size(); ++k) {
    const double batch = sums.data()[k] / divisor;
    values[k] = weight == 1.0 ? batch : (1.0 - weight) * values[k] + weight * batch;
  }
}

inline double variance_divisor(double count, RunningVariance kind) {
  return kind == RunningVariance::unbiased ? count - 1 : count;
}

/// The first channel whose mean or m2 is not finite, or the number of channels.
inline Index find_non_finite(const Moments& moments) {
  Index c = 0;
  while (c < moments.channels() && is_finite(moments.mean[c]) && is_finite(moments.m2[c])) ++c;
  return c;
}

inline constexpr const char* remedy_of_values =
    "; they were assigned, or blended in under NonFinite::propagate: assign others, or gather them anew";

/// Refuses running statistics that make no y: a mean that is NaN or infinite, a variance that is, or is negative.
template <class Mean, class Variances>
void check_values(const char* call, const Mean& mean, const Variances& variance_of) {
  for (Index c = 0; c < mean.size(); ++c) {
    const double variance = variance_of(c);
    if (is_finite(mean[c]) && is_variance(variance)) continue;
    fail(call, ": expected running statistics with a finite mean and a finite variance >= 0, got mean ", mean[c],
         " and variance ", variance, " in channel ", c, remedy_of_values);
  }
}

}  // namespace detail

/// Averages of batch means and variances over training, kept in double: what inference normalizes with. In float an
/// average stalls where a batch changes it by less than a unit in the last place.
///
/// Starts at mean 0, variance 1, batches 0.
struct RunningStatistics {
  /// [C].
  Eigen::ArrayXd mean;
  /// [C], of the estimate that Options::running_variance names.
  Eigen::ArrayXd variance;
  /// Batches that were blended in.
  std::int64_t batches = 0;
  /// Batches that were left out.
  std::int64_t skipped = 0;

  /// Mean 0 and variance 1, before any batch.
  explicit RunningStatistics(Index channels)
      : mean(Eigen::ArrayXd::Zero(detail::state_size("RunningStatistics", channels))),
        variance(Eigen::ArrayXd::Ones(channels)) {}

  /// Updates with one batch, atomically: all channels or none. Returns whether it did.
  ///
  ///   mean     = (1 - w) * mean     + w * moments.mean
  ///   variance = (1 - w) * variance + w * moments.m2 / (count - 1)        w = averaging.weight(batches)
  ///
  /// A batch with one value per channel has no variance to learn from: it is skipped. With `biased` the divisor is
  /// `count`.
  ///
  /// What is not finite would stay for ever, so running statistics that are not usable are refused, but under
  /// NonFinite::propagate and where the new batch has all the weight.
  ///
  /// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.1 and Algorithm 2, step 10 (the factor m / (m - 1)).
  /// Throws   std::invalid_argument if the channels differ, if moments are not finite under NonFinite::error, or if the
  ///          running statistics that they are blended into have a value that is not finite or a variance below zero
  bool update(const Moments& moments, const Averaging& averaging, RunningVariance kind = RunningVariance::unbiased,
              NonFinite non_finite = NonFinite::skip) {
    check(moments, averaging, non_finite);
    if (averaging == none()) return false;
    if (moments.count < 2 || (non_finite == NonFinite::skip && !moments.all_finite())) {
      ++skipped;
      return false;
    }
    const double weight = averaging.weight(batches);
    detail::blend(mean, moments.mean, 1, weight);
    detail::blend(variance, moments.m2, detail::variance_divisor(moments.count, kind), weight);
    ++batches;
    return true;
  }

  /// Throws what update() would throw.
  void check(const Moments& moments, const Averaging& averaging, NonFinite non_finite) const {
    const Index channels = mean.size();
    if (variance.size() != channels || moments.mean.size() != channels || moments.m2.size() != channels) {
      detail::fail("RunningStatistics::update(moments): expected ", channels, " channels as in mean, got ",
                   variance.size(), " in variance, ", moments.mean.size(), " in moments.mean and ", moments.m2.size(),
                   " in moments.m2");
    }
    check_blendable("RunningStatistics::update(moments)", averaging, non_finite);
    if (non_finite != NonFinite::error || moments.count < 2 || moments.all_finite()) return;
    const Index c = detail::find_non_finite(moments);
    detail::fail("RunningStatistics::update(moments): expected finite statistics, got mean ", moments.mean[c],
                 " and m2 ", moments.m2[c], " in channel ", c, "; NonFinite::skip leaves such a batch out");
  }

  /// Throws std::invalid_argument, naming the channel, unless all means are finite and all variances finite and not
  /// negative: what inference needs. `call` begins the message.
  void check_usable(const char* call) const {
    if (detail::all_finite_without_sign(mean, variance)) return;
    detail::check_values(call, mean, [&](Index c) { return variance[c]; });
  }

  /// The same where a batch is to be blended in that would leave nonsense as it is.
  void check_blendable(const char* call, const Averaging& averaging, NonFinite non_finite) const {
    if (non_finite == NonFinite::propagate || averaging == none() || averaging.weight(batches) == 1.0) return;
    check_usable(call);
  }
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
