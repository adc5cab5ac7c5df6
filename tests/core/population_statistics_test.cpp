#include <gtest/gtest.h>

#include <batchnorm/core/population_statistics.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "support/compare.hpp"
#include "support/moments.hpp"
#include "support/throws.hpp"

namespace population_statistics_test {

namespace bn = batchnorm;
using testing_support::has_parts;
using testing_support::message_of;
using testing_support::moments;

// Batches of m = 4: mean 1 and biased variance 3, mean 5 and biased variance 6. E[x] = 3, Var[x] = 4/3 * (3 + 6)/2 = 6.
TEST(PopulationStatistics, AreThePapersAlgorithm2ForEqualBatches) {
  bn::PopulationStatistics population(1);
  population.add(moments(4, 1, 12));
  population.add(moments(4, 5, 24));
  const auto running = population.statistics();
  EXPECT_EQ(running.mean[0], 3.0);
  EXPECT_EQ(running.variance[0], 6.0);
  EXPECT_EQ(running.batches, 2);
  EXPECT_EQ(population.batches(), 2);
  EXPECT_EQ(population.count(), 8);
}

// Batches of 2 and 6: means 4 and 8, unbiased variances 2 and 10. Mean (2*4 + 6*8)/8 = 7, variance (2*2 + 6*10)/8 = 8.
TEST(PopulationStatistics, WeighUnequalBatchesByCount) {
  bn::PopulationStatistics population(1);
  population.add(moments(2, 4, 2));
  population.add(moments(6, 8, 50));
  EXPECT_EQ(population.statistics().mean[0], 7.0);
  EXPECT_EQ(population.statistics().variance[0], 8.0);
}

TEST(PopulationStatistics, AreNotTheStatisticsOfTheMergedBatches) {
  bn::PopulationStatistics population(1);
  population.add(moments(2, -100, 2));
  population.add(moments(2, 100, 2));
  EXPECT_EQ(population.statistics().variance[0], 2.0);  // the spread between batch means is not part of Algorithm 2
}

TEST(PopulationStatistics, CanBeAskedBetweenBatches) {
  bn::PopulationStatistics population(2);
  bn::Moments batch(2);
  batch.count = 3;
  batch.mean << 1, 2;
  batch.m2 << 4, 8;
  population.add(batch);
  EXPECT_EQ(population.statistics().mean[1], 2.0);
  EXPECT_EQ(population.statistics().variance[1], 4.0);
  population.add(batch);
  EXPECT_EQ(population.statistics().batches, 2);
  EXPECT_EQ(population.statistics().variance[0], 2.0);
}

TEST(PopulationStatistics, RefuseWhatHasNoVarianceAndStayAsTheyAre) {
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN(),
                   infinity = std::numeric_limits<double>::infinity();
  bn::PopulationStatistics population(1);
  population.add(moments(4, 1, 12));
  EXPECT_TRUE(has_parts(message_of([&] { population.add(moments(1, 1, 0)); }), "PopulationStatistics::add(moments)",
                        "2 values", "got 1"));
  EXPECT_TRUE(has_parts(message_of([&] { population.add(moments(4, not_a_number, 1)); }),
                        "PopulationStatistics::add(moments)", "finite"));
  EXPECT_TRUE(has_parts(message_of([&] { population.add(moments(4, 1, infinity)); }),
                        "PopulationStatistics::add(moments)", "finite"));
  EXPECT_TRUE(has_parts(message_of([&] { population.add(bn::Moments(2)); }), "PopulationStatistics::add(moments)",
                        "expected 1 channel", "got 2"));
  auto torn = moments(4, 1, 12);
  torn.m2.setZero(3);
  EXPECT_THROW(population.add(torn), std::invalid_argument);
  EXPECT_EQ(population.batches(), 1);
  EXPECT_EQ(population.count(), 4);
  EXPECT_EQ(population.statistics().mean[0], 1.0);
  EXPECT_EQ(population.statistics().variance[0], 4.0);
}

TEST(PopulationStatistics, KeepAVarianceThatIsOnlyFiniteInDouble) {
  bn::PopulationStatistics population(1);
  population.add(moments(5, 0, 1e50));
  EXPECT_EQ(population.statistics().variance[0], 2.5e49);
}

TEST(PopulationStatistics, KeepTheBiasedVarianceIfAsked) {
  bn::PopulationStatistics population(1, {.running_variance = bn::RunningVariance::biased});
  population.add(moments(4, 1, 12));
  population.add(moments(4, 5, 24));
  EXPECT_EQ(population.statistics().variance[0], 4.5);  // (3 + 6) / 2
}

// -1, 0, 0, 1 and 99, 100, 100, 101: each batch has m2 = 2; about the common mean of 50 the eight values have
// 2 + 2 + 8 * 50^2 = 20004.
TEST(PopulationStatistics, HaveTheVarianceOfAllValuesIfAsked) {
  const auto variance = [](const bn::PopulationOptions& options) {
    bn::PopulationStatistics population(1, options);
    population.add(moments(4, 0, 2));
    population.add(moments(4, 100, 2));
    EXPECT_EQ(population.statistics().mean[0], 50.0);
    return population.statistics().variance[0];
  };
  EXPECT_EQ(variance({}), 2.0 / 3.0);
  EXPECT_EQ(variance({.variance = bn::PopulationVariance::of_all_values}), 20004.0 / 7.0);  // 2857.7
  EXPECT_EQ(
      variance({.running_variance = bn::RunningVariance::biased, .variance = bn::PopulationVariance::of_all_values}),
      20004.0 / 8.0);
}

TEST(PopulationStatistics, CountSingleValuesAmongAllValues) {
  bn::PopulationStatistics population(1, {.variance = bn::PopulationVariance::of_all_values});
  population.add(moments(1, 3, 0));
  EXPECT_TRUE(has_parts(message_of([&] { (void)population.statistics(); }), "PopulationStatistics::statistics()",
                        "at least 2 values", "got 1"));
  population.add(moments(1, 5, 0));
  EXPECT_EQ(population.statistics().mean[0], 4.0);
  EXPECT_EQ(population.statistics().variance[0], 2.0);
  EXPECT_EQ(population.statistics().skipped, 0);
}

TEST(PopulationStatistics, LeaveOutAndCountWhatTheOptionsSay) {
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
  for (const auto single : {bn::SingleValue::zero_variance, bn::SingleValue::running}) {
    bn::PopulationStatistics population(1, {.non_finite = bn::NonFinite::skip, .single_value = single});
    population.add(moments(1, 100, 0));
    population.add(moments(4, not_a_number, 1));
    EXPECT_TRUE(
        has_parts(message_of([&] { (void)population.statistics(); }), "at least one batch", "2 that were left"));
    population.add(moments(4, 1, 12));
    EXPECT_EQ(population.skipped(), 2);
    EXPECT_EQ(population.count(), 4);
    const auto running = population.statistics();
    EXPECT_EQ(running.mean[0], 1.0);
    EXPECT_EQ(running.variance[0], 4.0);
    EXPECT_EQ(running.batches, 1);
    EXPECT_EQ(running.skipped, 2);
  }
}

TEST(PopulationStatistics, PropagateNaNInItsChannelOnlyIfAsked) {
  for (const auto variance : {bn::PopulationVariance::mean_of_batches, bn::PopulationVariance::of_all_values}) {
    bn::PopulationStatistics population(2, {.non_finite = bn::NonFinite::propagate, .variance = variance});
    bn::Moments batch(2);
    batch.count = 3;
    batch.mean << std::numeric_limits<double>::quiet_NaN(), 4;
    batch.m2 << std::numeric_limits<double>::quiet_NaN(), 6;
    population.add(batch);
    batch.mean[0] = batch.m2[0] = 1;
    population.add(batch);
    const auto running = population.statistics();
    EXPECT_TRUE(std::isnan(running.mean[0]) && std::isnan(running.variance[0]));
    EXPECT_EQ(running.mean[1], 4.0);
    EXPECT_EQ(running.variance[1], variance == bn::PopulationVariance::mean_of_batches ? 3.0 : 12.0 / 5.0);
  }
}

// Thirty batches of 1 to 30 values, some of them not finite, over the parts in turn; one part gets none.
TEST(PopulationStatistics, MergedPartsAreTheWhole) {
  for (const auto variance : {bn::PopulationVariance::mean_of_batches, bn::PopulationVariance::of_all_values}) {
    for (const auto kind : {bn::RunningVariance::unbiased, bn::RunningVariance::biased}) {
      const bn::PopulationOptions options{.running_variance = kind,
                                          .non_finite = bn::NonFinite::skip,
                                          .single_value = bn::SingleValue::running,
                                          .variance = variance};
      testing_support::Random random(5);
      bn::PopulationStatistics whole(3, options);
      std::vector<bn::PopulationStatistics> parts(4, whole);
      for (std::size_t k = 1; k <= 30; ++k) {
        bn::Moments batch(3);
        batch.count = static_cast<double>(k);
        for (double& mean : batch.mean) mean = random.uniform(-100, 100);
        if (k > 1)
          for (double& m2 : batch.m2) m2 = random.uniform(0, 50);
        if (k % 7 == 0) batch.m2[1] = std::numeric_limits<double>::infinity();
        whole.add(batch);
        parts[k % 3].add(batch);
      }
      bn::PopulationStatistics merged(3, options);
      for (const auto& part : parts) merged.merge(part);
      const auto expected = whole.statistics(), actual = merged.statistics();
      EXPECT_EQ(merged.count(), whole.count());
      EXPECT_EQ(actual.batches, expected.batches);
      EXPECT_EQ(actual.skipped, expected.skipped);
      EXPECT_EQ(actual.skipped, variance == bn::PopulationVariance::mean_of_batches ? 5 : 4);
      EXPECT_TRUE(testing_support::close_relative<double>(actual.mean, expected.mean.cast<testing_support::Real>()));
      EXPECT_TRUE(
          testing_support::close_relative<double>(actual.variance, expected.variance.cast<testing_support::Real>()));
    }
  }
}

TEST(PopulationStatistics, MergeRefusesOtherChannelsAndOtherOptionsAndChangesNothing) {
  bn::PopulationStatistics population(1), wide(2),
      of_all_values(1, {.variance = bn::PopulationVariance::of_all_values});
  for (auto* p : {&population, &of_all_values}) p->add(moments(4, 1, 12));
  EXPECT_TRUE(has_parts(message_of([&] { population.merge(wide); }), "PopulationStatistics::merge(other)",
                        "expected 1 channel", "got 2"));
  EXPECT_TRUE(has_parts(message_of([&] { population.merge(of_all_values); }), "PopulationStatistics::merge(other)",
                        "the same options", "construct both alike"));
  EXPECT_EQ(population.batches(), 1);
}

TEST(PopulationStatistics, MergedWithThemselvesHaveEverythingTwice) {
  bn::PopulationStatistics population(1);
  population.add(moments(4, 1, 12));
  population.add(moments(4, 5, 24));
  population.merge(population);
  EXPECT_EQ(population.count(), 16);
  EXPECT_EQ(population.batches(), 4);
  EXPECT_EQ(population.statistics().mean[0], 3.0);
  EXPECT_EQ(population.statistics().variance[0], 6.0);
}

TEST(PopulationStatistics, OfNoBatchesAreAnError) {
  const bn::PopulationStatistics population(1);
  EXPECT_TRUE(has_parts(message_of([&] { (void)population.statistics(); }), "PopulationStatistics::statistics()",
                        "at least one batch", "add()"));
}

}  // namespace population_statistics_test
