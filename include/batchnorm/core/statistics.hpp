/// \file
/// What a pass normalizes with, wherever it came from.
#pragma once

#include <batchnorm/base/packet.hpp>
#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/running_statistics.hpp>

#include <limits>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// Mean and 1 / standard deviation of each channel: of a batch, of a running average, or numbers of your own. All
/// functions with explicit state normalize with these; statistics() makes them.
///
/// Shapes   mean, inv_std: [C]
/// Units    mean: those of x; inv_std: 1 / those of x
struct Statistics {
  /// What is subtracted from x.
  Eigen::ArrayXd mean;
  /// What x - mean is multiplied by.
  Eigen::ArrayXd inv_std;
  /// The values per channel of the batch that these are the statistics of: backward goes through them. 0: constants,
  /// of which dx = dz * gamma * inv_std.
  double count = 0;

  /// How many.
  Index channels() const { return mean.size(); }
};

namespace detail {

/// Statistics where they lie: inv_std is there, or a spread of which it is made.
///
///   inv_std = 1 / sqrt(spread / divisor + epsilon)
///
/// NaN where the spread is infinite, that of numbers whose squares are no doubles: 0 would make them beta without a
/// word.
struct StatisticsView {
  /// Null: 0 everywhere.
  const Eigen::ArrayXd* means;
  const Eigen::ArrayXd* spreads;
  /// 0: the spreads are inv_std already.
  double divisor, epsilon;
  /// As in Statistics.
  double count;

  StatisticsView(const Statistics& statistics)
      : means(&statistics.mean), spreads(&statistics.inv_std), divisor(0), epsilon(0), count(statistics.count) {}
  /// Of a batch of `count` values per channel, whose moments may be computed later, before they are read.
  StatisticsView(const Moments& moments, double count_, double epsilon_)
      : means(&moments.mean), spreads(&moments.m2), divisor(count_), epsilon(epsilon_), count(count_) {}
  StatisticsView(const RunningStatistics& running, double epsilon_)
      : means(&running.mean), spreads(&running.variance), divisor(1), epsilon(epsilon_), count(0) {}

  /// The same spread about 0.
  StatisticsView without_mean() const {
    StatisticsView result = *this;
    result.means = nullptr;
    return result;
  }

  /// Of the channels c, c + 1, ...
  Packet<double> mean(Index c, auto lanes) const {
    const auto zero = Packet<double>::broadcast(0);
    return means ? lanes.load(means->data() + c, zero) : zero;
  }
  Packet<double> inv_std(Index c, auto lanes) const {
    using V = Packet<double>;
    const V one = V::broadcast(1), spread = lanes.load(spreads->data() + c, one);
    if (divisor == 0) return spread;
    const V variance = divisor == 1 ? spread : spread / V::broadcast(divisor);
    const V root = one / sqrt(variance + V::broadcast(epsilon));
    return select_less_equal(spread, V::broadcast(std::numeric_limits<double>::max()), root,
                             V::broadcast(std::numeric_limits<double>::quiet_NaN()));
  }
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
