/// \file
/// The averages that tables show.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

namespace benchmarks {

inline constexpr double not_measured = std::numeric_limits<double>::quiet_NaN();

/// The median of what was measured; NaN if nothing was.
inline double median(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return not_measured;
  const auto middle = values.begin() + std::ptrdiff_t(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

/// The geometric mean of what was measured; NaN if nothing was.
inline double geometric_mean(const std::vector<double>& values) {
  double sum = 0, count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += std::log(value);
    ++count;
  }
  return count > 0 ? std::exp(sum / count) : not_measured;
}

/// The median of ratios within one round each: what drifts from round to round cancels.
inline double median_ratio(const std::vector<double>& numerators, const std::vector<double>& denominators) {
  std::vector<double> ratios(numerators.size());
  std::transform(numerators.begin(), numerators.end(), denominators.begin(), ratios.begin(), std::divides<>());
  return median(std::move(ratios));
}

}  // namespace benchmarks
