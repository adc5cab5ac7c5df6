#include <gtest/gtest.h>

#include <batchnorm/core/gradient_sums.hpp>

namespace gradient_sums_test {

namespace bn = batchnorm;

TEST(GradientSums, StartAtZero) {
  const bn::GradientSums sums(3);
  EXPECT_EQ(sums.dy.size(), 3);
  EXPECT_TRUE((sums.dy == 0).all() && (sums.dy_x == 0).all());
}

TEST(GradientSums, OfPartsAddUp) {
  bn::GradientSums a(2), b(2);
  a.dy << 1, 2;
  a.dy_x << 3, 4;
  b.dy << 10, 20;
  b.dy_x << 30, 40;
  a.add(b).add(b);
  EXPECT_TRUE((a.dy == Eigen::Array2d(21, 42)).all());
  EXPECT_TRUE((a.dy_x == Eigen::Array2d(63, 84)).all());
}

}  // namespace gradient_sums_test
