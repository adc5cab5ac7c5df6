/// \file
/// Shapes that nobody has chosen.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "shapes.hpp"

namespace benchmarks {

/// Draws shapes whose x and y take 10 KB to 60 MB together, each size as likely as its double: images of 5x5 to 60x60,
/// 1 to 128 of them, with 16 to 2,048 channels; matrices of 3 to 5,000 columns. The same ones for the same seed.
class RandomShapes {
 public:
  explicit RandomShapes(std::uint64_t seed) : random_(seed) {}

  Shape image() {
    for (;;) {
      const Index height = draw(5, 60), width = draw(5, 60), channels = draw(16, 2048);
      const Index samples = size() / (channels * height * width);
      if (samples < 1 || samples > 128) continue;
      return {std::to_string(samples) + "x" + std::to_string(channels) + "x" + std::to_string(height) + "x" +
                  std::to_string(width),
              samples, channels, height * width};
    }
  }

  Shape matrix() {
    for (;;) {
      const Index columns = draw(3, 5000), rows = size() / columns;
      if (rows < 2) continue;
      return {std::to_string(rows) + "x" + std::to_string(columns), rows, columns, 1};
    }
  }

 private:
  /// The elements of x.
  Index size() { return draw(10'000, 60'000'000) / Index(2 * sizeof(float)); }

  /// Of [low, high], as evenly in its logarithm as whole numbers allow.
  Index draw(Index low, Index high) {
    const double part = static_cast<double>(random_() >> 11) * 0x1p-53, from = std::log(static_cast<double>(low)),
                 to = std::log(static_cast<double>(high + 1));
    return static_cast<Index>(std::exp(from + (to - from) * part));
  }

  std::mt19937_64 random_;
};

}  // namespace benchmarks
