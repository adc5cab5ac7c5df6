#include "data/distortion.hpp"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace distortion_test {

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
  const Image gone = distorted(ink, {.shift = 1e300, .rotation = 10}, random);
  EXPECT_EQ(*std::max_element(gone.begin(), gone.end()), 0);
}

/// Interpolation is exact where an image is a ramp: then a pixel is what the ramp is at the place that it comes from,
/// up to rounding it to a whole number. The place is found with the inverse of the whole map.
void expect_ramp_to_be_mapped(const data::Distortion& most) {
  Image ramp;
  for (Eigen::Index i = 0; i < data::image_rows; ++i) {
    for (Eigen::Index j = 0; j < data::image_columns; ++j)
      ramp[at(i, j)] = static_cast<std::uint8_t>(10 + 5 * j + 3 * i);
  }
  data::Random random(8), twin(8);
  const auto draw = [&](double limit) { return limit == 0 ? 0 : twin.uniform(-limit, limit); };
  int inside = 0;
  for (int repetition = 0; repetition < 20; ++repetition) {
    const Image result = distorted(ramp, most, random);
    const double right = draw(most.shift), down = draw(most.shift);
    const double angle = draw(most.rotation) * std::acos(-1.0) / 180, scale = 1 + draw(most.scale);
    const double width = 1 + draw(most.stretch), height = 1 + draw(most.stretch);
    const double shear = draw(most.shear);
    Eigen::Matrix2d turned, stretched, sheared;
    turned << std::cos(angle), -std::sin(angle), std::sin(angle), std::cos(angle);
    stretched << scale * width, 0, 0, scale * height;
    sheared << 1, shear, 0, 1;
    const Eigen::Matrix2d back = (turned * stretched * sheared).inverse();
    for (Eigen::Index i = 0; i < data::image_rows; ++i) {
      for (Eigen::Index j = 0; j < data::image_columns; ++j) {
        const Eigen::Vector2d middle(13.5, 13.5), shift(right, down);
        const Eigen::Vector2d place(static_cast<double>(j), static_cast<double>(i));
        const Eigen::Vector2d from = middle + back * (place - middle - shift);
        if (from.minCoeff() < 0 || from.maxCoeff() > 27) continue;
        ++inside;
        ASSERT_NEAR(result[at(i, j)], 10 + 5 * from.x() + 3 * from.y(), 0.5 + 1e-3) << i << ' ' << j;
      }
    }
  }
  EXPECT_GT(inside, 20 * 784 / 2);
}

TEST(Distort, MapsARampByAKnownAngle) { expect_ramp_to_be_mapped({.rotation = 20}); }

TEST(Distort, MapsARampByAKnownStretch) { expect_ramp_to_be_mapped({.stretch = 0.25}); }

TEST(Distort, MapsARampByAKnownShear) { expect_ramp_to_be_mapped({.shear = 0.3}); }

TEST(Distort, MapsARampByAllTogetherInTheirOrder) {
  expect_ramp_to_be_mapped({.shift = 2.1, .rotation = 20, .scale = 0.1, .stretch = 0.25, .shear = 0.3});
}

TEST(Distort, DependsOnTheStreamAlone) {
  data::Random a(6), b(6), c(7);
  const data::Distortion most{.shift = 2, .rotation = 10, .scale = 0.1};
  const Image first = distorted(blot(10, 10), most, a);
  EXPECT_EQ(distorted(blot(10, 10), most, b), first);
  EXPECT_NE(distorted(blot(10, 10), most, c), first);
}

TEST(ChangeLight, NothingChangesAndDrawsNothing) {
  std::vector<float> values = {0, 0.5f, 1};
  data::Random random(1), untouched(1);
  data::change_light(values, {.shift = 3}, random);
  EXPECT_EQ(values, (std::vector<float>{0, 0.5f, 1}));
  EXPECT_EQ(random.bits(), untouched.bits());
}

TEST(ChangeLight, MultipliesAnImageByOneFactor) {
  data::Random random(2);
  float smallest = 10, largest = 0;
  for (int i = 0; i < 200; ++i) {
    std::vector<float> values = {0, 0.25f, 1};
    data::change_light(values, {.contrast = 0.5}, random);
    EXPECT_EQ(values[0], 0);
    EXPECT_EQ(values[1], values[2] / 4);
    smallest = std::min(smallest, values[2]);
    largest = std::max(largest, values[2]);
  }
  EXPECT_GE(smallest, 0.5f);
  EXPECT_LT(smallest, 0.52f);
  EXPECT_GT(largest, 1.48f);
  EXPECT_LE(largest, 1.5f);
}

TEST(ChangeLight, AddsNoiseOfThisDeviationToEachNumber) {
  constexpr int count = 40'000;
  std::vector<float> values(count, 0.5f);
  data::Random random(3);
  data::change_light(values, {.noise = 0.15}, random);
  const Eigen::Map<const Eigen::ArrayXf> noisy(values.data(), count);
  const Eigen::ArrayXd noise = noisy.cast<double>() - 0.5;
  // Four standard errors: of the mean .15 / sqrt(count), of the deviation the same over sqrt(2), of the product of
  // neighbors .15 * .15 / sqrt(count).
  const double error = 0.15 / std::sqrt(count);
  EXPECT_NEAR(noise.mean(), 0, 4 * error);
  EXPECT_NEAR(std::sqrt(noise.square().mean()), 0.15, 4 * error / std::sqrt(2));
  EXPECT_NEAR((noise.head(count - 1) * noise.tail(count - 1)).mean(), 0, 4 * 0.15 * error);
}

}  // namespace distortion_test
