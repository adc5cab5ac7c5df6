/// \file
/// The shapes on which everything is tested.
///
/// The extents of a shape are all different where they can be, and random_values gives every channel its own mean and
/// spread: a swapped axis, a wrong stride or a wrong tail then changes the result.
#pragma once

#include <algorithm>
#include <vector>

#include "values.hpp"

namespace testing_support {

/// Elements in a SIMD packet of this build.
template <class Scalar>
inline constexpr Index packet = Index(Eigen::internal::packet_traits<Scalar>::size);

/// The small primes, and the extents around which tails, overlaps and unrolled loops change: one, two, four and eight
/// packets.
template <class Scalar>
std::vector<Index> extents_around_the_packet() {
  const Index w = packet<Scalar>;
  std::vector<Index> extents{1,     2,         3,     5,         7,     w - 1,        w, w + 1, 2 * w - 1,
                             2 * w, 2 * w + 1, 4 * w, 4 * w + 3, 8 * w, 8 * w + w + 1};
  std::sort(extents.begin(), extents.end());
  extents.erase(std::unique(extents.begin(), extents.end()), extents.end());
  extents.erase(extents.begin(), std::lower_bound(extents.begin(), extents.end(), 1));
  return extents;
}

/// Samples x channels: each extent around the packet in both roles, with a few partners; and beyond the kernels' chunks
/// of 512 rows and groups of 1024 columns.
template <class Scalar>
std::vector<Extents<2>> matrix_shapes() {
  std::vector<Extents<2>> shapes;
  for (const Index extent : extents_around_the_packet<Scalar>()) {
    for (const Index partner : {1, 3, 11}) {
      if (extent > 1) shapes.push_back({extent, partner});
      if (partner > 1) shapes.push_back({partner, extent});
    }
  }
  shapes.insert(shapes.end(), {{60, 100}, {1031, 5}, {9, 1027}, {3, 2050}});
  return shapes;
}

/// Batch, channels, height, width. A plane of 97 x 89 is beyond the kernels' chunks of 8192 values.
template <class Scalar>
std::vector<Extents<4>> image_shapes() {
  std::vector<Extents<4>> shapes{{2, 3, 1, 1},  {1, 3, 2, 1},  {1, 1, 1, 2},  {5, 1, 2, 3},   {3, 2, 7, 5},
                                 {2, 17, 1, 3}, {3, 40, 2, 1}, {19, 3, 2, 2}, {1, 2, 97, 89}, {67, 3, 13, 11}};
  for (const Index extent : extents_around_the_packet<Scalar>()) {
    shapes.push_back({2, 3, 1, extent});
    shapes.push_back({3, extent, 2, 1});
    if (extent > 1) shapes.push_back({extent, 2, 1, 3});
  }
  return shapes;
}

/// The extents of `nchw` with the channel axis moved to `axis`; the other axes keep their order.
template <std::size_t Rank>
Extents<Rank> with_channels_on(int axis, const Extents<Rank>& nchw) {
  Extents<Rank> extents{};
  std::size_t source = 0;
  for (std::size_t k = 0; k < Rank; ++k) {
    if (int(k) == axis) {
      extents[k] = nchw[1];
      continue;
    }
    if (source == 1) ++source;
    extents[k] = nchw[source++];
  }
  return extents;
}

}  // namespace testing_support
