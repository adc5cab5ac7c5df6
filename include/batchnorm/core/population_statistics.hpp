/// \file
/// The paper's Algorithm 2: statistics of the training set for inference.
#pragma once

#include <batchnorm/core/running_statistics.hpp>

namespace batchnorm::inline BATCHNORM_ABI {

/// Mean and variance over the training set, gathered batch by batch while the parameters stand still.
///
///   mean     = sum_B m_B mean_B / sum_B m_B
///   variance = sum_B m_B (m2_B / (m_B - 1)) / sum_B m_B        m_B = values per channel in batch B
///
/// For batches of equal size these are the paper's E[x] = E_B[mean_B] and Var[x] = m/(m-1) E_B[variance_B].
///
/// Source: Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2, steps 8 to 10.
class PopulationStatistics {
 public:
  explicit PopulationStatistics(Index channels)
      : mean_(Eigen::ArrayXd::Zero(detail::eigen_index(channels))),
        variance_(Eigen::ArrayXd::Zero(detail::eigen_index(channels))) {}

  /// Takes one batch in.
  ///
  /// Throws   std::invalid_argument if the channels differ, if there are fewer than two values per channel, or if the
  ///          moments are not finite; nothing has changed then
  void add(const Moments& moments) {
    if (moments.mean.size() != mean_.size() || moments.m2.size() != mean_.size()) {
      detail::fail("PopulationStatistics::add(moments): expected ", mean_.size(), " channels, got ",
                   moments.mean.size(), " in moments.mean and ", moments.m2.size(), " in moments.m2");
    }
    if (moments.count < 2) {
      detail::fail("PopulationStatistics::add(moments): expected at least 2 values per channel, got ", moments.count);
    }
    if (const Index c = detail::find_non_finite(moments, RunningVariance::unbiased); c < moments.channels()) {
      detail::fail("PopulationStatistics::add(moments): expected finite statistics, got mean ",
                   moments.mean[detail::eigen_index(c)], " and m2 ", moments.m2[detail::eigen_index(c)], " in channel ",
                   c);
    }
    count_ += moments.count;
    const double weight = static_cast<double>(moments.count) / static_cast<double>(count_);
    mean_ += weight * (moments.mean - mean_);
    variance_ += weight * (moments.unbiased_variance() - variance_);
    ++batches_;
  }

  /// Batches taken in so far.
  std::int64_t batches() const { return batches_; }
  /// Values per channel taken in so far.
  Index count() const { return count_; }

  /// What a layer's running statistics are to become.
  ///
  /// Throws   std::invalid_argument if no batch was added
  RunningStatistics statistics() const {
    if (batches_ == 0)
      detail::fail("PopulationStatistics::statistics(): expected at least one batch, got none; call add() first");
    RunningStatistics result(mean_.size());
    result.mean = mean_;
    result.variance = variance_;
    result.batches = batches_;
    return result;
  }

 private:
  Eigen::ArrayXd mean_, variance_;
  Index count_ = 0;
  std::int64_t batches_ = 0;
};

}  // namespace batchnorm::inline BATCHNORM_ABI
