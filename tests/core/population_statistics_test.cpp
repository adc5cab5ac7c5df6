#include <gtest/gtest.h>

#include <batchnorm/core/population_statistics.hpp>
#include <limits>

#include "support/throws.hpp"

namespace bn = batchnorm;
using testing_support::has_parts;
using testing_support::message_of;

namespace {

bn::Moments moments(Eigen::Index count, double mean, double m2) {
  bn::Moments m(1);
  m.count = count;
  m.mean[0] = mean;
  m.m2[0] = m2;
  return m;
}

}  // namespace

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

TEST(PopulationStatistics, OfNoBatchesAreAnError) {
  const bn::PopulationStatistics population(1);
  EXPECT_TRUE(has_parts(message_of([&] { (void)population.statistics(); }), "PopulationStatistics::statistics()",
                        "at least one batch", "add()"));
}
