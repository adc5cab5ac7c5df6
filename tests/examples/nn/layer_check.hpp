/// \file
/// Layers and whole networks of the harness against central differences, in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "nn/nn.hpp"
#include "support/gradient_check.hpp"
#include "support/random.hpp"

namespace nn_check {

namespace bn = batchnorm;
using testing_support::central_difference;
using Matrix = nn::Matrix<double>;

inline Matrix random_matrix(Eigen::Index rows, Eigen::Index columns, std::uint64_t seed) {
  testing_support::Random random(seed);
  return Matrix::NullaryExpr(rows, columns, [&] { return random.normal(); });
}

inline void randomize(nn::Layer<double>& layer, std::uint64_t seed) {
  testing_support::Random random(seed);
  layer.for_each_parameter([&](bn::Parameter<double> parameter) {
    for (double& value : parameter.value) value = random.uniform(0.5, 1.5);
  });
}

inline void expect_close(double gradient, double difference, const std::string& what) {
  EXPECT_NEAR(gradient, difference, double(testing_support::difference_tolerance) * std::max(1.0, std::abs(difference)))
      << what;
}

/// Checks dx and the parameters' gradients of sum(cotangent * layer(x)), for a random cotangent.
inline void check_layer(nn::Layer<double>& layer, Matrix x) {
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

/// The loss of a whole network, with respect to all its parameters; it has four classes.
inline void check_network(nn::Sequential<double>& model, const Matrix& x) {
  nn::initialize_weights(model, 0.5, 4);
  std::vector<std::uint8_t> labels;
  for (Eigen::Index i = 0; i < model.forward(x).rows(); ++i) labels.push_back(static_cast<std::uint8_t>(i * i % 4));
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

}  // namespace nn_check
