#include "experiments/networks/sigmoid_network.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sigmoid_network_test {

namespace bn = batchnorm;

std::vector<Eigen::ArrayXf> weights_of(networks::Network network) {
  std::vector<Eigen::ArrayXf> weights;
  network.model.for_each_parameter([&](bn::Parameter<float> parameter) {
    if (parameter.name == "weight") weights.push_back(parameter.value);
  });
  return weights;
}

TEST(SigmoidNetwork, BothNetworksOfASeedStartFromTheSameWeights) {
  const auto with = weights_of(networks::make_sigmoid_network({.batch_norm = true, .seed = 3}));
  const auto without = weights_of(networks::make_sigmoid_network({.batch_norm = false, .seed = 3}));
  ASSERT_EQ(with.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE((with[i] == without[i]).all());
}

TEST(SigmoidNetwork, HasBatchNormOrNot) {
  auto with = networks::make_sigmoid_network({.batch_norm = true}),
       without = networks::make_sigmoid_network({.batch_norm = false});
  EXPECT_TRUE(networks::has_batch_norm(with));
  EXPECT_FALSE(networks::has_batch_norm(without));
}

TEST(SigmoidNetwork, MayBeWhitenedInstead) {
  auto whitened = networks::make_sigmoid_network({.seed = 3, .whitening = bn::WhiteningOptions{.groups = 5}});
  EXPECT_FALSE(networks::has_batch_norm(whitened));
  Eigen::Index gammas = 0, biases = 0;
  whitened.model.for_each_parameter([&](bn::Parameter<float> parameter) {
    gammas += parameter.name == "gamma" ? parameter.value.size() : 0;
    biases += parameter.name == "bias";
  });
  EXPECT_EQ(gammas, 300);
  EXPECT_EQ(biases, 1);
  EXPECT_TRUE((weights_of(std::move(whitened))[2] == weights_of(networks::make_sigmoid_network({.seed = 3}))[2]).all());
}

TEST(SigmoidNetwork, TheOutputLayerMayHaveWeightsOfItsOwnSize) {
  const auto same = weights_of(networks::make_sigmoid_network({.deviation = nn::constant_deviation(1)}));
  const auto own = weights_of(networks::make_sigmoid_network(
      {.deviation = nn::constant_deviation(1), .output_deviation = nn::constant_deviation(0.01)}));
  EXPECT_TRUE((same[2] == own[2]).all());
  EXPECT_TRUE((0.01f * same[3]).isApprox(own[3], 1e-6f));
}

}  // namespace sigmoid_network_test
