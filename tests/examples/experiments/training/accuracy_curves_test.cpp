#include "experiments/training/accuracy_curves.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/report/text.hpp"
#include "support/files.hpp"

namespace accuracy_curves_test {

namespace fs = std::filesystem;

training::Run run(std::uint64_t seed, const std::vector<std::int64_t>& steps, const std::vector<double>& accuracy) {
  training::Run result;
  result.seed = seed;
  result.steps_asked = steps.back();
  result.steps = steps;
  result.accuracy = accuracy;
  return result;
}

struct AccuracyCurves : testing::Test {
  // A file for each test: ctest runs them at the same time.
  fs::path path = fs::path(testing::TempDir()) /
                  (std::string("accuracy_curves_") + testing::UnitTest::GetInstance()->current_test_info()->name());

  ~AccuracyCurves() override { fs::remove(path); }

  std::string read() const { return testing_support::contents_of(path); }
};

TEST_F(AccuracyCurves, HaveTheMeanAndTheStandardDeviationOfTheSeeds) {
  // 1/8, 3/8, 5/8 have mean 3/8 and deviation 1/4; three times 1/2 have 1/2 and 0: exact in binary.
  const std::vector<training::Run> some = {run(4, {10, 20}, {0.125, 0.5}), run(5, {10, 20}, {0.375, 0.5}),
                                           run(6, {10, 20}, {0.625, 0.5})},
                                   other = {run(4, {10}, {0.25}), run(5, {10}, {0.25}), run(6, {10}, {0.25})};
  const auto curves = training::write_accuracy_curves(
      path, {{"some", "Some", {"black", "lw 2"}, &some}, {"other", "Other", {"blue", "lw 1"}, &other}});
  EXPECT_EQ(read(),
            "step,some,other,some_std,other_std\n"
            "10,0.375,0.25,0.25,0\n"
            "20,0.5,,0,\n");
  ASSERT_EQ(curves.size(), 2U);
  EXPECT_EQ(curves[0].column, 2);
  EXPECT_EQ(curves[0].deviation_column, 4);
  EXPECT_EQ(curves[0].values, (std::vector<double>{0.375, 0.5}));
  EXPECT_EQ(curves[0].deviations, (std::vector<double>{0.25, 0}));
  EXPECT_EQ(curves[0].title + curves[0].ending, "Some");
  EXPECT_EQ(curves[0].look.color, "black");
  EXPECT_EQ(curves[1].column, 3);
  EXPECT_EQ(curves[1].deviation_column, 5);
  EXPECT_EQ(curves[1].look.line, "lw 1");
  EXPECT_TRUE(std::isnan(curves[1].values[1]));
}

TEST_F(AccuracyCurves, HaveAColumnForEachSeedWhereThatIsWanted) {
  const std::vector<training::Run> some = {run(0, {10}, {0.5}), run(1, {10}, {0.25})},
                                   other = {run(0, {10}, {0.75}), run(1, {10}, {0.75})};
  training::write_accuracy_curves(path, {{"some", "Some", {}, &some}, {"other", "Other", {}, &other}},
                                  training::SeedColumns::yes);
  EXPECT_EQ(read(),
            "step,some,other,some_seed_0,other_seed_0,some_seed_1,other_seed_1,some_std,other_std\n"
            "10,0.375,0.75,0.5,0.75,0.25,0.75,0.1767767,0\n");
}

TEST_F(AccuracyCurves, OfOneSeedHaveNoDeviation) {
  const std::vector<training::Run> some = {run(0, {10, 20}, {0.5, 0.75})};
  const auto curves = training::write_accuracy_curves(path, {{"some", "Some", {}, &some}});
  EXPECT_EQ(read(), "step,some,some_std\n10,0.5,\n20,0.75,\n");
  EXPECT_TRUE(std::isnan(curves[0].deviations[0]));
}

TEST_F(AccuracyCurves, EndWhereARunDiverges) {
  std::vector<training::Run> some = {run(0, {10, 20}, {0.5, 0.75}), run(1, {10}, {0.25})};
  some[1].steps_asked = 20;
  some[1].divergence = {11, "loss nan"};
  const auto curves = training::write_accuracy_curves(path, {{"some", "Some", {}, &some}});
  EXPECT_EQ(read(), "step,some,some_std\n10,0.375,0.1767767\n20,,\n");
  EXPECT_EQ(curves[0].values[1], report::diverged);
  EXPECT_TRUE(std::isnan(curves[0].deviations[1]));
  EXPECT_EQ(curves[0].ending, ", 1 of 2 diverged");
}

}  // namespace accuracy_curves_test
