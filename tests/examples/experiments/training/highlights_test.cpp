#include "experiments/training/highlights.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "experiments/report/text.hpp"

namespace highlights_test {

using training::NamedRuns;

/// Tested after 100, 200, ... steps.
training::Run run(const std::vector<double>& accuracy) {
  training::Run result;
  result.accuracy = accuracy;
  for (std::size_t i = 0; i < accuracy.size(); ++i) result.steps.push_back(100 * static_cast<std::int64_t>(i + 1));
  return result;
}

TEST(Highlights, SayWhenANetworkIsAsGoodAsAnotherOnesBest) {
  const std::vector<training::Run> quick = {run({0.5, 0.9, 0.95})}, slow = {run({0.1, 0.2, 0.3, 0.7, 0.6})};
  EXPECT_EQ(training::reaching_the_best({"quick", &quick}, {"slow", &slow}),
            "quick reaches slow's best, 0.7000, after 200 steps instead of 400");
  EXPECT_EQ(training::reaching_the_best({"slow", &slow}, {"quick", &quick}),
            "slow does not reach quick's best, 0.9500, on any of its tests");
}

TEST(Highlights, OfSeveralSeedsAreMeansAndDeviations) {
  const std::vector<training::Run> quick = {run({0.8, 0.9}), run({0.2, 0.4, 0.9})},
                                   slow = {run({0.1, 0.2, 0.3, 0.5}), run({0.1, 0.7})};
  EXPECT_EQ(training::reaching_the_best({"quick", &quick}, {"slow", &slow}),
            "quick reaches slow's best, 0.6000, after 200 +-141 steps instead of 300 +-141");
}

TEST(Highlights, SayOnHowManySeedsIfNotOnAll) {
  const std::vector<training::Run> quick = {run({0.8}), run({0.2})}, slow = {run({0.1, 0.5}), run({0.1, 0.7})};
  EXPECT_EQ(training::reaching_the_best({"quick", &quick}, {"slow", &slow}),
            "quick reaches slow's best, 0.6000, on 1 of 2 seeds after 100 steps instead of 200");
}

TEST(Highlights, DoNotCallSoonerWhatIsNot) {
  const std::vector<training::Run> late = {run({0.1, 0.2, 0.6})}, early = {run({0.5})};
  EXPECT_EQ(training::reaching_the_best({"late", &late}, {"early", &early}),
            "late reaches early's best, 0.5000, after 300 steps, no sooner than early (100)");
  EXPECT_EQ(training::reaching_the_best({"early", &early}, {"early", &early}),
            "early reaches early's best, 0.5000, after 100 steps, no sooner than early (100)");
}

TEST(Highlights, SayNothingOfNetworksWithoutATest) {
  training::Run failed;
  failed.divergence = {3, "loss nan"};
  const std::vector<training::Run> some = {run({0.5})}, nothing = {training::Run()}, diverged = {failed}, none_at_all;
  EXPECT_EQ(training::reaching_the_best({"some", &some}, {"nothing", &nothing}), "");
  EXPECT_EQ(training::reaching_the_best({"some", &some}, {"diverged", &diverged}), "");
  EXPECT_EQ(training::reaching_the_best({"none", &none_at_all}, {"none", &none_at_all}), "");
  EXPECT_EQ(training::reaching_the_best({"diverged", &diverged}, {"some", &some}),
            "diverged does not reach some's best, 0.5000, on any of its tests");
  EXPECT_EQ(training::best_of({{"nothing", &nothing}, {"diverged", &diverged}}), "");
  EXPECT_EQ(training::soonest_at_the_best({}, {"some", &some}), "");
}

TEST(Highlights, SoonestIsWhoGetsThereOnTheMostSeedsAndThenInTheFewestSteps) {
  const std::vector<training::Run> reference = {run({0.1, 0.1, 0.1, 0.5}), run({0.1, 0.1, 0.1, 0.5})},
                                   sure = {run({0.1, 0.1, 0.6}), run({0.1, 0.1, 0.6})},
                                   surer = {run({0.1, 0.6}), run({0.1, 0.1, 0.6})}, lucky = {run({0.9}), run({0.1})};
  const NamedRuns other = {"reference", &reference};
  EXPECT_EQ(training::soonest_at_the_best({{"sure", &sure}, {"surer", &surer}, {"lucky", &lucky}}, other),
            "surer reaches reference's best, 0.5000, after 250 +-71 steps instead of 400 +-0");
  EXPECT_EQ(training::soonest_at_the_best({{"lucky", &lucky}}, other),
            "lucky reaches reference's best, 0.5000, on 1 of 2 seeds after 100 steps instead of 400");
}

TEST(Highlights, BestHasTheBestTestInTheMean) {
  const std::vector<training::Run> low = {run({0.5}), run({0.9})}, high = {run({0.8, 0.1}), run({0.8})};
  EXPECT_EQ(training::best_of({{"low", &low}, {"high", &high}}), "high has the best test, 0.8000 +-0.0000");
}

TEST(Highlights, CountTheCellsOfAGrid) {
  EXPECT_EQ(training::cells_that_reach(0.9, {0.9, 0.95, 0.1}, {0.89, report::diverged, 0.1}),
            "2 of 3 cells are at 0.90 or above with batch normalization, 0 of 3 without");
  EXPECT_EQ(training::cells_that_reach(0.9, {0.9, report::none}, {0.1, 0.1}), "") << "after Ctrl-C";
  EXPECT_EQ(training::cells_that_reach(0.9, {0.9, 0.9}, {0.1, report::none}), "");
}

TEST(Highlights, NameTheLargestGainAndWhatIsNoise) {
  EXPECT_EQ(training::largest_gain({{"a", {1, 1.1}}, {"b", {3, -1}}, {"c", {9, report::diverged}}}),
            "\"a\" gains most, 1.05 +-0.05 %; 1 of 3 beyond noise");
  EXPECT_EQ(training::largest_gain({{"a", {1}}, {"b", {2}}}),
            "\"b\" gains most, 2.00 %; one seed does not tell gains from noise");
  EXPECT_EQ(training::largest_gain({{"c", {report::none}}}), "");
}

TEST(Highlights, CompareAnEnsembleWithItsMembers) {
  EXPECT_EQ(training::errors_saved({2, 4}, {1, 3}),
            "together they err on 2.00 +-1.41 % of the images, one by itself on 3.00 +-1.41 %: 38 +-18 % fewer errors");
  EXPECT_EQ(training::errors_saved({report::diverged}, {1}), "");
  EXPECT_EQ(training::errors_saved({0}, {0}),
            "together they err on 0.00 % of the images, one by itself on 0.00 %: 0 % fewer errors");
}

TEST(Highlights, SayHowManySingularValuesAreNearOne) {
  EXPECT_EQ(training::singular_values_near_one(5'000, {0.25, 0.35}, {0.1, 0.1}),
            "after 5,000 steps 30.0 +-7.1 % of the singular values are from 1/2 to 2 with batch normalization, "
            "10.0 +-0.0 % without");
  EXPECT_EQ(training::singular_values_near_one(0, {0.25}, {report::none}), "") << "after Ctrl-C";
}

TEST(Highlights, SayHowManyTimesAsLongItTakes) {
  EXPECT_EQ(training::times_as_long("it", {10, 3000}, {2, 2}),
            "it takes 5 to 1,500 times as long as batch normalization");
  EXPECT_EQ(training::times_as_long("it", {10}, {2}), "it takes 5 times as long as batch normalization");
  EXPECT_EQ(training::times_as_long("it", {10.1, 10.2}, {2, 2}), "it takes 5 times as long as batch normalization");
  EXPECT_EQ(training::times_as_long("it", {}, {}), "") << "after Ctrl-C";
}

}  // namespace highlights_test
