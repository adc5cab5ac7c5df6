#include "nn/random.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "nn/batch_norm.hpp"
#include "nn/dense.hpp"
#include "nn/sequential.hpp"

namespace random_test {

namespace bn = batchnorm;

TEST(Normal, HasTheMomentsOfANormalDistribution) {
  nn::Normal normal(1);
  constexpr int count = 200'000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < count; ++i) {
    const double z = normal();
    sum += z;
    squares += z * z;
    fourth += z * z * z * z;
  }
  // Four standard errors: sqrt(1 / n), sqrt(2 / n), sqrt(96 / n).
  EXPECT_NEAR(sum / count, 0, 0.009);
  EXPECT_NEAR(squares / count, 1, 0.013);
  EXPECT_NEAR(fourth / count, 3, 0.09);
}

TEST(Normal, IsTheSameFromEveryCompiler) {
  nn::Normal normal(42);
  const double first = normal(), second = normal();
  EXPECT_DOUBLE_EQ(first, -1.0771745442782885);
  EXPECT_DOUBLE_EQ(second, 1.0945198485006107);
}

TEST(InitializeWeights, DrawsWeightsOnlyWithAndWithoutBatchNormTheSame) {
  nn::Sequential<float> plain, normalized;
  plain.add(nn::Dense<float>(3, 4));
  plain.add(nn::Dense<float>(4, 2));
  normalized.add(nn::Dense<float>(3, 4, nn::Bias::no));
  normalized.add(nn::BatchNorm<float>({.channels = 4}));
  normalized.add(nn::Dense<float>(4, 2));
  std::vector<float> weights;
  nn::initialize_weights(plain, 0.01, 5);
  plain.for_each_parameter([&](bn::Parameter<float> parameter) {
    if (parameter.name == "weight")
      weights.insert(weights.end(), parameter.value.begin(), parameter.value.end());
    else
      EXPECT_TRUE((parameter.value == 0).all()) << parameter.name;
  });
  ASSERT_EQ(weights.size(), 20u);
  EXPECT_NE(weights.front(), 0);
  nn::initialize_weights(normalized, 0.01, 5);
  std::size_t i = 0;
  normalized.for_each_parameter([&](bn::Parameter<float> parameter) {
    if (parameter.name == "weight")
      for (const float value : parameter.value) EXPECT_EQ(value, weights[i++]);
    else if (parameter.name == "gamma")
      EXPECT_TRUE((parameter.value == 1).all());
    else
      EXPECT_TRUE((parameter.value == 0).all()) << parameter.name;
  });
}

TEST(InitializeWeights, DeviationsByTheNumberOfInputs) {
  EXPECT_DOUBLE_EQ(nn::lecun_deviation(100), 0.1);
  EXPECT_DOUBLE_EQ(nn::he_deviation(50), 0.2);
  nn::Sequential<double> one, scaled;
  one.add(nn::Dense<double>(50, 3));
  scaled.add(nn::Dense<double>(50, 3));
  nn::initialize_weights(one, 1.0, 5);
  nn::initialize_weights(scaled, nn::he_deviation, 5);
  std::vector<double> weights;
  one.for_each_parameter(
      [&](bn::Parameter<double> p) { weights.insert(weights.end(), p.value.begin(), p.value.end()); });
  std::size_t i = 0;
  scaled.for_each_parameter([&](bn::Parameter<double> p) {
    for (const double value : p.value) EXPECT_DOUBLE_EQ(value, 0.2 * weights[i++]);
  });
}

}  // namespace random_test
