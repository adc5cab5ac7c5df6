#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <vector>

namespace data {

/// The extents of an image, as in MNIST.
inline constexpr Eigen::Index image_rows = 28, image_columns = 28, image_pixels = image_rows * image_columns;

/// Images as a matrix with one image per row, its pixels line by line: 0 is paper, 255 is ink.
using Images = Eigen::Map<const Eigen::Matrix<std::uint8_t, Eigen::Dynamic, image_pixels, Eigen::RowMajor>>;

/// Images of handwritten digits and what they show. A byte a pixel: 60,000 images are 47 MB.
struct Digits {
  std::vector<std::uint8_t> pixels;  ///< count() * 784, one image after the other
  std::vector<std::uint8_t> labels;  ///< 0 to 9

  /// The number of images.
  Eigen::Index count() const { return static_cast<Eigen::Index>(labels.size()); }

  /// The images as a matrix [count, 784]; valid as long as `pixels` stays as it is.
  Images images() const { return Images(pixels.data(), count(), image_pixels); }
};

}  // namespace data
