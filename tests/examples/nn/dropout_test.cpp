#include "nn/dropout.hpp"

#include <gtest/gtest.h>

#include "layer_check.hpp"

namespace dropout_test {

namespace bn = batchnorm;
using nn_check::Matrix;
using nn_check::random_matrix;

TEST(Dropout, DropsTheGivenPartAndKeepsTheMean) {
  nn::Dropout<double> layer(0.25, 1);
  const Matrix x = Matrix::Ones(200, 200);
  Matrix y;
  layer.forward(x, y);
  const auto dropped = static_cast<double>((y.array() == 0).count());
  EXPECT_NEAR(dropped / 40'000, 0.25, 4 * std::sqrt(0.25 * 0.75 / 40'000));
  EXPECT_TRUE((y.array() == 0 || y.array() == 1 / 0.75).all());
  Matrix again;
  layer.forward(x, again);
  EXPECT_NE(y, again);
}

TEST(Dropout, TheGradientGoesWhereTheValueWent) {
  nn::Dropout<double> layer(0.5, 1);
  const Matrix x = random_matrix(6, 5, 1), dy = random_matrix(6, 5, 2);
  Matrix y, dx;
  layer.forward(x, y);
  layer.backward(x, y, dy, &dx);
  EXPECT_TRUE(dx.isApprox((y.array() / x.array() * dy.array()).matrix(), 1e-15));
}

TEST(Dropout, DoesNothingInInference) {
  nn::Dropout<double> layer(0.5, 1);
  layer.set_mode(bn::Mode::inference);
  nn_check::check_layer(layer, random_matrix(4, 3, 1));
  Matrix y;
  layer.forward(random_matrix(4, 3, 1), y);
  EXPECT_EQ(y, random_matrix(4, 3, 1));
}

TEST(Dropout, TheSameSeedGivesTheSameBits) {
  nn::Dropout<double> one(0.5, 3), two(0.5, 3);
  Matrix y, z;
  one.forward(Matrix::Ones(5, 5), y);
  two.forward(Matrix::Ones(5, 5), z);
  EXPECT_EQ(y, z);
}

}  // namespace dropout_test
