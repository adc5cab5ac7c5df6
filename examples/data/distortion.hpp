#pragma once

#include <cstdint>
#include <span>

#include "data/digits.hpp"
#include "data/random.hpp"

namespace data {

/// How much an image is distorted at most. All but the noise are drawn evenly from -most to most.
struct Distortion {
  double shift = 0;     ///< in pixels, to the right and down, each by itself
  double rotation = 0;  ///< in degrees
  double scale = 0;     ///< 0.1: between 0.9 and 1.1 times as large
  double stretch = 0;   ///< the same of the width and the height, each by itself
  double shear = 0;     ///< 0.1: lines that go down lean by up to 0.1 pixels a row, to the right or to the left
  double contrast = 0;  ///< 0.5: between 0.5 and 1.5 times as bright
  double noise = 0;     ///< the standard deviation of what is added to each number: 1 is from paper to ink

  friend bool operator==(const Distortion&, const Distortion&) = default;
};

/// Shears, stretches, scales, turns and shifts an image about its middle by random amounts, in this order, and writes
/// the result to `distorted`. A pixel is interpolated linearly from the four around the place that it comes from; what
/// comes from outside is paper.
///
///     place = shift + R S (x + h y, y),  R turns by the angle, S = scale diag(width, height), h the shear
///
/// State: shift to the right and down, angle, scale, width, height and shear are drawn in this order, those of 0 not at
/// all.
/// Shapes: both have image_pixels bytes and do not overlap.
/// Cost: about 5 microseconds.
void distort(const std::uint8_t* image, const Distortion& most, Random& random, std::uint8_t* distorted);

/// Changes the contrast of an image that is numbers already, by one random factor, and adds noise to each of them
/// (Random::bell). What comes out may be below 0 or above 1.
///
/// Cost: 5 nanoseconds a number, if there is noise.
void change_light(std::span<float> values, const Distortion& most, Random& random);

}  // namespace data
