/// \file
/// The two loops that every reduction over a channel is made of: down a chunk of planes, and down the rows of a group
/// of channels.
#pragma once

#include <batchnorm/kernels/lanes.hpp>
#include <batchnorm/kernels/partition.hpp>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// Sums in Scalar lanes go over at most this many values of a plane, or rows, before they are flushed to double.
inline constexpr Index chunk_values = 8192;
inline constexpr Index chunk_rows = 512;

/// The elements [begin, end) of the planes of a channel in slices [first, first + slices).
struct PlaneChunk {
  Index first, slices, begin, end;

  Index size() const { return slices * (end - begin); }
};

/// Cuts a channel into chunks of at most chunk_values: several whole planes, or parts of one.
template <class Body>
void for_each_chunk(Index outer, Index inner, const Body& body) {
  const Index slices = std::max<Index>(1, chunk_values / inner);
  for (Index o = 0; o < outer; o += slices) {
    for (Index i = 0; i < inner; i += chunk_values) {
      body(PlaneChunk{o, std::min(slices, outer - o), i, std::min(inner, i + chunk_values)});
    }
  }
}

template <class V>
struct TwoSums {
  V s1, s2;
};

/// Two sums over a chunk: add(o, i, lanes, s1, s2) adds what the packet at element i of slice o contributes. Four
/// independent accumulators hide the latency of the additions.
template <class Scalar, class Add>
TwoSums<Scalar> sum_planes(const PlaneChunk& chunk, const Add& add) {
  constexpr Index W = Packet<Scalar>::size;
  constexpr int accumulators = 4;
  const auto zero = Packet<Scalar>::broadcast(0);
  Packet<Scalar> s1[accumulators] = {zero, zero, zero, zero};
  Packet<Scalar> s2[accumulators] = {zero, zero, zero, zero};
  for (Index o = chunk.first; o < chunk.first + chunk.slices; ++o) {
    Index i = chunk.begin;
    for (; i + accumulators * W <= chunk.end; i += accumulators * W) {
      for (int k = 0; k < accumulators; ++k) add(o, i + k * W, WholePacket<Scalar>{}, s1[k], s2[k]);
    }
    int k = 0;
    for (; i + W <= chunk.end; i += W, ++k) add(o, i, WholePacket<Scalar>{}, s1[k], s2[k]);
    if (i < chunk.end) add(o, i, PartialPacket<Scalar>{chunk.end - i}, s1[k], s2[k]);
  }
  return {sum((s1[0] + s1[1]) + (s1[2] + s1[3])), sum((s2[0] + s2[1]) + (s2[2] + s2[3]))};
}

template <class Scalar>
struct RowSums {
  ChannelBuffer<Scalar, group_channels> s1, s2;

  EIGEN_STRONG_INLINE void store(Index c, const TwoSums<Packet<Scalar>>& sums) {
    s1.store(c, sums.s1);
    s2.store(c, sums.s2);
  }
};

/// Two sums for each of up to group_channels channels over rows, taken eight rows at a time: constants(c) is called once
/// for each packet of channels and eight rows, and add(constants, r, c, lanes, s1, s2) adds what row r contributes.
template <class Scalar, class Constants, class Add>
void sum_rows(Index rows, Index channels, const Constants& constants, const Add& add, RowSums<Scalar>& sums) {
  constexpr Index W = Packet<Scalar>::size;
  constexpr Index together = 8;
  const auto zero = Packet<Scalar>::broadcast(0);
  for (Index c = 0; c < channels; c += W) sums.store(c, {zero, zero});

  for (Index begin = 0; begin < rows; begin += together) {
    const Index end = std::min(rows, begin + together);
    const auto sums_with_these_rows = [&](Index c, auto lanes) {
      const auto here = constants(c);
      Packet<Scalar> s1 = zero, s2 = zero;
      for (Index r = begin; r < end; ++r) add(here, r, c, lanes, s1, s2);
      return TwoSums<Packet<Scalar>>{sums.s1.packet(c) + s1, sums.s2.packet(c) + s2};
    };
    if (channels < W) {
      sums.store(0, sums_with_these_rows(0, PartialPacket<Scalar>{channels}));
      continue;
    }
    // The last packet may overlap the one before it, whose sums it must see without these rows.
    const auto last = sums_with_these_rows(channels - W, WholePacket<Scalar>{});
    for (Index c = 0; c + W < channels; c += W) sums.store(c, sums_with_these_rows(c, WholePacket<Scalar>{}));
    sums.store(channels - W, last);
  }
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
