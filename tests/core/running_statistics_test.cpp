#include <gtest/gtest.h>

#include <batchnorm/core/running_statistics.hpp>
#include <cmath>
#include <limits>

#include "support/compare.hpp"
#include "support/moments.hpp"
#include "support/throws.hpp"

namespace running_statistics_test {

namespace bn = batchnorm;
using testing_support::equal_statistics;
using testing_support::has_parts;
using testing_support::message_of;
using testing_support::moments;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Whether two have the same bits, counters included.
testing::AssertionResult equal(const bn::RunningStatistics& a, const bn::RunningStatistics& b) {
  if (a.batches != b.batches || a.skipped != b.skipped) {
    return testing::AssertionFailure() << a.batches << " batches, " << a.skipped << " skipped; expected " << b.batches
                                       << ", " << b.skipped;
  }
  if (const auto mean = equal_statistics(a.mean, b.mean); !mean) return mean;
  return equal_statistics(a.variance, b.variance);
}

TEST(RunningStatistics, StartAtMeanZeroVarianceOneAndNoBatches) {
  const bn::RunningStatistics running(3);
  EXPECT_TRUE((running.mean == Eigen::Array3d(0, 0, 0)).all());
  EXPECT_TRUE((running.variance == Eigen::Array3d(1, 1, 1)).all());
  EXPECT_EQ(running.batches, 0);
  EXPECT_EQ(running.skipped, 0);
}

TEST(RunningStatistics, UsesUnbiasedVarianceByDefault) {
  bn::RunningStatistics running(1);
  EXPECT_TRUE(running.update(moments(5, 8, 20), bn::exponential(0.5)));
  EXPECT_EQ(running.mean[0], 4.0);      // (0 + 8) / 2
  EXPECT_EQ(running.variance[0], 3.0);  // (1 + 20/4) / 2
  EXPECT_EQ(running.batches, 1);
}

TEST(RunningStatistics, UsesBiasedVarianceIfAsked) {
  bn::RunningStatistics running(1);
  running.update(moments(5, 8, 20), bn::exponential(0.5), bn::RunningVariance::biased);
  EXPECT_EQ(running.variance[0], 2.5);  // (1 + 20/5) / 2
}

TEST(RunningStatistics, ExponentialWeighsTheNewBatch) {
  bn::RunningStatistics running(1);
  running.update(moments(3, 16, 34), bn::exponential(0.25));
  EXPECT_EQ(running.mean[0], 4.0);      // 3/4 * 0 + 1/4 * 16
  EXPECT_EQ(running.variance[0], 5.0);  // 3/4 * 1 + 1/4 * 17
  running.update(moments(3, -4, 2), bn::exponential(0.25));
  EXPECT_EQ(running.mean[0], 2.0);      // 3/4 * 4 - 1/4 * 4
  EXPECT_EQ(running.variance[0], 4.0);  // 3/4 * 5 + 1/4 * 1
  EXPECT_EQ(running.batches, 2);
}

TEST(RunningStatistics, ExponentialDecayWeighsTheOldValue) {
  bn::RunningStatistics running(1);
  running.update(moments(3, 16, 34), bn::exponential_decay(0.75));
  EXPECT_EQ(running.mean[0], 4.0);
  EXPECT_EQ(running.variance[0], 5.0);
}

TEST(RunningStatistics, CumulativeIsTheMeanOverTheBatchesWhateverTheStart) {
  bn::RunningStatistics running(1);
  running.update(moments(3, 4, 2), bn::cumulative());
  EXPECT_EQ(running.mean[0], 4.0);
  EXPECT_EQ(running.variance[0], 1.0);
  running.update(moments(3, 8, 6), bn::cumulative());
  EXPECT_EQ(running.mean[0], 6.0);
  EXPECT_EQ(running.variance[0], 2.0);
  running.update(moments(3, 0, 16), bn::cumulative());
  EXPECT_DOUBLE_EQ(running.mean[0], 4.0);
  EXPECT_DOUBLE_EQ(running.variance[0], 4.0);
  EXPECT_EQ(running.batches, 3);
}

TEST(RunningStatistics, NoneLeavesEverythingAsItIs) {
  bn::RunningStatistics running(1);
  EXPECT_FALSE(running.update(moments(5, 8, 20), bn::none()));
  EXPECT_TRUE(equal(running, bn::RunningStatistics(1)));
}

TEST(RunningStatistics, OfANewBatchWithWeightOneAreThatBatch) {
  bn::RunningStatistics running(1);
  running.update(moments(5, 8, 20), bn::exponential(1.0));
  EXPECT_EQ(running.mean[0], 8.0);
  EXPECT_EQ(running.variance[0], 5.0);
}

// Mean and variance 1, a million batches of 1.0005: 1.0005 - 0.0005 * decay^k after the k-th. In float each of these
// updates is less than half a unit in the last place, and the average stays 1. An update rounds a product and a sum, of
// 1.0005 at most, by half an epsilon each, and keeps .9999 of what it had: 1e4 epsilon where all round the same way.
TEST(RunningStatistics, FollowManySmallStepsToTheClosedForm) {
  bn::RunningStatistics running(1);
  running.mean[0] = 1;
  const auto batch = moments(2, 1.0005, 1.0005);
  constexpr double owed = 1.001e4 * std::numeric_limits<double>::epsilon();
  for (int k = 1; k <= 1000000; ++k) {
    running.update(batch, bn::exponential_decay(0.9999));
    if (k != 1 && k != 1000 && k != 10000 && k != 1000000) continue;
    const double expected = 1.0005 - 0.0005 * std::pow(0.9999, k);
    EXPECT_NEAR(running.mean[0], expected, owed) << k;
    EXPECT_NEAR(running.variance[0], expected, owed) << k;
  }
}

TEST(RunningStatistics, OfManyBatchesAreTheirMeanIfCumulative) {
  bn::RunningStatistics running(1);
  constexpr int batches = 1000000;
  for (int k = 1; k <= batches; ++k) running.update(moments(2, 1e4 + k, k), bn::cumulative());
  EXPECT_NEAR(running.mean[0], 1e4 + (batches + 1) / 2.0, 1e-6);
  EXPECT_NEAR(running.variance[0], (batches + 1) / 2.0, 1e-6);
}

// What is not finite would stay for ever, and nobody would be told.
TEST(RunningStatistics, RefuseToBlendIntoValuesThatMakeNoSense) {
  const auto batch = [] {
    bn::Moments m(3);
    m.count = 4;
    return m;
  }();
  for (const double bad : {not_a_number, infinity, -infinity, -1.1e-5}) {
    for (const bool in_mean : {true, false}) {
      if (in_mean && bad == -1.1e-5) continue;
      bn::RunningStatistics running(3);
      (in_mean ? running.mean : running.variance)[1] = bad;
      const auto before = running;
      for (const auto policy : {bn::NonFinite::skip, bn::NonFinite::error}) {
        EXPECT_TRUE(has_parts(
            message_of([&] { running.update(batch, bn::exponential(0.5), bn::RunningVariance::unbiased, policy); }),
            "RunningStatistics::update(moments): expected running statistics", "finite variance >= 0", "in channel 1",
            "assign others"));
        EXPECT_EQ(running.batches, 0);
        EXPECT_EQ(running.skipped, 0);
      }
      EXPECT_FALSE(running.update(batch, bn::none()));
      EXPECT_TRUE(running.update(batch, bn::exponential(0.5), bn::RunningVariance::unbiased, bn::NonFinite::propagate));
    }
  }
}

TEST(RunningStatistics, OfWeightOneForgetWhateverWasThereBefore) {
  for (const auto averaging : {bn::exponential(1), bn::exponential_decay(0), bn::cumulative()}) {
    bn::RunningStatistics running(1);
    running.mean[0] = not_a_number;
    running.variance[0] = infinity;
    EXPECT_TRUE(running.update(moments(5, 8, 20), averaging));
    EXPECT_EQ(running.mean[0], 8.0);
    EXPECT_EQ(running.variance[0], 5.0);
  }
}

TEST(RunningStatistics, SkipLeavesTheWholeUpdateOutWhenOneChannelIsNotFinite) {
  for (const double bad : {not_a_number, infinity, -infinity}) {
    for (const bool in_mean : {true, false}) {
      bn::Moments batch(3);
      batch.count = 4;
      batch.mean << 1, 2, 3;
      batch.m2 << 3, 6, 9;
      (in_mean ? batch.mean : batch.m2)[1] = bad;
      bn::RunningStatistics running(3), expected(3);
      expected.skipped = 1;
      EXPECT_FALSE(running.update(batch, bn::exponential(0.5)));
      EXPECT_TRUE(equal(running, expected));
    }
  }
}

// The running statistics are doubles too: of a layer of floats, they keep what float could not.
TEST(RunningStatistics, KeepAVarianceThatIsOnlyFiniteInDouble) {
  bn::RunningStatistics running(1);
  EXPECT_TRUE(running.update(moments(5, 1.0, 1e50), bn::exponential(1.0)));
  EXPECT_EQ(running.variance[0], 2.5e49);
  EXPECT_EQ(running.skipped, 0);
}

TEST(RunningStatistics, PropagateLetsNaNThroughInItsChannelOnly) {
  bn::Moments batch(2);
  batch.count = 3;
  batch.mean << not_a_number, 4;
  batch.m2 << not_a_number, 6;
  bn::RunningStatistics running(2);
  EXPECT_TRUE(running.update(batch, bn::exponential(0.5), bn::RunningVariance::unbiased, bn::NonFinite::propagate));
  EXPECT_TRUE(std::isnan(running.mean[0]) && std::isnan(running.variance[0]));
  EXPECT_EQ(running.mean[1], 2.0);
  EXPECT_EQ(running.variance[1], 2.0);
  EXPECT_EQ(running.batches, 1);
  EXPECT_EQ(running.skipped, 0);
}

TEST(RunningStatistics, ErrorThrowsNamesTheChannelAndChangesNothing) {
  bn::Moments batch(3);
  batch.count = 3;
  batch.mean << 1, 2, 3;
  batch.m2 << 1, infinity, 3;
  bn::RunningStatistics running(3);
  const auto message = message_of(
      [&] { running.update(batch, bn::exponential(0.5), bn::RunningVariance::unbiased, bn::NonFinite::error); });
  EXPECT_TRUE(has_parts(message, "RunningStatistics::update(moments)", "finite", "got mean 2", "inf", "channel 1",
                        "NonFinite::skip"));
  EXPECT_TRUE(equal(running, bn::RunningStatistics(3)));
}

TEST(RunningStatistics, LearnNothingFromOneValueOrNone) {
  for (const double count : {0, 1}) {
    for (const auto policy : {bn::NonFinite::skip, bn::NonFinite::propagate, bn::NonFinite::error}) {
      for (const auto kind : {bn::RunningVariance::unbiased, bn::RunningVariance::biased}) {
        bn::RunningStatistics running(1);
        EXPECT_FALSE(running.update(moments(count, 7, 0), bn::exponential(0.5), kind, policy));
        EXPECT_EQ(running.mean[0], 0.0);
        EXPECT_EQ(running.variance[0], 1.0);
        EXPECT_EQ(running.batches, 0);
      }
    }
  }
}

TEST(RunningStatistics, RefuseOtherChannelsAndChangeNothing) {
  bn::RunningStatistics running(2);
  EXPECT_TRUE(has_parts(message_of([&] { running.update(moments(5, 8, 20), bn::exponential(0.5)); }),
                        "RunningStatistics::update(moments)", "expected 2 channels", "1 in moments.mean"));
  EXPECT_TRUE(equal(running, bn::RunningStatistics(2)));
}

TEST(RunningStatistics, RefuseAVarianceOfAnotherSizeThanTheMean) {
  bn::RunningStatistics running(1);
  running.variance.resize(2);
  EXPECT_TRUE(has_parts(message_of([&] { running.update(moments(5, 8, 20), bn::exponential(0.5)); }),
                        "expected 1 channel", "2 in variance"));
}

TEST(RunningStatistics, RefuseMomentsWhoseM2HasAnotherSizeThanTheirMean) {
  bn::RunningStatistics running(1);
  auto batch = moments(5, 8, 20);
  batch.m2.resize(3);
  batch.m2.setZero();
  EXPECT_THROW(running.update(batch, bn::exponential(0.5)), std::invalid_argument);
}

}  // namespace running_statistics_test
