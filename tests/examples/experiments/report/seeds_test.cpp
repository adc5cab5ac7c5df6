#include "experiments/report/seeds.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "experiments/report/text.hpp"

namespace seeds_test {

TEST(Seeds, DeviationIsThatOfASample) {
  EXPECT_DOUBLE_EQ(report::mean({1, 3, 5}), 3);
  EXPECT_DOUBLE_EQ(report::standard_deviation({1, 3, 5}), 2) << "the root of (4 + 0 + 4) / 2";
  EXPECT_EQ(report::standard_deviation({4, 4}), 0);
  EXPECT_TRUE(std::isnan(report::standard_deviation({1})));
  EXPECT_TRUE(std::isnan(report::standard_deviation({1, report::none})));
  EXPECT_TRUE(std::isnan(report::standard_deviation({1, report::diverged})));
  EXPECT_EQ(report::mean({1, report::diverged}), report::diverged);
}

TEST(Seeds, BeyondNoiseIsBeyondStudentsT) {
  EXPECT_DOUBLE_EQ(report::standard_error({1, 3}), 1);
  EXPECT_EQ(report::with_standard_error({1, 3}, 1), "2.0 +-1.0");
  EXPECT_TRUE(std::isnan(report::standard_error({1})));
  EXPECT_FALSE(report::is_beyond_noise({5})) << "one value says nothing about noise";
  EXPECT_FALSE(report::is_beyond_noise({1, 1.2})) << "for two values 11 standard errors are not enough";
  EXPECT_TRUE(report::is_beyond_noise({-1, -1.1}));
  EXPECT_FALSE(report::is_beyond_noise({1, 2, 3, -1}));
  EXPECT_TRUE(report::is_beyond_noise({1, 2, 3, 2}));
}

TEST(Seeds, OverSeeds) {
  EXPECT_EQ(report::over_seeds({0.5}, 2), "0.50");
  EXPECT_EQ(report::over_seeds({0.5, 0.7}, 2), "0.60 +-0.14");
  EXPECT_EQ(report::over_seeds({1000, 3000}, 0), "2,000 +-1,414");
  EXPECT_EQ(report::over_seeds({0.5, report::none}, 2), "-");
}

TEST(Seeds, OverSeedsOfWhichSomeDivergedThereIsNoMean) {
  const double diverged = report::diverged;
  EXPECT_EQ(report::over_seeds({diverged}, 4), "diverged");
  EXPECT_EQ(report::over_seeds({diverged, diverged}, 4), "diverged");
  EXPECT_EQ(report::over_seeds({0.5, diverged, 0.7}, 4), "1 of 3 diverged");
  EXPECT_EQ(report::over_seeds({diverged, report::none}, 0), "1 of 2 diverged");
  EXPECT_EQ(report::over_seeds({diverged}, 0), "diverged");
  EXPECT_EQ(report::mean_over_seeds({0.5, 0.7}, 2), "0.60");
  EXPECT_EQ(report::mean_over_seeds({0.5, diverged}, 2), "1 of 2 diverged");
  EXPECT_EQ(report::with_standard_error({1, diverged}, 1), "1 of 2 diverged");
  EXPECT_FALSE(report::is_beyond_noise({1, diverged, 1}));
}

}  // namespace seeds_test
