/// \file
/// Statistics of channels together: what RunningStatistics and Moments are to batch normalization, for whitening.
#pragma once

#include <batchnorm/core/running_statistics.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// One square matrix for each group of channels, one below the other: row c has the covariances of channel c with the
/// channels of its group.
///
/// Shapes   [C, C / groups]
using GroupedMatrix = Eigen::MatrixXd;

namespace detail {

/// The matrix of one group.
template <class Matrix>
auto group_of(Matrix& grouped, Index group) {
  return grouped.middleRows(group * grouped.cols(), grouped.cols());
}

}  // namespace detail

/// The mean of `count` values in each channel, and the products of their deviations within each group, in double.
///
///   mean_c = (1/count) sum_i x_ci        scatter_cd = sum_i (x_ci - mean_c) (x_di - mean_d)
///
/// Shapes   mean: [C]; scatter: [C, C / groups]
/// Units    mean: those of x; scatter: those of x squared
struct CovarianceMoments {
  /// Values per channel.
  double count = 0;
  /// [C].
  Eigen::VectorXd mean;
  /// The products of deviations, group below group.
  GroupedMatrix scatter;
};

/// Averages of batch means and covariances over training, in double: what inference whitens with.
///
/// Starts at mean 0, covariance I, batches 0. Updated with cumulative() over batches of one size, while the parameters
/// stand still, it becomes the population statistics of the paper's Algorithm 2.
///
/// Shapes   mean: [C]; covariance: [C, C / groups]
struct RunningCovariance {
  /// [C].
  Eigen::ArrayXd mean;
  /// Group below group.
  GroupedMatrix covariance;
  /// Batches that were blended in.
  std::int64_t batches = 0;
  /// Batches that were left out.
  std::int64_t skipped = 0;

  /// Mean 0 and covariance I, before any batch.
  ///
  /// Throws   std::invalid_argument unless groups >= 1 divide channels >= 0
  explicit RunningCovariance(Index channels, Index groups = 1)
      : mean(Eigen::ArrayXd::Zero(detail::state_size("RunningCovariance", channels))) {
    if (groups < 1 || channels % groups != 0) {
      detail::fail("RunningCovariance(groups): expected a divisor of the ", channels, " channels, got ", groups);
    }
    covariance = GroupedMatrix::Identity(channels / groups, channels / groups).replicate(groups, 1);
  }

  /// Updates with one batch, atomically: all channels or none. Returns whether it did.
  ///
  ///   mean       = (1 - w) * mean       + w * moments.mean
  ///   covariance = (1 - w) * covariance + w * moments.scatter / (count - 1)        w = averaging.weight(batches)
  ///
  /// A batch with one value per channel is skipped. With `biased` the divisor is `count`. What the batch is blended
  /// into is checked as by RunningStatistics::update.
  ///
  /// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.1; Huang et al. 2018, arXiv:1804.08450, section 3.2.
  /// Throws   std::invalid_argument if sizes differ, if moments are not finite under NonFinite::error, or if the
  ///          running statistics that they are blended into have a value that is not finite or a variance below zero
  bool update(const CovarianceMoments& moments, const Averaging& averaging,
              RunningVariance kind = RunningVariance::unbiased, NonFinite non_finite = NonFinite::skip) {
    check(moments, averaging, non_finite);
    if (averaging == none()) return false;
    if (moments.count < 2 || (non_finite == NonFinite::skip && !all_finite(moments))) {
      ++skipped;
      return false;
    }
    const double weight = averaging.weight(batches);
    detail::blend(mean, moments.mean, 1, weight);
    detail::blend(covariance, moments.scatter, detail::variance_divisor(moments.count, kind), weight);
    ++batches;
    return true;
  }

  /// Throws what update() would throw.
  void check(const CovarianceMoments& moments, const Averaging& averaging, NonFinite non_finite) const {
    check_sizes("RunningCovariance::update(moments)");
    if (moments.mean.size() != mean.size() || moments.scatter.rows() != covariance.rows() ||
        moments.scatter.cols() != covariance.cols()) {
      detail::fail("RunningCovariance::update(moments): expected a mean of ", mean.size(), " and a scatter of [",
                   covariance.rows(), ", ", covariance.cols(), "], got ", moments.mean.size(), " and [",
                   moments.scatter.rows(), ", ", moments.scatter.cols(), "]");
    }
    check_blendable("RunningCovariance::update(moments)", averaging, non_finite);
    if (non_finite != NonFinite::error || moments.count < 2 || all_finite(moments)) return;
    detail::fail(
        "RunningCovariance::update(moments): expected finite statistics, got others; NonFinite::skip leaves such a "
        "batch out");
  }

  /// Throws std::invalid_argument, naming the channel, unless all means and covariances are finite and no variance is
  /// negative: what inference needs. `call` begins the message.
  void check_usable(const char* call) const {
    check_sizes(call);
    const auto variance_of = [&](Index c) { return covariance(c, c % covariance.cols()); };
    detail::check_values(call, mean, variance_of);
    if (detail::all_finite(covariance)) return;
    for (Index c = 0; c < covariance.rows(); ++c) {
      for (Index d = 0; d < covariance.cols(); ++d) {
        if (detail::is_finite(covariance(c, d))) continue;
        detail::fail(call, ": expected finite running covariances, got ", covariance(c, d), " of channel ", c,
                     " with channel ", c - c % covariance.cols() + d, detail::remedy_of_values);
      }
    }
  }

  /// The same where a batch is to be blended in that would leave nonsense as it is.
  void check_blendable(const char* call, const Averaging& averaging, NonFinite non_finite) const {
    if (non_finite == NonFinite::propagate || averaging == none() || averaging.weight(batches) == 1.0) return;
    check_usable(call);
  }

 private:
  void check_sizes(const char* call) const {
    const Index channels = mean.size(), rows = covariance.rows(), cols = covariance.cols();
    if (rows == channels && (rows == 0 || (cols > 0 && rows % cols == 0))) return;
    detail::fail(call, ": expected a running covariance of the ", channels,
                 " channels of its mean, group below group, got [", rows, ", ", cols, "]");
  }

  static bool all_finite(const CovarianceMoments& moments) {
    return detail::all_finite(moments.mean) && detail::all_finite(moments.scatter);
  }
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
