#pragma once

#include <cstdint>

#include "data/digits.hpp"
#include "data/random.hpp"

namespace data {

/// How much an image is distorted at most. Each of the four is drawn evenly from -most to most.
struct Distortion {
  double shift = 0;     ///< in pixels, to the right and down, each by itself
  double rotation = 0;  ///< in degrees
  double scale = 0;     ///< 0.1: between 0.9 and 1.1 times as large

  friend bool operator==(const Distortion&, const Distortion&) = default;
};

/// Shifts, turns and scales an image about its middle by random amounts, and writes the result to `distorted`. A pixel
/// is interpolated linearly from the four around the place that it comes from; what comes from outside is paper.
///
/// Shapes: both have image_pixels bytes and do not overlap.
/// Cost: about 2 microseconds.
void distort(const std::uint8_t* image, const Distortion& most, Random& random, std::uint8_t* distorted);

}  // namespace data
