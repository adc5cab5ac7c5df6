#include "experiments/training/results.hpp"

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

/// Asked for 1,000 steps, it diverged at the 201st.
program::Run diverged_run() {
  program::Run run;
  run.seed = 7;
  run.steps_asked = 1'000;
  run.steps_made = 200;
  run.steps = {100, 200};
  run.accuracy = {0.5, 0.9};
  run.divergence = {201, "loss nan"};
  return run;
}

TEST(Results, OfARunThatDivergedAreThoseBeforeItAndNoNumbersAfterIt) {
  const program::Run run = diverged_run();
  EXPECT_EQ(program::accuracy_at(run, 200), 0.9);
  EXPECT_TRUE(std::isnan(program::accuracy_at(run, 150))) << "there was no test";
  EXPECT_EQ(program::accuracy_at(run, 300), program::diverged);
  EXPECT_EQ(program::accuracy_at(run, 1'000), program::diverged);
  EXPECT_TRUE(std::isnan(program::accuracy_at(run, 2'000))) << "nobody asked for so many steps";
  EXPECT_EQ(program::best_accuracy(run), 0.9);
  EXPECT_EQ(program::diverged_at(run), 201);
  EXPECT_TRUE(std::isnan(program::diverged_at(three_tests())));
}

TEST(Results, NothingIsComparedWithARunThatDivergedBeforeItsFirstTest) {
  program::Run run;
  run.divergence = {2, "loss nan"};
  EXPECT_EQ(program::best_accuracy(run), program::diverged);
  EXPECT_TRUE(std::isnan(program::steps_to(three_tests(), program::best_accuracy(run))));
  EXPECT_TRUE(std::isnan(program::steps_to(run, 0.5)));
}

TEST(Results, ARunThatDivergedEndsInARowWithoutAccuracy) {
  const auto path = std::filesystem::path(testing::TempDir()) / "results_test_diverged.csv";
  const std::vector<program::Run> runs = {diverged_run()};
  program::write_runs(path, {{"some", &runs}});
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, "network,seed,step,accuracy\nsome,7,100,0.5\nsome,7,200,0.9\nsome,7,201,\n");
  std::filesystem::remove(path);
}

TEST(Results, OverSeedsOfWhichSomeDivergedThereIsNoMean) {
  const double diverged = program::diverged;
  EXPECT_EQ(program::over_seeds({diverged}, 4), "diverged");
  EXPECT_EQ(program::over_seeds({diverged, diverged}, 4), "diverged");
  EXPECT_EQ(program::over_seeds({0.5, diverged, 0.7}, 4), "1 of 3 diverged");
  EXPECT_EQ(program::over_seeds({diverged, program::none}, 0), "1 of 2 diverged");
  EXPECT_EQ(program::over_seeds({diverged}, 0), "diverged");
  EXPECT_EQ(program::mean_over_seeds({0.5, 0.7}, 2), "0.60");
  EXPECT_EQ(program::mean_over_seeds({0.5, diverged}, 2), "1 of 2 diverged");
  EXPECT_EQ(program::with_standard_error({1, diverged}, 1), "1 of 2 diverged");
  EXPECT_FALSE(program::is_beyond_noise({1, diverged, 1}));
}

}  // namespace
