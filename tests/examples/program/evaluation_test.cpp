#include "program/evaluation.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace {

namespace bn = batchnorm;

TEST(Samples, AreCutIntoPieces) {
  const data::Dataset dataset = data::drawn_dataset(10, 25);
  const auto samples = program::make_samples(dataset.test, data::Input::binary, 25, 10);
  ASSERT_EQ(samples.images.size(), 3u);
  EXPECT_EQ(samples.images[2].rows(), 5);
  EXPECT_EQ(samples.labels[2].back(), dataset.test.labels[24]);
  EXPECT_EQ(samples.count, 25);
  EXPECT_EQ(program::make_samples(dataset.test, data::Input::grey, 1000, 1000).count, 25);
}

TEST(Accuracy, CountsOverAllPiecesAndRestoresTheMode) {
  const data::Dataset dataset = data::drawn_dataset(10, 30);  // image i shows i % 10
  nn::Sequential<float> model;
  model.add(nn::Dense<float>(784, 10));  // all weights 0: it says 0 to everything
  nn::Activations<float> activations;
  EXPECT_DOUBLE_EQ(program::accuracy(model, program::make_samples(dataset.test, data::Input::grey, 30, 7), activations),
                   0.1);
  EXPECT_EQ(model.mode(), bn::Mode::training);
}

TEST(ClassProbabilities, AreThoseOfAllPiecesInOrder) {
  const data::Dataset dataset = data::drawn_dataset(10, 30);
  const auto samples = program::make_samples(dataset.test, data::Input::grey, 30, 7);
  nn::Sequential<float> model;
  model.add(nn::Dense<float>(784, 10));
  nn::initialise_weights(model, 0.1, 1);
  nn::Activations<float> activations;
  const nn::Matrix<float> probabilities = program::class_probabilities(model, samples);
  ASSERT_EQ(probabilities.rows(), 30);
  EXPECT_NEAR(probabilities.row(29).sum(), 1, 1e-6);
  EXPECT_EQ(program::accuracy(probabilities, samples), program::accuracy(model, samples, activations));
}

TEST(PopulationStatistics, AverageOverBatchesAsInAlgorithm2) {
  nn::Sequential<float> model;
  auto& norm = model.add(nn::BatchNorm<float>({.channels = 1}));
  std::vector<nn::Matrix<float>> batches(2, nn::Matrix<float>(2, 1));
  batches[0] << 0, 2;  // mean 1, variance 1
  batches[1] << 2, 8;  // mean 5, variance 9
  std::size_t i = 0;
  program::use_population_statistics(model, 2, [&]() -> const nn::Matrix<float>& { return batches[i++]; });
  EXPECT_FLOAT_EQ(norm.norm().running().mean[0], 3);
  EXPECT_FLOAT_EQ(norm.norm().running().variance[0], 10);  // m / (m - 1) times the mean of 1 and 9
  EXPECT_EQ(model.mode(), bn::Mode::training);
}

}  // namespace
