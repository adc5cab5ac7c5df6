#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "nn/matrix.hpp"

namespace training {

/// Which percentiles of a unit's input the paper's Figure 1(b, c) shows.
inline constexpr int percentiles[] = {15, 50, 85};

/// The value that this many per cent of the values do not exceed, interpolated linearly between neighbors in rank, as
/// numpy does; NaN if a value is, or if there is none. Leaves the values in another order.
template <class Value>
double percentile(std::vector<Value>& values, double percent);

/// For each unit (row) the 15th, 50th and 85th percentile of its values.
using UnitPercentiles = Eigen::Array<double, Eigen::Dynamic, 3>;

/// The percentiles of each column of [samples, units].
UnitPercentiles percentiles_of(const nn::Matrix<float>& values);

/// The percentiles of all units of a layer in the course of training.
struct PercentileHistory {
  std::vector<std::int64_t> steps;
  std::vector<UnitPercentiles> values;  ///< one for each of the steps

  /// How stable the distribution of a unit's input was, each the mean over the units. The spread is p85 - p15; a drift
  /// is the mean absolute change from one checkpoint to the next, over the spread at the time.
  struct Stability {
    double median_range;  ///< the largest median less the smallest
    double median_drift;
    double spread_drift;
    double mean_spread;
  };

  /// NaN with less than two checkpoints.
  Stability stability() const;

  /// The unit whose median has the median range (the largest median less the smallest) among all units: half of the
  /// units were steadier. It was not picked by eye. A NaN counts as the largest range.
  Eigen::Index typical_unit() const;
};

}  // namespace training
