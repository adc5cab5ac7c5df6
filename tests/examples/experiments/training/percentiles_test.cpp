#include "experiments/training/percentiles.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace percentiles_test {

using training::PercentileHistory;
using training::UnitPercentiles;

TEST(Percentiles, AreInterpolatedAsNumpyDoes) {
  nn::Matrix<float> values(4, 2);
  values << 4, 10, 1, 10, 3, 10, 2, 10;
  const UnitPercentiles result = training::percentiles_of(values);
  ASSERT_EQ(result.rows(), 2);
  EXPECT_NEAR(result(0, 0), 1.45, 1e-12);  // numpy.percentile([4, 1, 3, 2], [15, 50, 85])
  EXPECT_NEAR(result(0, 1), 2.5, 1e-12);
  EXPECT_NEAR(result(0, 2), 3.55, 1e-12);
  EXPECT_TRUE((result.row(1) == 10).all());
}

TEST(Percentiles, OfOneSample) {
  EXPECT_TRUE((training::percentiles_of(nn::Matrix<float>::Constant(1, 3, 7)) == 7).all());
}

TEST(Percentile, IsAnyOfThem) {
  std::vector<double> values = {4, 1, 3, 2};
  EXPECT_EQ(training::percentile(values, 0), 1);
  EXPECT_EQ(training::percentile(values, 100), 4);
  EXPECT_NEAR(training::percentile(values, 10), 1.3, 1e-12);  // numpy.percentile([4, 1, 3, 2], 10)
  EXPECT_NEAR(training::percentile(values, 90), 3.7, 1e-12);
  values = {5};
  EXPECT_EQ(training::percentile(values, 37), 5);
  values.clear();
  EXPECT_TRUE(std::isnan(training::percentile(values, 50)));
}

PercentileHistory history() {
  PercentileHistory result;
  result.steps = {500, 1000, 1500};
  for (int i = 0; i < 3; ++i) {
    UnitPercentiles values(3, 3);
    // Unit 0: median 0, 1, 0 and spread 2, 2, 2. Unit 1: median 0, 3, 5, spread 1, 2, 3. Unit 2: nothing moves.
    values.row(0) << (i == 1) - 1.0, i == 1, (i == 1) + 1.0;
    values.row(1) << -0.5, (i == 0 ? 0 : 2.0 * i + 1), 0.5 + i;
    values.row(2) << -1, 0, 3;
    result.values.push_back(values);
  }
  return result;
}

TEST(PercentileHistory, Stability) {
  const auto stability = history().stability();
  EXPECT_NEAR(stability.median_range, (1 + 5 + 0) / 3.0, 1e-12);
  EXPECT_NEAR(stability.mean_spread, (2 + 2 + 4) / 3.0, 1e-12);
  // Two changes, each over the spread after it: unit 0 has 1 / 2 and 1 / 2, unit 1 has 3 / 2 and 2 / 3.
  EXPECT_NEAR(stability.median_drift, ((0.5 + 1.5) / 3 + (0.5 + 2 / 3.0) / 3) / 2, 1e-12);
  // Only unit 1's spread changes: 1 / 2, then 1 / 3.
  EXPECT_NEAR(stability.spread_drift, (0.5 / 3 + 1 / 3.0 / 3) / 2, 1e-12);
}

TEST(PercentileHistory, TypicalUnitHasTheMedianRange) { EXPECT_EQ(history().typical_unit(), 0); }

TEST(PercentileHistory, TooShortForStability) {
  PercentileHistory none;
  EXPECT_TRUE(std::isnan(none.stability().median_range));
  EXPECT_EQ(none.typical_unit(), 0);
}

TEST(Percentiles, OfAColumnWithANaNAreNaNAndThoseOfOthersAreNot) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  nn::Matrix<float> values(4, 3);
  values << 4, nan, inf, 1, 10, inf, 3, 10, 1, 2, 10, -inf;
  const UnitPercentiles result = training::percentiles_of(values);
  EXPECT_NEAR(result(0, 1), 2.5, 1e-12);
  EXPECT_TRUE(result.row(1).isNaN().all());
  EXPECT_EQ(result(2, 1), std::numeric_limits<double>::infinity());
  EXPECT_EQ(result(2, 2), std::numeric_limits<double>::infinity()) << "between two infinities";
}

TEST(PercentileHistory, AUnitWithANaNIsNotTypicalAndMakesTheMeanOverTheUnitsNaN) {
  for (const int when : {0, 1, 2}) {
    PercentileHistory broken = history();
    broken.values[static_cast<std::size_t>(when)].row(0).setConstant(std::numeric_limits<double>::quiet_NaN());
    EXPECT_EQ(broken.typical_unit(), 1) << "of the ranges 0, 5 and NaN";
    EXPECT_TRUE(std::isnan(broken.stability().median_range)) << when;
  }
}

}  // namespace percentiles_test
