#include "program/inception_network.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

namespace bn = batchnorm;

Eigen::Index count_parameters(program::Network& network) {
  Eigen::Index count = 0;
  network.model.for_each_parameter([&](bn::Parameter<float> parameter) { count += parameter.value.size(); });
  return count;
}

TEST(Inception, HasTheParametersOfItsDescription) {
  auto without = program::make_inception({.unit = {.batch_norm = false}}), with = program::make_inception({});
  EXPECT_EQ(count_parameters(without), 22'242);
  EXPECT_EQ(count_parameters(with), 22'506);  // 264 biases make room for as many gammas and betas
}

TEST(Inception, ReadsImagesOfOnePixelARowOrOneImageARow) {
  auto network = program::make_inception({});
  const nn::Matrix<float> images = nn::Matrix<float>::Random(5, 196), pixels = images.reshaped<Eigen::RowMajor>(980, 1);
  const nn::Matrix<float> logits = network.model.forward(images);
  EXPECT_EQ(logits.rows(), 5);
  EXPECT_EQ(logits.cols(), 10);
  EXPECT_EQ(logits, network.model.forward(pixels));
}

TEST(Inception, AllNetworksOfASeedStartFromTheSameWeights) {
  std::vector<float> weights;
  auto with = program::make_inception({.seed = 3});
  auto without = program::make_inception({.unit = {.batch_norm = false}, .seed = 3});
  with.model.for_each_parameter([&](bn::Parameter<float> parameter) {
    if (parameter.name == "weight") weights.insert(weights.end(), parameter.value.begin(), parameter.value.end());
  });
  auto next = weights.begin();
  without.model.for_each_parameter([&](bn::Parameter<float> parameter) {
    if (parameter.name != "weight") return;
    for (const float value : parameter.value) ASSERT_EQ(value, *next++);
  });
  EXPECT_EQ(next, weights.end());
}

}  // namespace
