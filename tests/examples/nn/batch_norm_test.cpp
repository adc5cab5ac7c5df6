#include "nn/batch_norm.hpp"

#include <gtest/gtest.h>

#include "layer_check.hpp"

namespace batch_norm_test {

namespace bn = batchnorm;
using nn_check::Matrix;
using nn_check::random_matrix;

TEST(BatchNormPerActivation, GradientsAreThoseOfTheDefinition) {
  nn::BatchNorm<double, bn::relu> layer({.channels = 6}, 2);
  nn_check::randomize(layer, 1);
  nn_check::check_layer(layer, random_matrix(7 * 2, 3, 2));
}

TEST(BatchNormPerActivation, EachPlaceOfAnImageHasItsOwnStatistics) {
  nn::BatchNorm<double> each({.channels = 6}, 2), joint({.channels = 3});
  Matrix x = random_matrix(7 * 2, 3, 3), y;
  for (Eigen::Index i = 0; i < x.rows(); i += 2) x.row(i).array() += 10;  // the first pixels are brighter
  const auto mean_of_first_pixels = [&] {
    double sum = 0;
    for (Eigen::Index i = 0; i < y.rows(); i += 2) sum += y.row(i).sum();
    return sum / static_cast<double>(y.size() / 2);
  };
  each.forward(x, y);
  EXPECT_EQ(y.rows(), 14);
  EXPECT_EQ(y.cols(), 3);
  EXPECT_NEAR(mean_of_first_pixels(), 0, 1e-12);
  joint.forward(x, y);
  EXPECT_GT(mean_of_first_pixels(), 0.9);
}

}  // namespace batch_norm_test
