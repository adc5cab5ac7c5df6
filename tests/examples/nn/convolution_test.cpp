#include "nn/convolution.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "layer_check.hpp"

namespace convolution_test {

using nn_check::check_layer;
using nn_check::Matrix;
using nn_check::random_matrix;
using nn_check::randomize;
using testing_support::max_abs;

/// The weights as given; biases of .5.
void set_weights(nn::Convolution<double>& layer, const std::vector<double>& weights) {
  layer.for_each_parameter([&](nn::bn::Parameter<double> parameter) {
    if (parameter.name == "weight")
      std::ranges::copy(weights, parameter.value.data());
    else
      parameter.value.setConstant(0.5);
  });
}

TEST(Convolution, ByHand) {
  nn::Convolution<double> layer({2, 3, 1}, 1);
  set_weights(layer, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  Matrix x(6, 1), y, expected(6, 1);
  x << 1, 2, 3,  //
      4, 5, 6;
  layer.forward(x, y);
  // The first: 5 * 1 + 6 * 2 + 8 * 4 + 9 * 5, and the bias .5; around the image there are zeros.
  expected << 94.5, 154.5, 106.5, 58.5, 91.5, 58.5;
  EXPECT_EQ(y, expected);
}

TEST(Convolution, StrideWithoutBorderByHand) {
  nn::Convolution<double> layer({2, 5, 1}, 2, {.size = 2, .stride = 2, .padding = 0}, nn::Bias::no);
  EXPECT_EQ(layer.output_shape(), (nn::Shape{1, 2, 2}));
  set_weights(layer, {1, 10, 100, 1000, 1, 0, 0, -1});
  Matrix x(10, 1), y, expected(2, 2);
  x << 1, 2, 3, 4, 5,  //
      6, 7, 8, 9, 0;
  layer.forward(x, y);
  expected << 7621, -6, 9843, -6;
  EXPECT_EQ(y, expected);
}

/// y from its definition, a sum over the window; the weight of tap (k, l) and channel c is row (k * size + l) * C + c.
Matrix slow_convolution(const nn::Shape& image, const nn::Window& window, const Matrix& weight, const Matrix& x) {
  const nn::Shape output = window.slide_over(image, weight.cols());
  const Eigen::Index samples = x.rows() / image.pixels();
  Matrix y = Matrix::Zero(samples * output.pixels(), weight.cols());
  for (Eigen::Index row = 0; row < y.rows(); ++row) {
    const Eigen::Index n = row / output.pixels(), i = row % output.pixels() / output.columns, j = row % output.columns;
    for (Eigen::Index k = 0; k < window.size; ++k) {
      for (Eigen::Index l = 0; l < window.size; ++l) {
        const Eigen::Index line = i * window.stride - window.padding + k,
                           column = j * window.stride - window.padding + l;
        if (line < 0 || line >= image.rows || column < 0 || column >= image.columns) continue;
        y.row(row) += x.row((n * image.rows + line) * image.columns + column) *
                      weight.middleRows((k * window.size + l) * image.channels, image.channels);
      }
    }
  }
  return y;
}

const nn::Window windows[] = {{.size = 1},
                              {.size = 3},
                              {.size = 3, .stride = 2},
                              {.size = 3, .stride = 1, .padding = 0},
                              {.size = 1, .stride = 2},
                              {.size = 2, .stride = 3, .padding = 1},
                              {.size = 5, .stride = 2, .padding = 4}};

TEST(Convolution, AgreesWithItsDefinition) {
  const nn::Shape image{7, 5, 3};
  for (const nn::Window& window : windows) {
    const Matrix weight = random_matrix(window.size * window.size * 3, 4, 1), x = random_matrix(11 * 35, 3, 2);
    nn::Convolution<double> layer(image, 4, window, nn::Bias::no);
    layer.for_each_parameter(
        [&](nn::bn::Parameter<double> parameter) { parameter.value = weight.reshaped<Eigen::ColMajor>().array(); });
    Matrix y;
    layer.forward(x, y);  // some windows have more samples than are taken at once
    EXPECT_LT(max_abs(y - slow_convolution(image, window, weight, x)), 1e-13) << window.size;
  }
}

TEST(Convolution, Gradients) {
  for (const nn::Window& window : windows) {
    nn::Convolution<double> layer({4, 3, 2}, 3, window);
    randomize(layer, 1);
    check_layer(layer, random_matrix(2 * 12, 2, 2));
  }
}

TEST(Convolution, GradientsOfSeveralBlocks) {
  nn::Convolution<double> layer({10, 10, 1}, 2);  // two samples at once, so three need two blocks
  randomize(layer, 1);
  check_layer(layer, random_matrix(300, 1, 2));
}

TEST(Convolution, WeightsAreDrawnByTheInputsOfAUnit) {
  nn::Convolution<double> layer({4, 4, 2}, 500);
  nn::Normal normal(1);
  layer.initialize(normal, nn::he_deviation);
  layer.for_each_parameter([&](nn::bn::Parameter<double> parameter) {
    if (parameter.name != "weight") return;
    EXPECT_NEAR(parameter.value.square().mean(), 2.0 / 18, 4 * 2.0 / 18 * std::sqrt(2.0 / 9000));
  });
}

}  // namespace convolution_test
