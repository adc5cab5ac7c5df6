/// \file
/// How the work of a pass is cut into blocks: by the shape alone, so that no bit of a result depends on the number of
/// threads.
#pragma once

#include <batchnorm/base/layout.hpp>

#include <algorithm>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// A block reads about this much at most: it stays in a core's cache between the pass that reduces and the pass that
/// writes.
inline constexpr Index most_block_bytes = Index(2) << 20;
/// What is more than a block is cut into so many at least, where its extents allow that: for the cores that share it.
inline constexpr Index enough_blocks = 16;
/// How far ahead of its use memory is asked for: into L2 by sums; by a pass that only writes into L1, of which two
/// inputs take half where it has 32 KiB.
inline constexpr Index prefetch_bytes = Index(16) << 10, write_prefetch_bytes = Index(8) << 10;
/// The most ranges that the values of a channel are cut into, and so the most partial sums that it has.
inline constexpr Index max_ranges = 64;
/// Sums are taken over at most this many values of a plane, or rows, before they are looked at and merged: few enough
/// to be in cache still if they have to be taken again.
inline constexpr Index chunk_values = Index(32) << 10;
inline constexpr Index chunk_rows = 512;
/// The columns of a block, each with constants and sums of its own, which stay in L1.
inline constexpr Index max_columns = 1024;
/// The floats of a cache line: half a line of 16-bit elements, two lines of doubles.
inline constexpr Index line_elements = 16;

/// Planes that are shorter are walked as rows where there are at least so many slices: as planes each would cost more
/// than its packets.
inline constexpr Index short_plane = 64, enough_rows = 16;

/// Whether planes that lie side by side are walked as rows. Where something differs from one position to the next,
/// which rows have for each column, only planes of less than a line: for longer ones that would be as much as the data.
constexpr bool may_be_rows(Index outer, Index inner, bool by_position) {
  return inner == 1 || (inner < (by_position ? line_elements : short_plane) && outer >= enough_rows);
}
/// Whether rows of so many channels may be walked several at a time. Where something differs from one to the next, only
/// short ones, for which it pays to have that for each column.
constexpr bool folds_rows(Index channels, bool by_position) {
  constexpr Index short_row = 32;
  return !by_position || channels < short_row;
}

/// Whether a pass that reads so much reads it from memory, and is cut: else one block has room for all of it.
constexpr bool is_from_memory(Index bytes) { return bytes > most_block_bytes; }
/// What a block of such a pass reads.
constexpr Index block_bytes(Index bytes) {
  return is_from_memory(bytes) ? std::min(bytes / enough_blocks, most_block_bytes) : most_block_bytes;
}

/// min(count, room / size), without dividing where all fit: a few divisions take as long as all else that is done to
/// cut a small tensor.
constexpr Index fitting(Index room, Index count, Index size) { return count * size <= room ? count : room / size; }

/// Consecutive parts of [0, extent), equal but for the last.
struct Cut {
  Index extent, part;

  constexpr Index parts() const { return extent <= part ? Index(extent > 0) : (extent + part - 1) / part; }
  constexpr Index begin(Index k) const { return k * part; }
  constexpr Index end(Index k) const { return std::min(extent, (k + 1) * part); }
  constexpr Index size(Index k) const { return end(k) - begin(k); }
};

/// k / n, and what is left over.
struct Division {
  Index quotient, rest;

  constexpr Division(Index k, Index n) : quotient(n == 1 ? k : k / n), rest(k - quotient * n) {}
};

/// What a thread works on at a time: some channels, in one of the ranges that their values are cut into.
struct BlockExtent {
  Index first_channel, channels, range;
  /// Whether the inputs are too large for the caches to hold: it pays to ask for what is read next.
  bool from_memory;
};

/// The elements [begin, end) of the planes of a channel in slices [first, first + slices).
struct PlaneChunk {
  Index first, slices, begin, end;

  constexpr Index values() const { return slices * (end - begin); }
};

/// The inputs of a pass, of the same extents; or its outputs.
template <class Element, std::size_t N>
using Views = std::array<ChannelView<Element>, N>;

/// The bytes of all elements.
template <class Element, std::size_t N>
Index bytes_of(const Views<Element, N>& views) {
  return Index(N * sizeof(Element)) * views[0].size();
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

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
