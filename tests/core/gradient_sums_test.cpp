#include <gtest/gtest.h>

#include <batchnorm/core/gradient_sums.hpp>

#include "support/throws.hpp"

namespace gradient_sums_test {

namespace bn = batchnorm;
using testing_support::has_parts;
using testing_support::message_of;

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

TEST(GradientSums, OfNoChannelsAreNothing) {
  bn::GradientSums none, sums(2);
  sums.dy << 1, 2;
  sums.add(none);
  EXPECT_TRUE((sums.dy == Eigen::Array2d(1, 2)).all());
  none.add(sums);
  EXPECT_TRUE((none.dy == sums.dy).all());
  EXPECT_EQ(none.dy_x.size(), 2);
}

TEST(GradientSums, OfOtherChannelsAreRefused) {
  bn::GradientSums sums(3), half_made(3);
  half_made.dy_x.resize(2);
  EXPECT_EQ(message_of([&] { sums.add(bn::GradientSums(2)); }),
            "batchnorm: GradientSums::add(other): expected 3 channels as in dy, got 3 in dy_x, 2 in other.dy and 2 in "
            "other.dy_x");
  EXPECT_TRUE(has_parts(message_of([&] { sums.add(half_made); }), "2 in other.dy_x"));
  EXPECT_TRUE(has_parts(message_of([&] { half_made.add(sums); }), "2 in dy_x"));
  EXPECT_EQ(sums.dy.size(), 3);
}

}  // namespace gradient_sums_test
