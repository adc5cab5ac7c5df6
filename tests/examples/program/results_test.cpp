#include "program/results.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

program::Run three_tests() {
  program::Run run;
  run.steps = {100, 200, 300};
  run.accuracy = {0.5, 0.9, 0.8};
  return run;
}

TEST(Results, OfOneRun) {
  const program::Run run = three_tests(), nothing;
  EXPECT_EQ(program::accuracy_at(run, 300), 0.8);
  EXPECT_TRUE(std::isnan(program::accuracy_at(run, 250)));
  EXPECT_EQ(program::best_accuracy(run), 0.9);
  EXPECT_TRUE(std::isnan(program::best_accuracy(nothing)));
  EXPECT_EQ(program::steps_to(run, 0.8), 200);
  EXPECT_TRUE(std::isnan(program::steps_to(run, 0.95)));
}

TEST(Results, SmoothedRunsAreMeansOfThree) {
  const program::Run smooth = program::smoothed(three_tests());
  EXPECT_EQ(smooth.steps, std::vector<std::int64_t>{300});
  EXPECT_DOUBLE_EQ(smooth.accuracy.front(), 2.2 / 3);
  EXPECT_TRUE(program::smoothed({}).steps.empty());
}

TEST(Results, RunsAreWrittenTestByTest) {
  const auto path = std::filesystem::path(testing::TempDir()) / "results_test_runs.csv";
  const std::vector<program::Run> runs = {three_tests(), {}};
  program::write_runs(path, {{"some", &runs}});
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, "network,seed,step,accuracy\nsome,0,100,0.5\nsome,0,200,0.9\nsome,0,300,0.8\n");
  std::filesystem::remove(path);
}

TEST(Results, BeyondNoiseIsBeyondStudentsT) {
  EXPECT_DOUBLE_EQ(program::standard_error({1, 3}), 1);
  EXPECT_EQ(program::with_standard_error({1, 3}, 1), "2.0 +-1.0");
  EXPECT_TRUE(std::isnan(program::standard_error({1})));
  EXPECT_FALSE(program::is_beyond_noise({5})) << "one value says nothing about noise";
  EXPECT_FALSE(program::is_beyond_noise({1, 1.2})) << "for two values 11 standard errors are not enough";
  EXPECT_TRUE(program::is_beyond_noise({-1, -1.1}));
  EXPECT_FALSE(program::is_beyond_noise({1, 2, 3, -1}));
  EXPECT_TRUE(program::is_beyond_noise({1, 2, 3, 2}));
}

TEST(Results, OverSeeds) {
  EXPECT_EQ(program::over_seeds({0.5}, 2), "0.50");
  EXPECT_EQ(program::over_seeds({0.5, 0.7}, 2), "0.60 +-0.14");
  EXPECT_EQ(program::over_seeds({1000, 3000}, 0), "2,000 +-1,414");
  EXPECT_EQ(program::over_seeds({0.5, program::none}, 2), "-");
}

}  // namespace
