#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <cassert>

namespace nn {

/// The extents of an image.
///
/// A batch of images is a Matrix [samples * rows * columns, channels]: one row for each pixel, with its channels side
/// by side (NHWC), the pixels of a line one after the other, then the lines, then the samples. Of all layouts it is the
/// one in which nothing is ever transposed:
///
/// - batch normalization takes it as samples_in_rows, the library's default, with a pixel for a sample;
/// - a 1x1 convolution is the product with its weights, and larger ones gather runs of memory for theirs;
/// - pooling works on whole vectors of channels;
/// - images of several branches are put together by columns;
/// - images of one pixel are what Dense takes, [samples, features], and images of one channel have the bytes of the
///   pixels as they come: [samples, rows * columns].
///
/// NCHW would need a product for each sample, with a result that is transposed, and a loop over planes to join
/// branches.
struct Shape {
  Eigen::Index rows = 1, columns = 1, channels = 1;

  Eigen::Index pixels() const { return rows * columns; }
  friend bool operator==(const Shape&, const Shape&) = default;
};

/// Where a convolution or a pool looks: squares of size x size pixels, `stride` pixels apart, over an image with a
/// border of `padding` pixels around it. By default the border is such that stride 1 keeps the extents.
struct Window {
  Eigen::Index size = 3;
  Eigen::Index stride = 1;
  Eigen::Index padding = size / 2;

  friend bool operator==(const Window&, const Window&) = default;

  /// The positions of the window over an image; `channels` are those of the result.
  Shape slide_over(const Shape& image, Eigen::Index channels) const {
    assert(image.rows + 2 * padding >= size && image.columns + 2 * padding >= size);
    return {(image.rows + 2 * padding - size) / stride + 1, (image.columns + 2 * padding - size) / stride + 1,
            channels};
  }
};

/// The part of a window that lies within the image, along one axis: positions [first, end) of the image.
struct Span {
  Eigen::Index origin, first, end;

  Span(const Window& window, Eigen::Index position, Eigen::Index extent)
      : origin(position * window.stride - window.padding),
        first(std::max<Eigen::Index>(origin, 0)),
        end(std::min(origin + window.size, extent)) {}
};

}  // namespace nn
