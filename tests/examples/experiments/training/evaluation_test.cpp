#include "experiments/training/evaluation.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "experiments/report/text.hpp"
#include "nn/nn.hpp"

namespace evaluation_test {

namespace bn = batchnorm;

TEST(Samples, AreCutIntoPieces) {
  const data::Dataset dataset = data::drawn_dataset(10, 25);
  const auto samples = training::make_samples(dataset.test, data::Input::binary, 25, 10);
  ASSERT_EQ(samples.images.size(), 3u);
  EXPECT_EQ(samples.images[2].rows(), 5);
  EXPECT_EQ(samples.labels[2].back(), dataset.test.labels[24]);
  EXPECT_EQ(samples.count, 25);
  EXPECT_EQ(training::make_samples(dataset.test, data::Input::gray, 1000, 1000).count, 25);
}

TEST(Samples, AreDistortedOnceWhateverThePiece) {
  const data::Dataset dataset = data::drawn_dataset(10, 30);
  const data::Distortion most = {.rotation = 20, .noise = 0.1};
  const auto make = [&](Eigen::Index piece, const data::Distortion& distortion) {
    return training::make_samples(dataset.test, data::Input::halved, 30, piece, distortion);
  };
  const auto once = make(30, most), again = make(30, most), pieces = make(7, most), plain = make(30, {});
  EXPECT_EQ(again.images[0], once.images[0]);
  EXPECT_NE(plain.images[0], once.images[0]);
  EXPECT_EQ(plain.labels, once.labels);
  ASSERT_EQ(pieces.images.size(), 5u);
  for (Eigen::Index i = 0; i < 30; ++i)
    EXPECT_EQ(pieces.images[static_cast<std::size_t>(i / 7)].row(i % 7), once.images[0].row(i));
}

TEST(Accuracy, CountsOverAllPiecesAndRestoresTheMode) {
  const data::Dataset dataset = data::drawn_dataset(10, 30);  // image i shows i % 10
  nn::Sequential<float> model;
  model.add(nn::Dense<float>(784, 10));  // all weights 0: it says 0 to everything
  nn::Activations<float> activations;
  EXPECT_DOUBLE_EQ(
      training::accuracy(model, training::make_samples(dataset.test, data::Input::gray, 30, 7), activations), 0.1);
  EXPECT_EQ(model.mode(), bn::Mode::training);
}

TEST(ClassProbabilities, AreThoseOfAllPiecesInOrder) {
  const data::Dataset dataset = data::drawn_dataset(10, 30);
  const auto samples = training::make_samples(dataset.test, data::Input::gray, 30, 7);
  nn::Sequential<float> model;
  model.add(nn::Dense<float>(784, 10));
  nn::initialize_weights(model, 0.1, 1);
  nn::Activations<float> activations;
  const nn::Matrix<float> probabilities = training::class_probabilities(model, samples);
  ASSERT_EQ(probabilities.rows(), 30);
  EXPECT_NEAR(probabilities.row(29).sum(), 1, 1e-6);
  EXPECT_EQ(training::accuracy(probabilities, samples), training::accuracy(model, samples, activations));
}

TEST(PopulationStatistics, AverageOverBatchesAsInAlgorithm2) {
  nn::Sequential<float> model;
  auto& norm = model.add(nn::BatchNorm<float>({.channels = 1}));
  std::vector<nn::Matrix<float>> batches(2, nn::Matrix<float>(2, 1));
  batches[0] << 0, 2;  // mean 1, variance 1
  batches[1] << 2, 8;  // mean 5, variance 9
  std::size_t i = 0;
  training::use_population_statistics(model, 2, [&]() -> const nn::Matrix<float>& { return batches[i++]; });
  EXPECT_DOUBLE_EQ(norm.norm().running().mean[0], 3);
  EXPECT_DOUBLE_EQ(norm.norm().running().variance[0], 10);  // m / (m - 1) times the mean of 1 and 9
  EXPECT_EQ(model.mode(), bn::Mode::training);
}

constexpr float float_nan = std::numeric_limits<float>::quiet_NaN(), float_inf = std::numeric_limits<float>::infinity();

TEST(Accuracy, OfANetworkThatDivergedIsNoChance) {
  const data::Dataset dataset = data::drawn_dataset(10, 30);
  const auto samples = training::make_samples(dataset.test, data::Input::gray, 30, 7);
  nn::Activations<float> activations;
  const auto accuracy_with = [&](float weight, bool relu) {
    nn::Sequential<float> model;
    model.add(nn::Dense<float>(784, 10));
    if (relu) model.add(nn::Relu<float>());
    model.for_each_parameter([&](bn::Parameter<float> parameter) { parameter.value.setConstant(weight); });
    return training::accuracy(model, samples, activations);
  };
  EXPECT_DOUBLE_EQ(accuracy_with(0, false), 0.1);
  EXPECT_EQ(accuracy_with(float_nan, false), report::diverged);
  EXPECT_EQ(accuracy_with(float_nan, true), report::diverged);
  EXPECT_EQ(accuracy_with(float_inf, false), report::diverged);
  EXPECT_EQ(accuracy_with(3e38f, false), report::diverged) << "finite weights, infinite outputs";
}

TEST(Accuracy, OfANetworkWithNonsenseInItsRunningStatisticsIsNoneEither) {
  const data::Dataset dataset = data::drawn_dataset(10, 30);
  const auto samples = training::make_samples(dataset.test, data::Input::gray, 30, 7);
  nn::Activations<float> activations;
  for (const float nonsense : {float_nan, float_inf}) {
    nn::Sequential<float> model;
    model.add(nn::Dense<float>(784, 10));
    auto& norm = model.add(nn::BatchNorm<float>({.channels = 10}));
    EXPECT_DOUBLE_EQ(training::accuracy(model, samples, activations), 0.1);
    norm.norm().running().variance[3] = nonsense;
    EXPECT_EQ(training::accuracy(model, samples, activations), report::diverged);
  }
}

TEST(PopulationStatistics, OfABatchThatIsNotFiniteAreRefusedAndLeaveTheRunningOnesAlone) {
  nn::Sequential<float> model;
  auto& norm = model.add(nn::BatchNorm<float>({.channels = 1}));
  norm.norm().running().mean[0] = 7;
  std::vector<nn::Matrix<float>> batches(2, nn::Matrix<float>(2, 1));
  batches[0] << 0, 2;
  batches[1] << 2, float_inf;
  std::size_t i = 0;
  EXPECT_FALSE(
      training::use_population_statistics(model, 2, [&]() -> const nn::Matrix<float>& { return batches[i++]; }));
  EXPECT_EQ(norm.norm().running().mean[0], 7);
  EXPECT_EQ(model.mode(), bn::Mode::training);
}

}  // namespace evaluation_test
