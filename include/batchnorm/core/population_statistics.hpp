/// \file
/// The paper's Algorithm 2: statistics of the training set for inference.
#pragma once

#include <batchnorm/core/running_statistics.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

namespace detail {
class Meeting;
}

/// Which variance stands for that of the population.
enum class PopulationVariance {
  mean_of_batches,  ///< the mean of the batches' variances: the paper's Algorithm 2, what training normalized with
  of_all_values     ///< that of all values about their common mean: it has the spread between batches too
};

/// Configuration of PopulationStatistics; those settings that Options has too mean the same.
struct PopulationOptions {
  /// The divisor: m - 1 or m of each batch, or that of the number of all values.
  RunningVariance running_variance = RunningVariance::unbiased;
  /// What becomes of a batch that is not finite.
  NonFinite non_finite = NonFinite::error;
  /// Of a batch with one value per channel, which has no variance for mean_of_batches: all but `error` leave it out and
  /// count it in skipped(). For of_all_values it is a value like others.
  SingleValue single_value = SingleValue::error;
  /// Which variance is taken for that of the population.
  PopulationVariance variance = PopulationVariance::mean_of_batches;

  /// Whether all settings are alike.
  friend constexpr bool operator==(const PopulationOptions&, const PopulationOptions&) = default;
};

/// Mean and variance over the training set, gathered batch by batch while the parameters stand still.
///
///   mean     = sum_B m_B mean_B / sum_B m_B
///   variance = sum_B m_B (m2_B / (m_B - 1)) / sum_B m_B        m_B = values per channel in batch B
///
/// For batches of equal size these are the paper's E[x] = E_B[mean_B] and Var[x] = m/(m-1) E_B[variance_B]. With
/// of_all_values the variance is, over all n = sum_B m_B values,
///
///   variance = sum_B (m2_B + m_B (mean_B - mean)^2) / (n - 1)
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2, steps 8 to 10.
class PopulationStatistics {
 public:
  /// Of no batches.
  explicit PopulationStatistics(Index channels, const PopulationOptions& options = {})
      : options_(options),
        all_(detail::state_size("PopulationStatistics", channels)),
        variance_(Eigen::ArrayXd::Zero(channels)) {}

  /// As given.
  const PopulationOptions& options() const { return options_; }
  /// How many.
  Index channels() const { return all_.channels(); }

  /// Takes one batch in, or leaves it out as the options say.
  ///
  /// Throws   std::invalid_argument if the channels differ, if there is no value, if there is one value per channel
  ///          under SingleValue::error, or if the moments are not finite under NonFinite::error; nothing has changed
  ///          then
  void add(const Moments& moments) {
    check(moments);
    if (is_too_small(moments) || (options_.non_finite == NonFinite::skip && !moments.all_finite())) {
      ++skipped_;
    } else if (options_.variance == PopulationVariance::mean_of_batches) {
      take_in(moments, moments.m2, detail::variance_divisor(moments.count, options_.running_variance), 1);
    } else {
      take_in(moments, variance_, 1, 1);
    }
  }

  /// Takes in what another has gathered, on another thread or rank: but for rounding as if its batches were added here.
  ///
  /// Throws   std::invalid_argument if channels or options differ; nothing has changed then
  PopulationStatistics& merge(const PopulationStatistics& other) {
    if (other.channels() != channels()) {
      detail::fail("PopulationStatistics::merge(other): expected ", channels(), " channels, got ", other.channels());
    }
    if (other.options_ != options_) {
      detail::fail("PopulationStatistics::merge(other): expected the same options, got others; construct both alike");
    }
    take_in(other.all_, other.variance_, 1, other.batches_);
    skipped_ += other.skipped_;
    return *this;
  }

  /// Batches taken in so far.
  std::int64_t batches() const { return batches_; }
  /// Batches left out so far.
  std::int64_t skipped() const { return skipped_; }
  /// Values per channel taken in so far.
  double count() const { return all_.count; }

  /// What a layer's running statistics are to become.
  ///
  /// Throws   std::invalid_argument if no batch was taken in, or a single value of which no variance can be taken
  RunningStatistics statistics() const {
    if (batches_ == 0) {
      detail::fail("PopulationStatistics::statistics(): expected at least one batch, got none and ", skipped_,
                   " that were left out; call add() first");
    }
    if (all_.count < 2) {
      detail::fail("PopulationStatistics::statistics(): expected at least 2 values per channel, got ", all_.count,
                   "; add() more");
    }
    RunningStatistics result(channels());
    result.mean = all_.mean;
    if (options_.variance == PopulationVariance::mean_of_batches) {
      result.variance = variance_;
    } else {
      result.variance = all_.m2 / detail::variance_divisor(all_.count, options_.running_variance);
    }
    result.batches = batches_;
    result.skipped = skipped_;
    return result;
  }

 private:
  friend class detail::Meeting;  // which hands it from rank to rank

  void check(const Moments& moments) const {
    if (moments.mean.size() != channels() || moments.m2.size() != channels()) {
      detail::fail("PopulationStatistics::add(moments): expected ", channels(), " channels, got ", moments.mean.size(),
                   " in moments.mean and ", moments.m2.size(), " in moments.m2");
    }
    if (moments.count < 1) {
      detail::fail("PopulationStatistics::add(moments): expected at least 1 value per channel, got ", moments.count);
    }
    if (is_too_small(moments) && options_.single_value == SingleValue::error) {
      detail::fail(
          "PopulationStatistics::add(moments): expected at least 2 values per channel to take the variance of, got ",
          moments.count,
          "; use larger batches, another single_value, which leaves such a batch out, or "
          "PopulationVariance::of_all_values");
    }
    if (options_.non_finite != NonFinite::error || moments.all_finite()) return;
    const Index c = detail::find_non_finite(moments);
    detail::fail("PopulationStatistics::add(moments): expected finite statistics, got mean ", moments.mean[c],
                 " and m2 ", moments.m2[c], " in channel ", c, "; NonFinite::skip leaves such a batch out");
  }

  bool is_too_small(const Moments& moments) const {
    return moments.count < 2 && options_.variance == PopulationVariance::mean_of_batches;
  }

  /// Takes in the values of some batches, and sums / divisor, the mean of their variances.
  void take_in(const Moments& moments, const Eigen::ArrayXd& sums, double divisor, std::int64_t batches) {
    if (moments.count == 0) return;
    const double count = moments.count;
    all_.merge(moments);
    for (Index c = 0; c < channels(); ++c) variance_[c] += count / all_.count * (sums[c] / divisor - variance_[c]);
    batches_ += batches;
  }

  PopulationOptions options_;
  /// Of all values together.
  Moments all_;
  /// The mean of the batches' variances.
  Eigen::ArrayXd variance_;
  std::int64_t batches_ = 0, skipped_ = 0;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
