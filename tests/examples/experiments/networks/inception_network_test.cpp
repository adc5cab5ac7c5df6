#include "experiments/networks/inception_network.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace inception_network_test {

namespace bn = batchnorm;

Eigen::Index count_parameters(networks::Network& network) {
  Eigen::Index count = 0;
  network.model.for_each_parameter([&](bn::Parameter<float> parameter) { count += parameter.value.size(); });
  return count;
}

TEST(Inception, HasTheParametersOfItsDescription) {
  auto without = networks::make_inception({.unit = {.batch_norm = false}}), with = networks::make_inception({});
  EXPECT_EQ(count_parameters(without), 22'242);
  EXPECT_EQ(count_parameters(with), 22'506);  // 264 biases make room for as many gammas and betas
}

TEST(Inception, ReadsImagesOfOnePixelARowOrOneImageARow) {
  auto network = networks::make_inception({});
  const nn::Matrix<float> images = nn::Matrix<float>::Random(5, 196), pixels = images.reshaped<Eigen::RowMajor>(980, 1);
  const nn::Matrix<float> logits = network.model.forward(images);
  EXPECT_EQ(logits.rows(), 5);
  EXPECT_EQ(logits.cols(), 10);
  EXPECT_EQ(logits, network.model.forward(pixels));
}

TEST(Inception, TakesTheSwitchesOfTheEnsemble) {
  auto per_activation = networks::make_inception({.per_activation = true});
  EXPECT_EQ(count_parameters(per_activation), 22'506 + 2 * 15 * 112)
      << "112 channels of the last module, on 4x4 pixels";
  auto large = networks::make_inception({.image = 28, .dropout = 0.1, .local_response_norm = true});
  EXPECT_EQ(large.model.forward(nn::Matrix<float>::Random(2, 784)).rows(), 2);
  EXPECT_EQ(count_parameters(large), 22'506);

  std::vector<float> ratios;
  auto usual = networks::make_inception({}), heavy = networks::make_inception({.weights = 2});
  std::vector<std::vector<float>> weights;
  usual.model.for_each_parameter([&](bn::Parameter<float> parameter) {
    if (parameter.name == "weight") weights.emplace_back(parameter.value.begin(), parameter.value.end());
  });
  std::size_t next = 0;
  heavy.model.for_each_parameter([&](bn::Parameter<float> parameter) {
    if (parameter.name == "weight") ratios.push_back(parameter.value[0] / weights[next++][0]);
  });
  EXPECT_EQ(ratios.back(), 1) << "the classifier is no convolution";
  ratios.pop_back();
  for (const float ratio : ratios) EXPECT_FLOAT_EQ(ratio, 2);
}

TEST(Inception, AllNetworksOfASeedStartFromTheSameWeights) {
  std::vector<float> weights;
  auto with = networks::make_inception({.seed = 3});
  auto without = networks::make_inception({.unit = {.batch_norm = false}, .seed = 3});
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

}  // namespace inception_network_test
