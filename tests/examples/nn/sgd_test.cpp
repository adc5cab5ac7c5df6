#include "nn/sgd.hpp"

#include <gtest/gtest.h>

#include "nn/batch_norm.hpp"
#include "nn/dense.hpp"

namespace {

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

}  // namespace
