#include "nn/pooling.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "layer_check.hpp"

namespace pooling_test {

using nn_check::check_layer;
using nn_check::Matrix;
using nn_check::random_matrix;

const nn::Window windows[] = {{.size = 3}, {.size = 3, .stride = 2}, {.size = 2, .stride = 2, .padding = 0}};

Matrix image_of_six() {
  Matrix x(6, 1);
  x << 1, 2, 6,  //
      5, 4, -3;
  return x;
}

TEST(MaxPool, ByHand) {
  nn::MaxPool<double> layer({2, 3, 1}, {.stride = 2});
  EXPECT_EQ(layer.output_shape(), (nn::Shape{1, 2, 1}));
  Matrix y, dx, dy(2, 1), expected(6, 1);
  layer.forward(image_of_six(), y);
  EXPECT_EQ(y, (Matrix(2, 1) << 5, 6).finished());
  dy << 10, 20;
  layer.backward(image_of_six(), y, dy, &dx);
  expected << 0, 0, 20, 10, 0, 0;
  EXPECT_EQ(dx, expected);
}

TEST(MaxPool, TheBorderIsNeverTheLargest) {
  nn::MaxPool<double> layer({2, 2, 1}, {});
  const Matrix x = Matrix::Constant(4, 1, -2);
  Matrix y;
  layer.forward(x, y);
  EXPECT_EQ(y, x);
}

TEST(MaxPool, TheFirstOfEqualsTakesTheGradient) {
  nn::MaxPool<double> layer({2, 2, 1}, {.size = 2, .stride = 2, .padding = 0});
  const Matrix x = Matrix::Zero(4, 1), dy = Matrix::Ones(1, 1);
  Matrix y, dx;
  layer.forward(x, y);
  layer.backward(x, y, dy, &dx);
  EXPECT_EQ(dx, Matrix::Identity(4, 1)) << "a quarter each would be wrong";
}

TEST(MaxPool, PassesNanOn) {
  nn::MaxPool<double> layer({1, 3, 1}, {});
  Matrix x(3, 1), y;
  for (Eigen::Index at = 0; at < 3; ++at) {
    x << 1, 2, 3;
    x(at, 0) = std::numeric_limits<double>::quiet_NaN();
    layer.forward(x, y);
    EXPECT_TRUE(std::isnan(y(1, 0))) << at;
  }
}

TEST(MaxPool, Gradients) {
  for (const nn::Window& window : windows) {
    nn::MaxPool<double> layer({4, 5, 3}, window);
    check_layer(layer, random_matrix(2 * 20, 3, 2));
  }
}

TEST(AveragePool, CountsTheBorder) {
  nn::AveragePool<double> layer({2, 3, 1}, {});
  Matrix y, expected(6, 1);
  layer.forward(image_of_six(), y);
  expected << 12, 15, 9, 12, 15, 9;
  EXPECT_TRUE(y.isApprox(expected / 9, 1e-15)) << y;
}

TEST(AveragePool, Gradients) {
  for (const nn::Window& window : windows) {
    nn::AveragePool<double> layer({4, 5, 3}, window);
    check_layer(layer, random_matrix(2 * 20, 3, 2));
  }
}

TEST(GlobalAveragePool, ByHand) {
  nn::GlobalAveragePool<double> layer({1, 2, 2});
  Matrix x(4, 2), y;
  x << 1, 2, 3, 4,  // the first sample
      5, 6, 7, 0;
  layer.forward(x, y);
  EXPECT_EQ(y, (Matrix(2, 2) << 2, 3, 6, 3).finished());
}

TEST(GlobalAveragePool, Gradients) {
  nn::GlobalAveragePool<double> layer({2, 3, 4});
  check_layer(layer, random_matrix(3 * 6, 4, 2));
}

}  // namespace pooling_test
