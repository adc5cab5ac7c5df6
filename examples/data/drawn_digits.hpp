#pragma once

#include <cstdint>

#include "data/digits.hpp"

namespace data {

/// Draws digits with a pen, as a stand-in for MNIST that needs no file: the strokes of several ways of writing each
/// digit, with random slant, scale, shift, rotation, warp, thickness and noise.
///
/// Image i of a seed depends on the seed and on i alone, and shows the digit i % 10; its bytes are the same from every
/// compiler and on every machine. `draw_digits(seed, 0, 60000)` and `draw_digits(seed, 60000, 10000)` have no image in
/// common.
///
/// Cost: about 15 microseconds an image.
Digits draw_digits(std::uint64_t seed, Eigen::Index first, Eigen::Index count);

}  // namespace data
