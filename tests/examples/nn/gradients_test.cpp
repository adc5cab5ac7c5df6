// Every gradient of the harness against central differences, in double.
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "layer_check.hpp"

namespace gradients_test {

namespace bn = batchnorm;
using nn_check::check_layer;
using nn_check::check_network;
using nn_check::Matrix;
using nn_check::random_matrix;
using nn_check::randomize;

TEST(Gradients, DenseWithBias) {
  nn::Dense<double> layer(5, 3);
  randomize(layer, 1);
  check_layer(layer, random_matrix(7, 5, 2));
}

TEST(Gradients, DenseWithoutBias) {
  nn::Dense<double> layer(5, 3, nn::Bias::no);
  randomize(layer, 1);
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
  randomize(layer, 1);
  check_layer(layer, random_matrix(7, 5, 2));
}

TEST(Gradients, BatchNormWithFusedActivation) {
  nn::BatchNorm<double, bn::relu> rectified({.channels = 5});
  randomize(rectified, 1);
  check_layer(rectified, random_matrix(7, 5, 2));
  nn::BatchNorm<double, bn::sigmoid> squashed({.channels = 5});
  randomize(squashed, 1);
  check_layer(squashed, random_matrix(7, 5, 2));
}

TEST(Gradients, WhiteningNorm) {
  for (const auto method : {bn::WhiteningMethod::eigen, bn::WhiteningMethod::newton}) {
    nn::WhiteningNorm<double> layer({.channels = 4, .method = method, .epsilon = 0.01});
    randomize(layer, 1);
    check_layer(layer, random_matrix(9, 4, 2));
  }
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

TEST(Gradients, NetworkWithoutBatchNorm) {
  nn::Sequential<double> model;
  model.add(nn::Dense<double>(6, 5));
  model.add(nn::Sigmoid<double>());
  model.add(nn::Dense<double>(5, 5));
  model.add(nn::Relu<double>());
  model.add(nn::Dense<double>(5, 4));
  check_network(model, random_matrix(9, 6, 5));
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
  check_network(model, random_matrix(9, 6, 5));
}

TEST(Gradients, NetworkThatBeginsWithBatchNorm) {
  nn::Sequential<double> model;
  model.add(nn::BatchNorm<double>({.channels = 6}));
  model.add(nn::Dense<double>(6, 4));
  check_network(model, random_matrix(9, 6, 5));
}

TEST(Gradients, ReluKeepsNaNs) {
  nn::Relu<float> layer;
  nn::Matrix<float> y;
  for (const Eigen::Index columns : {1, 7, 64}) {  // whether Eigen takes packets or not
    layer.forward(nn::Matrix<float>::Constant(1, columns, std::numeric_limits<float>::quiet_NaN()), y);
    EXPECT_TRUE(y.array().isNaN().all()) << columns;
  }
}

}  // namespace gradients_test
