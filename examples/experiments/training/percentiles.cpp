#include "experiments/training/percentiles.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "experiments/report/text.hpp"

namespace training {
namespace {

/// For each unit the largest median less the smallest; NaN where a median is.
Eigen::ArrayXd median_ranges(const std::vector<UnitPercentiles>& values) {
  Eigen::ArrayXd smallest = values.front().col(1), largest = smallest, sum = smallest;
  for (const UnitPercentiles& value : values) {
    smallest = smallest.min(value.col(1));
    largest = largest.max(value.col(1));
    sum += value.col(1);
  }
  return sum.isNaN().select(sum, largest - smallest);
}

}  // namespace

template <class Value>
double percentile(std::vector<Value>& values, double percent) {
  const bool has_rank = std::ranges::none_of(values, [](Value value) { return std::isnan(value); });
  if (values.empty() || !has_rank) return std::numeric_limits<double>::quiet_NaN();
  const double rank = percent / 100 * static_cast<double>(values.size() - 1);
  const double part = rank - std::floor(rank);
  const auto below = values.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(values.begin(), below, values.end());
  double result = *below;
  if (part > 0) {
    const double above = *std::min_element(below + 1, values.end());
    if (above > *below) result += part * (above - *below);  // not so for two infinities
  }
  return result;
}

template double percentile(std::vector<float>&, double);
template double percentile(std::vector<double>&, double);

UnitPercentiles percentiles_of(const nn::Matrix<float>& values) {
  UnitPercentiles result(values.cols(), 3);
  std::vector<float> unit(static_cast<std::size_t>(values.rows()));
  for (Eigen::Index i = 0; i < values.cols(); ++i) {
    for (Eigen::Index j = 0; j < values.rows(); ++j) unit[static_cast<std::size_t>(j)] = values(j, i);
    for (int p = 0; p < 3; ++p) result(i, p) = percentile(unit, percentiles[p]);
  }
  return result;
}

PercentileHistory::Stability PercentileHistory::stability() const {
  if (values.size() < 2) return {report::none, report::none, report::none, report::none};

  const auto spread_of = [](const UnitPercentiles& value) -> Eigen::ArrayXd { return value.col(2) - value.col(0); };
  double median_drift = 0, spread_drift = 0, spread_sum = spread_of(values.front()).mean();
  for (std::size_t i = 1; i < values.size(); ++i) {
    const Eigen::ArrayXd spread = spread_of(values[i]);
    median_drift += ((values[i].col(1) - values[i - 1].col(1)).abs() / spread).mean();
    spread_drift += ((spread - spread_of(values[i - 1])).abs() / spread).mean();
    spread_sum += spread.mean();
  }
  const auto changes = static_cast<double>(values.size() - 1);
  return {median_ranges(values).mean(), median_drift / changes, spread_drift / changes, spread_sum / (changes + 1)};
}

Eigen::Index PercentileHistory::typical_unit() const {
  if (values.empty()) return 0;
  Eigen::ArrayXd ranges = median_ranges(values);
  ranges = ranges.isNaN().select(std::numeric_limits<double>::infinity(), ranges);
  std::vector<Eigen::Index> units(static_cast<std::size_t>(ranges.size()));
  std::iota(units.begin(), units.end(), 0);
  const auto middle = units.begin() + static_cast<std::ptrdiff_t>((units.size() - 1) / 2);
  std::nth_element(units.begin(), middle, units.end(), [&](Eigen::Index a, Eigen::Index b) {
    return ranges[a] != ranges[b] ? ranges[a] < ranges[b] : a < b;
  });
  return *middle;
}

}  // namespace training
