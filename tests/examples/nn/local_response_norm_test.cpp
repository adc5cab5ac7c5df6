#include "nn/local_response_norm.hpp"

#include <gtest/gtest.h>

#include "layer_check.hpp"

namespace local_response_norm_test {

using nn_check::check_layer;
using nn_check::Matrix;
using nn_check::random_matrix;

TEST(LocalResponseNorm, ByHand) {
  nn::LocalResponseNorm<double> layer({.size = 3, .alpha = 3, .beta = 0.5, .k = 2});
  Matrix x(1, 4), y, expected(1, 4);
  x << 1, 1, 3, 5;
  layer.forward(x, y);
  expected << 1 / std::sqrt(2 + 2), 1 / std::sqrt(2 + 11), 3 / std::sqrt(2 + 35), 5 / std::sqrt(2 + 34);
  EXPECT_TRUE(y.isApprox(expected, 1e-15)) << y;
}

TEST(LocalResponseNorm, Gradients) {
  for (const Eigen::Index channels : {1, 2, 3, 9}) {
    nn::LocalResponseNorm<double> layer({.size = 5, .alpha = 0.7, .beta = 0.75, .k = 1.5});
    check_layer(layer, random_matrix(4, channels, 2));
  }
}

}  // namespace local_response_norm_test
