/// \file
/// Statistics of channels together: what RunningStatistics and Moments are to batch normalisation, for whitening.
#pragma once

#include <batchnorm/core/running_statistics.hpp>

namespace batchnorm::inline BATCHNORM_ABI {

/// One square matrix for each group of channels, one below the other: row c has the covariances of channel c with the
/// channels of its group.
///
/// Shapes   [C, C / groups]
template <class Scalar>
using GroupedMatrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;

namespace detail {

/// The matrix of one group.
template <class Matrix>
auto group_of(Matrix& grouped, Index group) {
  return grouped.middleRows(eigen_index(group) * grouped.cols(), grouped.cols());
}

}  // namespace detail

/// The mean of `count` values in each channel, and the products of their deviations within each group, in double.
///
///   mean_c = (1/count) sum_i x_ci        scatter_cd = sum_i (x_ci - mean_c) (x_di - mean_d)
///
/// Shapes   mean: [C]; scatter: [C, C / groups]
/// Units    mean: those of x; scatter: those of x squared
struct CovarianceMoments {
  Index count = 0;
  Eigen::VectorXd mean;
  GroupedMatrix<double> scatter;
};

/// Averages of batch means and covariances over training: what inference whitens with.
///
/// Starts at mean 0, covariance I, batches 0. Updated with cumulative() over batches of one size, while the parameters
/// stand still, it becomes the population statistics of the paper's Algorithm 2.
///
/// Shapes   mean: [C]; covariance: [C, C / groups]
template <class Scalar>
struct RunningCovariance {
  ChannelArray<Scalar> mean;
  GroupedMatrix<Scalar> covariance;
  /// Batches that were blended in, and batches that were left out.
  std::int64_t batches = 0, skipped = 0;

  explicit RunningCovariance(Index channels, Index groups = 1)
      : mean(ChannelArray<Scalar>::Zero(detail::eigen_index(channels))),
        covariance(GroupedMatrix<Scalar>::Identity(detail::eigen_index(channels / groups),
                                                   detail::eigen_index(channels / groups))
                       .replicate(detail::eigen_index(groups), 1)) {}

  /// Blends one batch in, wholly or not at all; returns whether it did.
  ///
  ///   mean       = (1 - w) * mean       + w * moments.mean
  ///   covariance = (1 - w) * covariance + w * moments.scatter / (count - 1)        w = averaging.weight(batches)
  ///
  /// A batch with one value per channel is skipped. With `biased` the divisor is `count`.
  ///
  /// Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.1; Huang et al. 2018, arXiv:1804.08450, section 3.2.
  /// Throws   std::invalid_argument if sizes differ, or if moments are not finite under NonFinite::error
  bool update(const CovarianceMoments& moments, const Averaging& averaging,
              RunningVariance kind = RunningVariance::unbiased, NonFinite non_finite = NonFinite::skip) {
    check(moments, kind, non_finite);
    if (averaging == none()) return false;
    if (moments.count < 2 || (non_finite == NonFinite::skip && !is_finite(moments, kind))) {
      ++skipped;
      return false;
    }
    const double weight = averaging.weight(batches);
    detail::blend(mean, moments.mean.array(), weight);
    detail::blend(covariance, moments.scatter / detail::variance_divisor(moments.count, kind), weight);
    ++batches;
    return true;
  }

  /// Throws what update() would throw.
  void check(const CovarianceMoments& moments, RunningVariance kind, NonFinite non_finite) const {
    if (moments.mean.size() != mean.size() || moments.scatter.rows() != covariance.rows() ||
        moments.scatter.cols() != covariance.cols()) {
      detail::fail("RunningCovariance::update(moments): expected a mean of ", mean.size(), " and a scatter of [",
                   covariance.rows(), ", ", covariance.cols(), "], got ", moments.mean.size(), " and [",
                   moments.scatter.rows(), ", ", moments.scatter.cols(), "]");
    }
    if (non_finite != NonFinite::error || moments.count < 2 || is_finite(moments, kind)) return;
    detail::fail(
        "RunningCovariance::update(moments): expected finite statistics, got others; NonFinite::skip leaves such a "
        "batch out");
  }

 private:
  static bool is_finite(const CovarianceMoments& moments, RunningVariance kind) {
    return moments.mean.template cast<Scalar>().allFinite() &&
           (moments.scatter / detail::variance_divisor(moments.count, kind)).template cast<Scalar>().allFinite();
  }
};

}  // namespace batchnorm::inline BATCHNORM_ABI
