// Every gradient of the harness against central differences, in double.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "nn/nn.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace {

namespace bn = batchnorm;
using testing_support::central_difference;
using Matrix = nn::Matrix<double>;

Matrix random_matrix(Eigen::Index rows, Eigen::Index columns, std::uint64_t seed) {
  testing_support::Random random(seed);
  return Matrix::NullaryExpr(rows, columns, [&] { return random.normal(); });
}

void randomise(nn::Layer<double>& layer, std::uint64_t seed) {
  testing_support::Random random(seed);
  layer.for_each_parameter([&](bn::Parameter<double> parameter) {
    for (double& value : parameter.value) value = random.uniform(0.5, 1.5);
  });
}

void expect_close(double gradient, double difference, const std::string& what) {
  EXPECT_NEAR(gradient, difference, double(testing_support::difference_tolerance) * std::max(1.0, std::abs(difference)))
      << what;
}

/// Checks dx and the parameters' gradients of sum(cotangent * layer(x)), for a random cotangent.
void check_layer(nn::Layer<double>& layer, Matrix x) {
  Matrix y, unused, dx;
  layer.forward(x, y);
  const Matrix cotangent = random_matrix(y.rows(), y.cols(), 3);
  layer.backward(x, y, cotangent, &dx);
  const auto loss = [&] {
    layer.forward(x, unused);
    return (unused.array() * cotangent.array()).sum();
  };

  ASSERT_EQ(dx.rows(), x.rows());
  ASSERT_EQ(dx.cols(), x.cols());
  for (Eigen::Index i = 0; i < x.size(); ++i)
    expect_close(dx.data()[i], central_difference(x.data()[i], loss), "dx " + std::to_string(i));
  layer.for_each_parameter([&](bn::Parameter<double> parameter) {
    for (Eigen::Index i = 0; i < parameter.value.size(); ++i)
      expect_close(parameter.gradient[i], central_difference(parameter.value[i], loss),
                   std::string(parameter.name) + " " + std::to_string(i));
  });
}

TEST(Gradients, DenseWithBias) {
  nn::Dense<double> layer(5, 3);
  randomise(layer, 1);
  check_layer(layer, random_matrix(7, 5, 2));
}

TEST(Gradients, DenseWithoutBias) {
  nn::Dense<double> layer(5, 3, nn::Bias::no);
  randomise(layer, 1);
  int parameters = 0;
  layer.for_each_parameter([&](bn::Parameter<double>) { ++parameters; });
  EXPECT_EQ(parameters, 1);
  check_layer(layer, random_matrix(7, 5, 2));
}

TEST(Gradients, Sigmoid) {
  nn::Sigmoid<double> layer;
  check_layer(layer, 3 * random_matrix(7, 5, 2));
}

TEST(Gradients, Relu) {
  nn::Relu<double> layer;
  check_layer(layer, random_matrix(7, 5, 2));
}

TEST(Gradients, ReluIsFlatAtZero) {
  nn::Relu<double> layer;
  const Matrix x = Matrix::Zero(1, 1), dy = Matrix::Ones(1, 1);
  Matrix y, dx;
  layer.forward(x, y);
  layer.backward(x, y, dy, &dx);
  EXPECT_EQ(dx(0, 0), 0.0);
}

TEST(Gradients, BatchNorm) {
  nn::BatchNorm<double> layer({.channels = 5});
  randomise(layer, 1);
  check_layer(layer, random_matrix(7, 5, 2));
}

TEST(Gradients, GradientsOfTwoBackwardsAddUp) {
  nn::Dense<double> layer(5, 3);
  const Matrix x = random_matrix(7, 5, 1), dy = random_matrix(7, 3, 2);
  Matrix y;
  layer.forward(x, y);
  std::vector<Eigen::ArrayXd> once;
  layer.backward(x, y, dy, nullptr);
  layer.for_each_parameter([&](bn::Parameter<double> parameter) { once.push_back(parameter.gradient); });
  layer.backward(x, y, dy, nullptr);
  std::size_t i = 0;
  layer.for_each_parameter([&](bn::Parameter<double> parameter) {
    EXPECT_TRUE(parameter.gradient.isApprox(2 * once[i++], 1e-15)) << parameter.name;
  });
}

/// The loss of a whole network, with respect to all its parameters.
void check_network(nn::Sequential<double>& model) {
  nn::initialise_weights(model, 0.5, 4);
  const Matrix x = random_matrix(9, 6, 5);
  const std::vector<std::uint8_t> labels = {0, 1, 2, 3, 0, 1, 2, 3, 3};
  Matrix output_gradient, unused;
  nn::softmax_cross_entropy<double>(model.forward(x), labels, output_gradient);
  model.backward(x, output_gradient);
  const auto loss = [&] { return nn::softmax_cross_entropy<double>(model.forward(x), labels, unused); };

  double largest = 0;
  model.for_each_parameter([&](bn::Parameter<double> parameter) {
    largest = std::max(largest, parameter.gradient.abs().maxCoeff());
    for (Eigen::Index i = 0; i < parameter.value.size(); ++i)
      expect_close(parameter.gradient[i], central_difference(parameter.value[i], loss),
                   std::string(parameter.name) + " " + std::to_string(i));
  });
  EXPECT_GT(largest, 1e-2) << "a network without gradients proves nothing";
}

TEST(Gradients, NetworkWithoutBatchNorm) {
  nn::Sequential<double> model;
  model.add(nn::Dense<double>(6, 5));
  model.add(nn::Sigmoid<double>());
  model.add(nn::Dense<double>(5, 5));
  model.add(nn::Relu<double>());
  model.add(nn::Dense<double>(5, 4));
  check_network(model);
}

TEST(Gradients, NetworkWithBatchNorm) {
  nn::Sequential<double> model;
  model.add(nn::Dense<double>(6, 5, nn::Bias::no));
  model.add(nn::BatchNorm<double>({.channels = 5}));
  model.add(nn::Sigmoid<double>());
  model.add(nn::Dense<double>(5, 5, nn::Bias::no));
  model.add(nn::BatchNorm<double>({.channels = 5}));
  model.add(nn::Relu<double>());
  model.add(nn::Dense<double>(5, 4));
  check_network(model);
}

TEST(Gradients, NetworkThatBeginsWithBatchNorm) {
  nn::Sequential<double> model;
  model.add(nn::BatchNorm<double>({.channels = 6}));
  model.add(nn::Dense<double>(6, 4));
  check_network(model);
}

}  // namespace
