#include "values.hpp"

#include <limits>

namespace testing_support {

Values random_values(Index count, Index channels, Random& random) {
  Values values(count, channels);
  for (Index c = 0; c < channels; ++c) {
    auto column = values.col(c);
    for (Index i = 0; i < count; ++i) column(i) = random.normal();
    if (count > 1) {
      column -= Real(column.mean());
      const Real deviation = std::sqrt(column.square().mean());
      if (deviation > 0) column /= deviation;
    }
    const double spread = 0.5 + 0.25 * static_cast<double>(c % 8);
    column = column * Real(spread) + Real(spread * random.uniform(-3, 3));
  }
  return values;
}

Values normal_values(Index count, Index channels, Random& random) {
  Values values(count, channels);
  for (Index c = 0; c < channels; ++c) {
    for (Index i = 0; i < count; ++i) values(i, c) = random.normal();
  }
  return values;
}

Real max_abs(const Values& values) {
  if (values.size() == 0 || values.isNaN().any()) return std::numeric_limits<Real>::infinity();
  return values.abs().maxCoeff();
}

PerChannel random_per_channel(Index channels, double low, double high, Random& random) {
  PerChannel values(channels);
  for (Index c = 0; c < channels; ++c) values(c) = random.uniform(low, high);
  return values;
}

}  // namespace testing_support
