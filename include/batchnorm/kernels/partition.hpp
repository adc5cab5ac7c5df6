/// \file
/// How the work of a pass is cut into blocks: by the shape alone, so that no bit of a result depends on the number of
/// threads.
#pragma once

#include <batchnorm/core/layout.hpp>

#include <algorithm>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// About this much of x makes a block: it stays in a core's L2 cache.
inline constexpr Index block_bytes = Index(2) << 20;
/// Channels that the row kernels handle together: their sums and shifts stay in L1.
inline constexpr Index group_channels = 1024;
/// The most row ranges a tensor is cut into, and so the most partial moments that a channel has.
inline constexpr Index max_ranges = 64;

/// Consecutive parts of [0, extent), equal but for the last.
struct Cut {
  Index extent, part;

  constexpr Index parts() const { return (extent + part - 1) / part; }
  constexpr Index begin(Index k) const { return k * part; }
  constexpr Index end(Index k) const { return std::min(extent, (k + 1) * part); }
};

/// Planes: a block is a group of whole channels.
inline Cut cut_channels(Index channels, Index count, Index element_bytes) {
  return {channels, std::max<Index>(1, block_bytes / std::max<Index>(1, count * element_bytes))};
}

/// Rows: a block is a range of rows of a group of channels.
struct RowBlocks {
  Cut groups, ranges;

  RowBlocks(Index rows, Index channels, Index element_bytes)
      : groups{channels, std::clamp<Index>(channels, 1, group_channels)}, ranges{rows, 1} {
    const Index least = std::max<Index>(8, (rows + max_ranges - 1) / max_ranges);
    ranges.part = std::max(least, block_bytes / (groups.part * element_bytes));
  }

  Index blocks() const { return groups.parts() * ranges.parts(); }
  Index range(Index block) const { return block / groups.parts(); }
  Index first_row(Index block) const { return ranges.begin(range(block)); }
  Index last_row(Index block) const { return ranges.end(range(block)); }
  Index rows(Index block) const { return last_row(block) - first_row(block); }
  Index first_channel(Index block) const { return groups.begin(block % groups.parts()); }
  Index channels(Index block) const { return groups.end(block % groups.parts()) - first_channel(block); }

  /// The rows and channels of a block.
  template <class Element>
  ChannelView<Element> view(const ChannelView<Element>& v, Index block) const {
    return {v.plane(first_row(block), first_channel(block)), rows(block), channels(block), 1, v.outer_stride, 1};
  }
};

/// The bytes of a view's elements.
template <class Element>
Index bytes_of(const ChannelView<Element>& v) {
  return v.size() * static_cast<Index>(sizeof(Element));
}

/// A view whose one channel has no gaps is one long plane.
template <class Element>
bool is_one_plane(const ChannelView<Element>& v) {
  return v.channels == 1 && (v.outer == 1 || v.outer_stride == v.inner);
}

template <class Element>
ChannelView<Element> as_one_plane(const ChannelView<Element>& v) {
  return {v.data, 1, 1, v.count(), v.count(), v.count()};
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
