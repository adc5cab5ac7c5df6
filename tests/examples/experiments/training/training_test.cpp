// The whole loop on few drawn digits.
#include "experiments/training/training.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <limits>
#include <stdexcept>
#include <utility>
#include <vector>

#include "experiments/networks/sigmoid_network.hpp"
#include "nn/nn.hpp"
#include "support/throws.hpp"

namespace training_test {

using training::Protocol;
using TrainingRun = training::Run;

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

networks::Network network(std::uint64_t seed, bool batch_norm) {
  return networks::make_sigmoid_network(
      {.batch_norm = batch_norm, .deviation = nn::constant_deviation(0.1), .seed = seed});
}

TrainingRun train(const Protocol& protocol, std::uint64_t seed, bool batch_norm) {
  networks::Network trained = network(seed, batch_norm);
  return training::train(protocol, digits(), training::make_views(protocol, digits()), seed, trained,
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
  // In probe mode a sigmoid's input is beta + gamma * (mean 0, variance 1): centered soon after the start.
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
  often.statistics = training::Statistics::population;
  const TrainingRun seldom = train(short_protocol(), 1, true), watched = train(often, 1, true);
  EXPECT_EQ(seldom.running_accuracy, watched.running_accuracy);
  EXPECT_TRUE((seldom.percentiles.values.back() == watched.percentiles.values.back()).all());
}

TEST(Training, ABatchLargerThanTheDataIsRefused) {
  Protocol protocol = short_protocol();
  protocol.batch = 401;
  EXPECT_EQ(testing_support::message_of<std::runtime_error>([&] { training::make_views(protocol, digits()); }),
            "--batch 401: there are only 400 training images");
}

TEST(Training, MoreTrainingImagesThanThereAreAreRefused) {
  Protocol protocol = short_protocol();
  protocol.training_images = 401;
  EXPECT_EQ(testing_support::message_of<std::runtime_error>([&] { training::make_views(protocol, digits()); }),
            "--training-images 401: there are only 400 (0: all)");
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

/// Passes on what it gets, and keeps all of it.
struct Recorder final : nn::Layer<float> {
  explicit Recorder(std::vector<nn::Matrix<float>>& all) : inputs(&all) {}

  void forward(const nn::Matrix<float>& x, nn::Matrix<float>& y) override {
    inputs->push_back(x);
    y = x;
  }
  void backward(const nn::Matrix<float>&, const nn::Matrix<float>&, const nn::Matrix<float>& dy,
                nn::Matrix<float>* dx) override {
    if (dx) *dx = dy;
  }

  std::vector<nn::Matrix<float>>* inputs;
};

/// What a network is shown in three steps of the same 50 images, and in the test after them.
std::vector<nn::Matrix<float>> shown(const data::Distortion& distortion, const data::Distortion& test_distortion,
                                     std::uint64_t seed) {
  Protocol protocol = short_protocol();
  protocol.steps = 3;
  protocol.training_images = 50;
  protocol.order = data::Order::fixed;
  protocol.distortion = distortion;
  protocol.test_distortion = test_distortion;
  std::vector<nn::Matrix<float>> inputs;
  networks::Network recording;
  recording.model.add(Recorder(inputs));
  recording.model.add(nn::Dense<float>(784, 10));
  training::train(protocol, digits(), training::make_views(protocol, digits()), seed, recording,
                  [](std::int64_t, double) {});
  return inputs;
}

TEST(Training, DistortsTheImagesAnewInEachStepAndTheTestImagesOnce) {
  const data::Distortion most = {.rotation = 20, .contrast = 0.5};
  const auto plain = shown({}, {}, 1), one = shown(most, most, 1), same = shown(most, most, 1),
             two = shown(most, most, 2), training_only = shown(most, {}, 1);
  ASSERT_EQ(one.size(), 4u);
  EXPECT_EQ(plain[1], plain[0]);
  EXPECT_EQ(plain[2], plain[0]);
  for (Eigen::Index image = 0; image < 50; ++image) {
    for (const auto& [a, b] : {std::pair(0u, 1u), {0u, 2u}, {1u, 2u}}) EXPECT_NE(one[a].row(image), one[b].row(image));
    EXPECT_NE(one[0].row(image), plain[0].row(image));
  }
  for (std::size_t step = 0; step < 3; ++step) {
    EXPECT_EQ(one[step], same[step]);
    EXPECT_EQ(one[step], training_only[step]);
    EXPECT_NE(one[step], two[step]);
  }
  EXPECT_EQ(two[3], one[3]) << "all seeds are tested with the same images";
  EXPECT_NE(one[3], plain[3]);
  EXPECT_EQ(training_only[3], plain[3]);
}

TEST(Training, TheLearningRateFollowsItsSchedule) {
  Protocol protocol = short_protocol(), halving = protocol;
  halving.learning_rate.half_life = 1e-9;  // one step of the initial rate, and nothing after it
  protocol.steps = 1;
  EXPECT_EQ(train(halving, 1, false).running_accuracy, train(protocol, 1, false).running_accuracy);
}

// --- Networks that diverge

/// Trains a network with a learning rate that is far too large.
TrainingRun train_too_fast(double learning_rate, Protocol protocol, networks::Network trained) {
  protocol.learning_rate.initial = learning_rate;
  return training::train(protocol, digits(), training::make_views(protocol, digits()), 1, trained,
                         [](std::int64_t, double) {});
}

void expect_divergence(const TrainingRun& run) {
  ASSERT_TRUE(run.divergence.has_value());
  EXPECT_NE(run.divergence->reason, "");
  EXPECT_GE(run.divergence->step, run.steps_made);
  EXPECT_LE(run.divergence->step, run.steps_made + 1);
  EXPECT_EQ(run.running_accuracy, report::diverged);
  EXPECT_EQ(run.seed, 1u);
  EXPECT_EQ(run.steps.size(), run.accuracy.size());
  for (const double accuracy : run.accuracy) EXPECT_TRUE(accuracy >= 0 && accuracy <= 1) << accuracy;
  for (const training::UnitPercentiles& values : run.percentiles.values) EXPECT_TRUE(values.allFinite());
}

TEST(Divergence, WithBatchNormEndsTheTrainingAndIsNoError) {
  for (const double rate : {1e38, 3e38}) {
    const TrainingRun run = train_too_fast(rate, short_protocol(), network(1, true));
    expect_divergence(run);
    EXPECT_EQ(run.population_accuracy, report::diverged);
    EXPECT_EQ(run.steps_asked, 150);
    EXPECT_LT(run.steps_made, 150);
  }
}

TEST(Divergence, WithWhiteningEndsTheTrainingAndIsNoError) {
  for (const auto method : {batchnorm::WhiteningMethod::eigen, batchnorm::WhiteningMethod::newton}) {
    const networks::SigmoidNetworkOptions options = {
        .whitening = batchnorm::WhiteningOptions{.method = method, .epsilon = 1e-3}};
    expect_divergence(train_too_fast(1e38, short_protocol(), networks::make_sigmoid_network(options)));
  }
}

TEST(Divergence, WithReluAndWithoutBatchNormEndsTheTrainingAndIsNoError) {
  const auto make = [] {
    networks::Network plain;
    plain.model.add(nn::Dense<float>(784, 20));
    plain.model.add(nn::Relu<float>());
    plain.model.add(nn::Dense<float>(20, 10));
    nn::initialize_weights(plain.model, nn::he_deviation, 1);
    return plain;
  };
  expect_divergence(train_too_fast(1e20, short_protocol(), make()));
  Protocol decaying = short_protocol();
  decaying.weight_decay = 3;
  expect_divergence(train_too_fast(1, decaying, make()));
}

TEST(Divergence, WhatWasSeenBeforeItIsKept) {
  networks::Network trained = network(1, true);
  const Protocol protocol = short_protocol();
  const TrainingRun whole = train(protocol, 1, true);
  std::int64_t last = 0;
  const TrainingRun run = training::train(protocol, digits(), training::make_views(protocol, digits()), 1, trained,
                                          [&](std::int64_t step, double) {
                                            last = step;
                                            if (step != 120) return;
                                            trained.model.for_each_parameter([](batchnorm::Parameter<float> parameter) {
                                              parameter.value.setConstant(std::numeric_limits<float>::quiet_NaN());
                                            });
                                          });
  expect_divergence(run);
  EXPECT_EQ(run.divergence->step, 121);
  EXPECT_EQ(run.divergence->reason, "loss nan");
  EXPECT_EQ(run.steps_made, 120);
  EXPECT_EQ(last, 120);
  EXPECT_EQ(run.steps, (std::vector<std::int64_t>{50, 100}));
  EXPECT_EQ(run.accuracy, (std::vector<double>{whole.accuracy[0], whole.accuracy[1]}));
  EXPECT_EQ(run.percentiles.steps, run.steps);
  EXPECT_GT(run.seconds_per_step, 0);
}

TEST(Divergence, InTheLastStepIsSeenByTheTestAfterIt) {
  for (const auto statistics : {training::Statistics::running, training::Statistics::population}) {
    Protocol protocol = short_protocol();
    protocol.steps = 1;
    protocol.statistics = statistics;
    const TrainingRun run = train_too_fast(1e38, protocol, network(1, true));
    expect_divergence(run);
    EXPECT_EQ(run.divergence->step, 1);
    EXPECT_TRUE(run.steps.empty());
    EXPECT_EQ(run.population_accuracy, report::diverged);
  }
}

/// A layer that refuses to be called for the fifth time, with a parameter that has become NaN or not.
struct Refusal final : nn::Layer<float> {
  explicit Refusal(bool becomes_nan) : breaks(becomes_nan) {}

  void forward(const nn::Matrix<float>& x, nn::Matrix<float>& y) override {
    y = x;
    if (++calls < 5) return;
    if (breaks) value.setConstant(std::numeric_limits<float>::quiet_NaN());
    throw std::invalid_argument("variance nan in channel 3");
  }
  void backward(const nn::Matrix<float>&, const nn::Matrix<float>&, const nn::Matrix<float>& dy,
                nn::Matrix<float>* dx) override {
    if (dx) *dx = dy;
  }
  void for_each_parameter(const nn::ParameterVisitor<float>& visit) override {
    visit({"value", {value.data(), 1}, {gradient.data(), 1}, false});
  }

  bool breaks;
  int calls = 0;
  Eigen::ArrayXf value = Eigen::ArrayXf::Zero(1), gradient = Eigen::ArrayXf::Zero(1);
};

TEST(Divergence, IsWhyTheLibraryRefusesWhatIsNotFinite) {
  networks::Network refusing = network(1, true);
  refusing.model.add(Refusal(true));
  const TrainingRun run = train_too_fast(0.1, short_protocol(), std::move(refusing));
  expect_divergence(run);
  EXPECT_EQ(run.divergence->step, 5);
  EXPECT_EQ(run.divergence->reason, "variance nan in channel 3");
}

TEST(Divergence, IsNotWhyTheLibraryRefusesAnythingElse) {
  networks::Network refusing = network(1, true);
  refusing.model.add(Refusal(false));
  EXPECT_THROW(train_too_fast(0.1, short_protocol(), std::move(refusing)), std::invalid_argument);
}

}  // namespace training_test
