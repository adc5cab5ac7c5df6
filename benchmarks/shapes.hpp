/// \file
/// The shapes that are timed, by name, for all benchmarks. Kernels were tuned on some of them, so compare also takes
/// others on its command line and draws some (random_shapes.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

namespace benchmarks {

using Index = std::ptrdiff_t;

/// A batch of `samples` with `channels`, each a plane of `plane` values: height x width of an image, 1 behind a dense
/// layer.
struct Shape {
  std::string name;
  Index samples, channels, plane;

  Index size() const { return samples * channels * plane; }
  /// Values per channel.
  Index count() const { return samples * plane; }
  /// The bytes of one tensor of floats.
  Index bytes() const { return size() * Index(sizeof(float)); }
  bool is_matrix() const { return plane == 1; }

  /// The plane as height x width, as near to a square as its divisors allow: 3136 is 56 x 56.
  Index height() const {
    Index divisor = 1;
    for (Index d = 1; d * d <= plane; ++d) {
      if (plane % d == 0) divisor = d;
    }
    return divisor;
  }
  Index width() const { return plane / height(); }

  bool same_extents(const Shape& other) const {
    return samples == other.samples && channels == other.channels && plane == other.plane;
  }
};

/// The shapes of all lists, each once, under the name that it has first.
inline std::vector<Shape> distinct(std::initializer_list<std::vector<Shape>> lists) {
  std::vector<Shape> result;
  for (const std::vector<Shape>& list : lists) {
    for (const Shape& shape : list) {
      const auto same = [&](const Shape& other) { return other.same_extents(shape); };
      if (std::none_of(result.begin(), result.end(), same)) result.push_back(shape);
    }
  }
  return result;
}

/// Dense layers from the paper's own up to 16 MiB, wide and narrow.
inline const std::vector<Shape> dense_shapes = {
    {"60x100", 60, 100, 1},     {"256x1024", 256, 1024, 1}, {"1024x4096", 1024, 4096, 1},
    {"8192x512", 8192, 512, 1}, {"65536x64", 65536, 64, 1},
};

/// Images from 0.6 to 103 MB; each is timed as NCHW and as NHWC.
inline const std::vector<Shape> image_shapes = {
    {"32x64x112x112", 32, 64, 112 * 112}, {"32x64x56x56", 32, 64, 56 * 56},     {"32x256x56x56", 32, 256, 56 * 56},
    {"32x512x28x28", 32, 512, 28 * 28},   {"32x1024x14x14", 32, 1024, 14 * 14}, {"32x2048x7x7", 32, 2048, 7 * 7},
    {"1x64x224x224", 1, 64, 224 * 224},   {"128x16x32x32", 128, 16, 32 * 32},   {"8x96x14x14", 8, 96, 14 * 14},
};

/// Sizes that no power of two divides, for each pass from L2 to main memory; the images are timed as NCHW and as NHWC.
inline const std::vector<Shape> odd_shapes = {
    {"7x3", 7, 3, 1},
    {"100x300", 100, 300, 1},
    {"250x490", 250, 490, 1},
    {"2000x500", 2000, 500, 1},
    {"700x3000", 700, 3000, 1},
    {"60000x90", 60000, 90, 1},
    {"5000x1700", 5000, 1700, 1},
    {"4x60x21x21", 4, 60, 21 * 21},
    {"2x24x50x50", 2, 24, 50 * 50},
    {"4x500x7x7", 4, 500, 7 * 7},
    {"1x500x14x14", 1, 500, 14 * 14},
    {"8x1000x10x10", 8, 1000, 10 * 10},
    {"12x300x13x13", 12, 300, 13 * 13},
    {"32x250x17x17", 32, 250, 17 * 17},
    {"48x60x23x23", 48, 60, 23 * 23},
    {"30x190x27x27", 30, 190, 27 * 27},
    {"32x60x55x55", 32, 60, 55 * 55},
    {"60x100x31x29", 60, 100, 31 * 29},
};

/// The distinct inputs of ResNet-50's batch normalizations for 32 images of 224 x 224 (the variant whose 3x3
/// convolutions stride). `reduce` comes before such a convolution, `expand` ends a block.
inline const std::vector<Shape> resnet50_shapes = {
    {"resnet50_conv1", 32, 64, 112 * 112},          {"resnet50_conv2_x", 32, 64, 56 * 56},
    {"resnet50_conv2_x_expand", 32, 256, 56 * 56},  {"resnet50_conv3_x_reduce", 32, 128, 56 * 56},
    {"resnet50_conv3_x", 32, 128, 28 * 28},         {"resnet50_conv3_x_expand", 32, 512, 28 * 28},
    {"resnet50_conv4_x_reduce", 32, 256, 28 * 28},  {"resnet50_conv4_x", 32, 256, 14 * 14},
    {"resnet50_conv4_x_expand", 32, 1024, 14 * 14}, {"resnet50_conv5_x_reduce", 32, 512, 14 * 14},
    {"resnet50_conv5_x", 32, 512, 7 * 7},           {"resnet50_conv5_x_expand", 32, 2048, 7 * 7},
};

/// One in L2, one in a larger cache, one in memory, for sums alone.
inline const std::vector<Shape> sums_images = {
    {"8x40x14x14", 8, 40, 14 * 14}, {"16x384x17x17", 16, 384, 17 * 17}, {"32x256x56x56", 32, 256, 56 * 56}};
inline const std::vector<Shape> sums_matrices = {
    {"250x490", 250, 490, 1}, {"2000x500", 2000, 500, 1}, {"20000x900", 20000, 900, 1}};

/// Images, sequences of 512 steps, short planes and few channels, of which a mask leaves a part out.
inline const std::vector<Shape> masked_shapes = {
    {"32x256x56x56", 32, 256, 56 * 56}, {"32x256x512", 32, 256, 512},     {"32x512x7x7", 32, 512, 7 * 7},
    {"32x2048x2x2", 32, 2048, 2 * 2},   {"16x32x28x28", 16, 32, 28 * 28}, {"16x8x28x28", 16, 8, 28 * 28},
};

/// Layers of multilayer perceptrons: a small one, a wide one, and channel counts that no SIMD width divides.
inline const std::vector<Shape> mlp_shapes = {
    {"mlp_64x10", 64, 10, 1},       {"mlp_128x256", 128, 256, 1},     {"mlp_256x500", 256, 500, 1},
    {"mlp_512x2048", 512, 2048, 1}, {"mlp_4096x1000", 4096, 1000, 1},
};

}  // namespace benchmarks
