// The whole loop on few drawn digits.
#include "program/training.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <stdexcept>

#include "program/sigmoid_network.hpp"

namespace {

using program::Protocol;
using TrainingRun = program::Run;

const data::Dataset& digits() {
  static const data::Dataset dataset = data::drawn_dataset(400, 200);
  return dataset;
}

/// Few steps, with larger weights, so that they suffice.
Protocol short_protocol() {
  Protocol protocol;
  protocol.steps = 150;
  protocol.batch = 50;
  protocol.every = 50;
  protocol.probe = 100;
  protocol.population_batches = 20;
  return protocol;
}

program::Network network(std::uint64_t seed, bool batch_norm) {
  return program::make_sigmoid_network(
      {.batch_norm = batch_norm, .deviation = nn::constant_deviation(0.1), .seed = seed});
}

TrainingRun train(const Protocol& protocol, std::uint64_t seed, bool batch_norm) {
  program::Network trained = network(seed, batch_norm);
  return program::train(protocol, digits(), program::make_views(protocol, digits()), seed, trained,
                        [](std::int64_t, double) {});
}

TEST(Training, LearnsAndReports) {
  const TrainingRun run = train(short_protocol(), 1, true);
  EXPECT_EQ(run.steps, (std::vector<std::int64_t>{50, 100, 150}));
  EXPECT_EQ(run.percentiles.steps, run.steps);
  ASSERT_EQ(run.accuracy.size(), 3u);
  EXPECT_GT(run.accuracy.back(), 0.5);
  EXPECT_EQ(run.running_accuracy, run.accuracy.back());
  EXPECT_NEAR(run.population_accuracy, run.running_accuracy, 0.1);
  EXPECT_GT(run.seconds_per_step, 0);
  EXPECT_EQ(run.percentiles.values.front().rows(), 100);
  // In probe mode a sigmoid's input is beta + gamma * (mean 0, variance 1): centred soon after the start.
  EXPECT_LT(std::abs(run.percentiles.values.front().col(1).mean()), 1);
}

TEST(Training, WithoutBatchNormThereAreNoPopulationStatistics) {
  EXPECT_TRUE(std::isnan(train(short_protocol(), 1, false).population_accuracy));
}

TEST(Training, TheSameSeedGivesTheSameBitsWhateverOtherThreadsDo) {
  auto other = std::async(std::launch::async, [] { return train(short_protocol(), 1, true); });
  const TrainingRun one = train(short_protocol(), 1, true), two = other.get(), three = train(short_protocol(), 2, true);
  EXPECT_EQ(one.accuracy, two.accuracy);
  for (std::size_t i = 0; i < one.percentiles.values.size(); ++i)
    EXPECT_TRUE((one.percentiles.values[i] == two.percentiles.values[i]).all());
  EXPECT_NE(one.accuracy, three.accuracy);
}

TEST(Training, LookingMoreOftenChangesNothing) {
  Protocol often = short_protocol();
  often.every = 10;
  often.statistics = program::Statistics::population;
  const TrainingRun seldom = train(short_protocol(), 1, true), watched = train(often, 1, true);
  EXPECT_EQ(seldom.running_accuracy, watched.running_accuracy);
  EXPECT_TRUE((seldom.percentiles.values.back() == watched.percentiles.values.back()).all());
}

TEST(Training, ABatchLargerThanTheDataIsRefused) {
  Protocol protocol = short_protocol();
  protocol.batch = 401;
  try {
    program::make_views(protocol, digits());
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "--batch 401: there are only 400 training images");
  }
}

TEST(Training, OnFewImagesInAFixedOrder) {
  Protocol protocol = short_protocol(), all = protocol;
  protocol.training_images = 50;  // one batch: the order does not matter, up to rounding
  Protocol fixed = protocol;
  fixed.order = data::Order::fixed;
  const TrainingRun few = train(protocol, 1, true);
  EXPECT_LT(few.running_accuracy, train(all, 1, true).running_accuracy);
  EXPECT_NEAR(few.running_accuracy, train(fixed, 1, true).running_accuracy, 0.05);
  all.training_images = 400;
  EXPECT_EQ(train(all, 1, true).accuracy, train(short_protocol(), 1, true).accuracy) << "that is all of them";
}

TEST(Training, OnDistortedImages) {
  Protocol distorted = short_protocol();
  distorted.distortion = {.shift = 20};  // most of them off the sheet
  EXPECT_LT(train(distorted, 1, true).running_accuracy, train(short_protocol(), 1, true).running_accuracy);
  distorted.distortion = {.rotation = 1e-6};
  EXPECT_EQ(train(distorted, 1, true).accuracy, train(short_protocol(), 1, true).accuracy) << "no pixel changes";
}

TEST(Training, TheLearningRateFollowsItsSchedule) {
  Protocol protocol = short_protocol(), halving = protocol;
  halving.learning_rate.half_life = 1e-9;  // one step of the initial rate, and nothing after it
  protocol.steps = 1;
  EXPECT_EQ(train(halving, 1, false).running_accuracy, train(protocol, 1, false).running_accuracy);
}

}  // namespace
