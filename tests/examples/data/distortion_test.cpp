#include "data/distortion.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace {

using Image = std::array<std::uint8_t, data::image_pixels>;

std::size_t at(Eigen::Index row, Eigen::Index column) {
  return static_cast<std::size_t>(row * data::image_columns + column);
}

/// A blot of 3x3 pixels.
Image blot(Eigen::Index row, Eigen::Index column) {
  Image image{};
  for (Eigen::Index i = -1; i <= 1; ++i) {
    for (Eigen::Index j = -1; j <= 1; ++j) image[at(row + i, column + j)] = 200;
  }
  return image;
}

Image distorted(const Image& image, const data::Distortion& most, data::Random& random) {
  Image result;
  result.fill(77);
  data::distort(image.data(), most, random, result.data());
  return result;
}

struct Center {
  double row = 0, column = 0, ink = 0;
};

Center center(const Image& image) {
  Center result;
  for (Eigen::Index i = 0; i < data::image_rows; ++i) {
    for (Eigen::Index j = 0; j < data::image_columns; ++j) {
      const double ink = image[at(i, j)];
      result.row += ink * static_cast<double>(i);
      result.column += ink * static_cast<double>(j);
      result.ink += ink;
    }
  }
  result.row /= result.ink;
  result.column /= result.ink;
  return result;
}

TEST(Distort, NothingChangesNothing) {
  data::Random random(1);
  EXPECT_EQ(distorted(blot(3, 20), {}, random), blot(3, 20));
}

TEST(Distort, ShiftsByAtMostSoManyPixelsAndKeepsTheInk) {
  data::Random random(2);
  double farthest = 0;
  for (int i = 0; i < 200; ++i) {
    const Center moved = center(distorted(blot(14, 10), {.shift = 3}, random));
    const double down = moved.row - 14, right = moved.column - 10;
    EXPECT_LE(std::max(std::abs(down), std::abs(right)), 3.01);
    EXPECT_NEAR(moved.ink, 9 * 200, 18);
    farthest = std::max({farthest, std::abs(down), std::abs(right)});
  }
  EXPECT_GT(farthest, 2.8);
}

TEST(Distort, TurnsAboutTheMiddleByAtMostTheAngle) {
  data::Random random(3);
  double largest = 0;
  for (int i = 0; i < 200; ++i) {
    const Center moved = center(distorted(blot(13, 23), {.rotation = 30}, random));
    const double down = moved.row - 13.5, right = moved.column - 13.5;
    EXPECT_NEAR(std::hypot(down, right), std::hypot(-0.5, 9.5), 0.05);
    const double degrees = (std::atan2(down, right) - std::atan2(-0.5, 9.5)) * 180 / 3.14159265358979;
    EXPECT_LE(std::abs(degrees), 30.3);
    largest = std::max(largest, std::abs(degrees));
  }
  EXPECT_GT(largest, 28);
}

TEST(Distort, ScalesAboutTheMiddle) {
  data::Random random(4);
  double smallest = 100, largest = 0;
  for (int i = 0; i < 200; ++i) {
    const double right = center(distorted(blot(13, 22), {.scale = 0.2}, random)).column - 13.5;
    EXPECT_GE(right, 0.8 * 8.5 - 0.05);
    EXPECT_LE(right, 1.2 * 8.5 + 0.05);
    smallest = std::min(smallest, right);
    largest = std::max(largest, right);
  }
  EXPECT_LT(smallest, 0.83 * 8.5);
  EXPECT_GT(largest, 1.17 * 8.5);
}

TEST(Distort, WhatComesFromOutsideIsPaper) {
  Image ink;
  ink.fill(255);
  data::Random random(5);
  const Image moved = distorted(ink, {.shift = 5}, random);
  EXPECT_EQ(*std::min_element(moved.begin(), moved.end()), 0);
  EXPECT_EQ(moved[at(14, 14)], 255);
}

TEST(Distort, DependsOnTheStreamAlone) {
  data::Random a(6), b(6), c(7);
  const data::Distortion most{.shift = 2, .rotation = 10, .scale = 0.1};
  const Image first = distorted(blot(10, 10), most, a);
  EXPECT_EQ(distorted(blot(10, 10), most, b), first);
  EXPECT_NE(distorted(blot(10, 10), most, c), first);
}

}  // namespace
