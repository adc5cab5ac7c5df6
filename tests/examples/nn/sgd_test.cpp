#include "nn/sgd.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/batch_norm.hpp"
#include "nn/dense.hpp"

namespace sgd_test {

namespace bn = batchnorm;

TEST(Sgd, DecaysOnlyWhatSaysSoAndClearsTheGradients) {
  nn::Sequential<double> model;
  model.add(nn::Dense<double>(2, 2));
  model.add(nn::BatchNorm<double>({.channels = 2}));
  model.for_each_parameter([](bn::Parameter<double> parameter) {
    parameter.value.setConstant(1.0);
    parameter.gradient.setConstant(2.0);
  });
  nn::Sgd<double>(0.25, 0.5).step(model);
  model.for_each_parameter([](bn::Parameter<double> parameter) {
    const bool decays = parameter.name == "weight";
    EXPECT_EQ(parameter.weight_decay, decays) << parameter.name;
    // 1 - 0.25 * 2, and 0.25 * 0.5 * 1 less where weights decay.
    EXPECT_TRUE((parameter.value == (decays ? 0.375 : 0.5)).all()) << parameter.name;
    EXPECT_TRUE((parameter.gradient == 0).all()) << parameter.name;
  });
}

/// Three steps on one weight, with the gradient 1 each time.
double three_steps(nn::Sgd<double> sgd) {
  nn::Sequential<double> model;
  model.add(nn::Dense<double>(1, 1, nn::Bias::no));
  double value = 0;
  for (int i = 0; i < 3; ++i) {
    model.for_each_parameter([](bn::Parameter<double> parameter) { parameter.gradient.setOnes(); });
    sgd.step(model);
  }
  model.for_each_parameter([&](bn::Parameter<double> parameter) { value = parameter.value[0]; });
  return value;
}

TEST(Sgd, MomentumGathersGradients) {
  EXPECT_DOUBLE_EQ(three_steps(nn::Sgd<double>(0.1)), -0.3);
  EXPECT_DOUBLE_EQ(three_steps(nn::Sgd<double>(0.1, 0, 0.5)), -0.1 * (1 + 1.5 + 1.75));
}

TEST(Sgd, MomentumGathersTheGradientOfThePenaltyToo) {
  // w = 0; velocity 1, w = -.1; velocity .5 + 1 - .2 * .1, ...
  const double second = 0.5 + 1 - 0.02, w = -0.1 - 0.1 * second, third = 0.5 * second + 1 + 0.2 * w;
  EXPECT_DOUBLE_EQ(three_steps(nn::Sgd<double>(0.1, 0.2, 0.5)), w - 0.1 * third);
}

TEST(HalvingRate, HalvesContinuously) {
  const nn::HalvingRate rate{0.8, 1000};
  EXPECT_DOUBLE_EQ(rate(0), 0.8);
  EXPECT_DOUBLE_EQ(rate(500), 0.8 * std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(rate(3000), 0.1);
  EXPECT_DOUBLE_EQ(nn::HalvingRate{0.8}(3000), 0.8);
}

}  // namespace sgd_test
