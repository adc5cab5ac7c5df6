#include "experiments/training/results.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "support/files.hpp"

namespace results_test {

training::Run three_tests() {
  training::Run run;
  run.steps = {100, 200, 300};
  run.accuracy = {0.5, 0.9, 0.8};
  return run;
}

TEST(Results, OfOneRun) {
  const training::Run run = three_tests(), nothing;
  EXPECT_EQ(training::accuracy_at(run, 300), 0.8);
  EXPECT_TRUE(std::isnan(training::accuracy_at(run, 250)));
  EXPECT_EQ(training::best_accuracy(run), 0.9);
  EXPECT_TRUE(std::isnan(training::best_accuracy(nothing)));
  EXPECT_EQ(training::steps_to(run, 0.8), 200);
  EXPECT_TRUE(std::isnan(training::steps_to(run, 0.95)));
  EXPECT_TRUE(std::isnan(nothing.seconds_per_step)) << "no step took no time";
}

TEST(Results, SmoothedRunsAreMeansOfThree) {
  const training::Run smooth = training::smoothed(three_tests());
  EXPECT_EQ(smooth.steps, std::vector<std::int64_t>{300});
  EXPECT_DOUBLE_EQ(smooth.accuracy.front(), 2.2 / 3);
  EXPECT_TRUE(training::smoothed({}).steps.empty());
}

TEST(Results, RunsAreWrittenTestByTest) {
  const auto path = std::filesystem::path(testing::TempDir()) / "results_test_runs.csv";
  const std::vector<training::Run> runs = {three_tests(), {}};
  training::write_runs(path, {{"some", &runs}});
  EXPECT_EQ(testing_support::contents_of(path),
            "network,seed,step,accuracy\nsome,0,100,0.5\nsome,0,200,0.9\nsome,0,300,0.8\n");
  std::filesystem::remove(path);
}

/// Asked for 1,000 steps, it diverged at the 201st.
training::Run diverged_run() {
  training::Run run;
  run.seed = 7;
  run.steps_asked = 1'000;
  run.steps_made = 200;
  run.steps = {100, 200};
  run.accuracy = {0.5, 0.9};
  run.divergence = {201, "loss nan"};
  return run;
}

TEST(Results, OfARunThatDivergedAreThoseBeforeItAndNoNumbersAfterIt) {
  const training::Run run = diverged_run();
  EXPECT_EQ(training::accuracy_at(run, 200), 0.9);
  EXPECT_TRUE(std::isnan(training::accuracy_at(run, 150))) << "there was no test";
  EXPECT_EQ(training::accuracy_at(run, 300), report::diverged);
  EXPECT_EQ(training::accuracy_at(run, 1'000), report::diverged);
  EXPECT_TRUE(std::isnan(training::accuracy_at(run, 2'000))) << "nobody asked for so many steps";
  EXPECT_EQ(training::best_accuracy(run), 0.9);
  EXPECT_EQ(training::diverged_at(run), 201);
  EXPECT_TRUE(std::isnan(training::diverged_at(three_tests())));
}

TEST(Results, NothingIsComparedWithARunThatDivergedBeforeItsFirstTest) {
  training::Run run;
  run.divergence = {2, "loss nan"};
  EXPECT_EQ(training::best_accuracy(run), report::diverged);
  EXPECT_TRUE(std::isnan(training::steps_to(three_tests(), training::best_accuracy(run))));
  EXPECT_TRUE(std::isnan(training::steps_to(run, 0.5)));
}

TEST(Results, ARunThatDivergedEndsInARowWithoutAccuracy) {
  const auto path = std::filesystem::path(testing::TempDir()) / "results_test_diverged.csv";
  const std::vector<training::Run> runs = {diverged_run()};
  training::write_runs(path, {{"some", &runs}});
  EXPECT_EQ(testing_support::contents_of(path),
            "network,seed,step,accuracy\nsome,7,100,0.5\nsome,7,200,0.9\nsome,7,201,\n");
  std::filesystem::remove(path);
}

}  // namespace results_test
