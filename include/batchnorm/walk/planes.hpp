/// \file
/// Planes: runs of values of one channel. Packets run along a plane.
///
/// A block is a group of adjacent channels. Short planes are summed in memory order, slice by slice and in each one
/// after the other, since those of one channel are pieces of a few hundred bytes that lie far apart; long planes
/// channel by channel.
#pragma once

#include <batchnorm/walk/columns.hpp>
#include <batchnorm/walk/partition.hpp>
#include <batchnorm/walk/runs.hpp>
#include <batchnorm/walk/weights.hpp>

#include <algorithm>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// The chunks that a channel consists of, in memory order: several whole planes each, or parts of one.
struct PlaneChunks {
  Cut slices, elements;

  constexpr Index count() const { return slices.parts() * elements.parts(); }
  constexpr PlaneChunk operator[](Index k) const {
    const auto [o, i] = Division(k, elements.parts());
    return {slices.begin(o), slices.size(o), elements.begin(i), elements.end(i)};
  }
};

/// A range of the chunks of some channels.
class PlaneBlock : public BlockExtent {
 public:
  PlaneBlock(const BlockExtent& block, const PlaneChunks& chunks, Index first_chunk, Index last_chunk)
      : BlockExtent(block), all_(chunks), first_chunk_(first_chunk), last_chunk_(last_chunk) {}

  Index chunks() const { return last_chunk_ - first_chunk_; }
  EIGEN_DONT_INLINE PlaneChunk chunk(Index k) const { return all_[first_chunk_ + k]; }
  /// What a chunk consists of, as planes.
  static PlaneChunk part(const PlaneChunk& chunk) { return chunk; }

  /// A column of constants stands for a channel.
  operator ColumnShape() const { return {first_channel, channels, 1, channels}; }

  /// Two sums per channel over a chunk: term(constants).add(lanes, s1, s2, addresses in the inputs...) adds what a
  /// packet contributes.
  template <class Table, class MakeTerm, class Element, std::size_t N>
  void reduce(const PlaneChunk& chunk, const Table& table, const MakeTerm& term, const Views<const Element, N>& inputs,
              ChannelSums& sums) const {
    // In a short plane no accumulator goes through more additions than a lane may.
    const Index packets = (chunk.end - chunk.begin) / Packet<statistics_t<Element>>::size;
    if (packets > 0 && packets < 4 * lane_additions) {
      const Cut tiles{channels, tile_channels};
      for (Index t = 0; t < tiles.parts(); ++t) {
        sum_tile(chunk, tiles.begin(t), tiles.size(t), table, term, inputs, sums);
      }
      return;
    }
    for (Index c = 0; c < channels; ++c) {
      const auto [s1, s2] = sum_channel(chunk, first_channel + c, term(table.broadcast(c)), inputs);
      sums.s1[c] = s1;
      sums.s2[c] = s2;
    }
  }

  /// Writes a chunk: outputs = function(constants, packets of the inputs...).
  template <bool Streaming, class Table, class Function, class Element, std::size_t N, std::size_t M>
  void write(const PlaneChunk& chunk, const Prefetch& ahead, const Table& table, const Function& function,
             const Views<const Element, N>& inputs, const Views<Element, M>& outputs) const {
    const Index length = chunk.end - chunk.begin;
    const bool adjacent = Streaming && are_adjacent(length, inputs) && are_adjacent(length, outputs);
    for (Index o = chunk.first; o < chunk.first + chunk.slices; ++o) {
      for (Index c = 0; c < channels; ++c) {
        const auto here = [&](const auto& view) { return view.plane(o, first_channel + c) + chunk.begin; };
        const auto in_plane = function_in_plane(function, o, chunk.begin);
        const auto of_column = [&](Index column) {
          return [&in_plane, constants = table.broadcast(column)](Index i, const auto&... in) {
            return in_plane(i, constants, in...);
          };
        };
        const auto function_here = of_column(c);
        const RunWriter run(function_here, each(outputs, here), each(inputs, here), ahead);
        if constexpr (Streaming) {
          run.stream(length, {adjacent && c > 0, adjacent && c + 1 < channels}, of_column(c + 1));
        } else {
          run.store_aligned(length);
        }
      }
    }
  }

 private:
  /// Whether these planes, of a cache line at least, lie side by side.
  template <class Element, std::size_t N>
  static bool are_adjacent(Index length, const Views<Element, N>& views) {
    return length * Index(sizeof(Element)) >= line_bytes &&
           std::all_of(views.begin(), views.end(), [&](const auto& view) { return view.channel_stride == length; });
  }

  /// Adds up lanes in double.
  template <class Scalar>
  struct LaneTotals {
    static constexpr Index W = Packet<Scalar>::size, D = Packet<double>::size;
    double s1[std::size_t(W)], s2[std::size_t(W)];

    EIGEN_ALWAYS_INLINE void add(const Packet<Scalar>& a, const Packet<Scalar>& b, bool is_first = false) {
      add_lanes(s1, a, is_first);
      add_lanes(s2, b, is_first);
    }
    std::array<double, 2> sums() const { return {total(s1), total(s2)}; }

   private:
    static double total(const double* lanes) {
      Packet<double> result = Packet<double>::load(lanes);
      for (Index k = D; k < W; k += D) result = result + Packet<double>::load(lanes + k);
      return sum(result);
    }
  };

  /// Four accumulators, with which the packets of a plane take turns: that hides the latency of the additions.
  template <class Scalar>
  struct Accumulators {
    Packet<Scalar> s1[4], s2[4];

    EIGEN_ALWAYS_INLINE void start() {
      s1[0] = s1[1] = s1[2] = s1[3] = s2[0] = s2[1] = s2[2] = s2[3] = Packet<Scalar>::broadcast(0);
    }
    EIGEN_ALWAYS_INLINE Packet<Scalar> total_s1() const { return (s1[0] + s1[1]) + (s1[2] + s1[3]); }
    EIGEN_ALWAYS_INLINE Packet<Scalar> total_s2() const { return (s2[0] + s2[1]) + (s2[2] + s2[3]); }
  };

  /// The two sums of a channel, one plane after the other.
  template <class Term, class Element, std::size_t N>
  std::array<double, 2> sum_channel(const PlaneChunk& chunk, Index c, const Term& term,
                                    const Views<const Element, N>& inputs) const {
    using Scalar = statistics_t<Element>;
    constexpr Index W = Packet<Scalar>::size, step = 4 * W, line = line_bytes / Index(sizeof(Element));
    const Index length = chunk.end - chunk.begin, all_steps = length / step, rest = length % step;
    if (length < W) return sum_narrow(chunk, c, term, inputs);
    auto from = each(inputs, [&](const auto& x) { return x.plane(chunk.first, c) + chunk.begin; });
    const auto to_next = each(inputs, [&](const auto& x) { return x.outer_stride - all_steps * step; });
    LaneTotals<Scalar> totals = {};
    Accumulators<Scalar> sums;
    sums.start();
    // What is left of a plane behind its last step is one more addition.
    Index left = lane_additions - 1;
    for (Index o = chunk.first; o < chunk.first + chunk.slices; ++o) {
      const auto& in_plane = term_in_plane(term, o, chunk.begin, from[0]);
      for (Index done = 0;;) {
        if (left <= 0) {
          totals.add(sums.total_s1(), sums.total_s2());
          sums.start();
          left = lane_additions - 1;
        }
        const Index steps = std::min(all_steps - done, left);
        if (from_memory) {
          // Leaner loops, with a pointer that runs ahead, are slower: their reads overtake what has been prefetched.
          for (Index k = 0; k < steps; ++k) {
            for (Index i = 0; i < step; i += line) prefetch_next(o, c, chunk.begin + (done + k) * step + i, inputs);
            add_step(in_plane, sums, from);
          }
        } else {
          for (Index k = 0; k < steps; ++k) add_step(in_plane, sums, from);
        }
        left -= steps;
        done += steps;
        if (done == all_steps) break;
      }
      add_rest(in_plane, rest, sums, from);
      --left;
      for (std::size_t n = 0; n < N; ++n) from[n] += to_next[n];
    }
    totals.add(sums.total_s1(), sums.total_s2());
    return totals.sums();
  }

  template <class Term, class Scalar, class Element, std::size_t N>
  static EIGEN_ALWAYS_INLINE void add_step(const Term& term, Accumulators<Scalar>& sums,
                                           std::array<const Element*, N>& from) {
    constexpr Index W = Packet<Scalar>::size;
    constexpr WholePacket<Scalar> whole;
    add_packet(term, whole, sums.s1[0], sums.s2[0], from, 0);
    add_packet(term, whole, sums.s1[1], sums.s2[1], from, W);
    add_packet(term, whole, sums.s1[2], sums.s2[2], from, 2 * W);
    add_packet(term, whole, sums.s1[3], sums.s2[3], from, 3 * W);
    for (auto& x : from) x += 4 * W;
  }

  /// What is left of a plane behind its last step.
  template <class Term, class Scalar, class Element, std::size_t N>
  static EIGEN_ALWAYS_INLINE void add_rest(const Term& term, Index rest, Accumulators<Scalar>& sums,
                                           const std::array<const Element*, N>& from) {
    constexpr Index W = Packet<Scalar>::size;
    constexpr WholePacket<Scalar> whole;
    if (rest >= W) add_packet(term, whole, sums.s1[0], sums.s2[0], from, 0);
    if (rest >= 2 * W) add_packet(term, whole, sums.s1[1], sums.s2[1], from, W);
    if (rest >= 3 * W) add_packet(term, whole, sums.s1[2], sums.s2[2], from, 2 * W);
    const OverlappingPacket<Scalar> tail{W - rest % W};
    if (rest % W != 0) add_packet(term, tail, sums.s1[3], sums.s2[3], from, rest - W);
  }

  /// How many channels are summed slice by slice: few enough for their sums to stay in L1.
  static constexpr Index tile_channels = 32;

  /// The two sums of each of `count` channels from c on, whose planes are short: slice by slice, and in each one plane
  /// after the other. A plane's sums are added to those of the slices before, of as many as a lane may add up.
  template <class Table, class MakeTerm, class Element, std::size_t N>
  EIGEN_DONT_INLINE void sum_tile(const PlaneChunk& chunk, Index c, Index count, const Table& table,
                                  const MakeTerm& term, const Views<const Element, N>& inputs,
                                  ChannelSums& sums) const {
    using Scalar = statistics_t<Element>;
    const Index length = chunk.end - chunk.begin, last = chunk.first + chunk.slices;
    const Index together = lane_additions - (length - 1) / (4 * Packet<Scalar>::size);
    // What is prefetched lies some planes further on in this slice, or in the next one.
    const Index ahead = std::clamp<Index>(prefetch_bytes / Index(sizeof(Element)) / length, 1, count);
    const auto near = each(inputs, [&](const auto& x) { return ahead * x.channel_stride; });
    const auto far = each(inputs, [&](const auto& x) { return x.outer_stride + (ahead - count) * x.channel_stride; });
    Packet<Scalar> s1[tile_channels], s2[tile_channels];
    LaneTotals<Scalar> totals[tile_channels];
    for (Index begin = chunk.first; begin < last; begin += together) {
      for (Index o = begin; o < std::min(last, begin + together); ++o) {
        auto plane = each(inputs, [&](const auto& x) { return x.plane(o, first_channel + c) + chunk.begin; });
        for (Index k = 0; k < count; ++k) {
          if (from_memory) prefetch_plane(plane, k + ahead < count ? near : far, length);
          add_plane(chunk, o, term(table.broadcast(c + k)), plane, s1[k], s2[k], o == begin);
          for (std::size_t n = 0; n < N; ++n) plane[n] += inputs[n].channel_stride;
        }
      }
      for (Index k = 0; k < count; ++k) totals[k].add(s1[k], s2[k], begin == chunk.first);
    }
    for (Index k = 0; k < count; ++k) {
      const auto [total_s1, total_s2] = totals[k].sums();
      sums.s1[c + k] = total_s1;
      sums.s2[c + k] = total_s2;
    }
  }

  /// Prefetches the plane that lies so far behind one, all at once: among its additions requests would come later.
  template <class Element, std::size_t N>
  static EIGEN_ALWAYS_INLINE void prefetch_plane(const std::array<const Element*, N>& plane,
                                                 const std::array<Index, N>& distance, Index length) {
    for (std::size_t n = 0; n < N; ++n) {
      const Index bytes = distance[n] * Index(sizeof(Element));
      for (Index i = 0; i < length; i += line_bytes / Index(sizeof(Element))) prefetch<Cache::l2>(plane[n] + i, bytes);
    }
  }

  /// Adds the sums of a short plane of slice o to s1 and s2, or writes them there if they are the first.
  template <class Term, class Element, std::size_t N, class Scalar>
  static EIGEN_ALWAYS_INLINE void add_plane(const PlaneChunk& chunk, Index o, const Term& term,
                                            std::array<const Element*, N> from, Packet<Scalar>& s1, Packet<Scalar>& s2,
                                            bool is_first) {
    constexpr Index step = 4 * Packet<Scalar>::size;
    const Index length = chunk.end - chunk.begin, steps = length / step, rest = length % step;
    const auto& in_plane = term_in_plane(term, o, chunk.begin, from[0]);
    Accumulators<Scalar> sums;
    sums.start();
    for (Index k = 0; k < steps; ++k) add_step(in_plane, sums, from);
    add_rest(in_plane, rest, sums, from);
    s1 = is_first ? sums.total_s1() : s1 + sums.total_s1();
    s2 = is_first ? sums.total_s2() : s2 + sums.total_s2();
  }

  /// The sums of a channel whose planes are shorter than a packet.
  template <class Term, class Element, std::size_t N>
  EIGEN_DONT_INLINE std::array<double, 2> sum_narrow(const PlaneChunk& chunk, Index c, const Term& term,
                                                     const Views<const Element, N>& inputs) const {
    using Scalar = statistics_t<Element>;
    const PartialPacket<Scalar> lanes{chunk.end - chunk.begin};
    const auto zero = Packet<Scalar>::broadcast(0);
    LaneTotals<Scalar> totals = {};
    const Index slices = chunk.first + chunk.slices;
    for (Index begin = chunk.first; begin < slices; begin += lane_additions) {
      Packet<Scalar> s1 = zero, s2 = zero;
      for (Index o = begin; o < std::min(slices, begin + lane_additions); ++o) {
        const auto from = each(inputs, [&](const auto& x) { return x.plane(o, c) + chunk.begin; });
        add_packet(term_in_plane(term, o, chunk.begin, from[0]), lanes, s1, s2, from, 0);
      }
      totals.add(s1, s2);
    }
    return totals.sums();
  }

  /// Prefetches what is read some time after an element: further on in its plane or, which the hardware does not see
  /// coming, in the channel's next one.
  template <class Element, std::size_t N>
  static EIGEN_ALWAYS_INLINE void prefetch_next(Index o, Index c, Index i, const Views<const Element, N>& inputs) {
    const Index inner = inputs[0].inner, next = i + std::min(inner, prefetch_bytes / Index(sizeof(Element)));
    for (const auto& x : inputs) {
      prefetch<Cache::l2>(next < inner ? x.plane(o, c) + next : x.plane(o + 1, c) + next - inner, 0);
    }
  }

  PlaneChunks all_;
  Index first_chunk_, last_chunk_;
};

/// Planes, cut into blocks.
class PlaneBlocks {
 public:
  /// Whole channels, for a pass that reduces. Long channels are cut too where there are too few to keep threads busy.
  /// `bytes`: those of all inputs, per element.
  static PlaneBlocks to_reduce(Index outer, Index channels, Index inner, Index bytes) {
    const Index channel_bytes = outer * inner * bytes, block = block_bytes(channels * channel_bytes);
    const Cut slices{outer, std::max<Index>(1, fitting(chunk_values, outer, inner))}, elements{inner, chunk_values};
    Cut ranges{slices.parts() * elements.parts(), slices.parts() * elements.parts()};
    if (channels < enough_blocks && channel_bytes > most_block_bytes) {
      ranges.part = std::max((ranges.extent + max_ranges - 1) / max_ranges, block / (chunk_values * bytes));
    }
    const Index fit = fitting(std::min(block, small_block_bytes), channels, channel_bytes);
    const Cut groups{channels, std::clamp<Index>(fit, 1, max_columns)};
    return {{slices, elements}, groups, ranges, is_from_memory(channels * channel_bytes)};
  }

  /// In memory order, for a pass that only writes: some whole slices, or some planes of one, or a part of one plane.
  static PlaneBlocks to_write(Index outer, Index channels, Index inner, Index bytes) {
    const Index plane_bytes = inner * bytes, slice_bytes = channels * plane_bytes;
    const Index block = block_bytes(outer * slice_bytes);
    const Cut groups{channels, std::clamp<Index>(fitting(block, channels, plane_bytes), 1, max_columns)};
    const Cut slices{outer, std::max<Index>(1, fitting(block, outer, slice_bytes))};
    const Cut elements{inner, fitting(block, inner, bytes)};
    return {{slices, elements}, groups, {slices.parts() * elements.parts(), 1}, is_from_memory(outer * slice_bytes)};
  }

  Index count() const { return groups_.parts() * ranges_.parts(); }
  Index ranges() const { return ranges_.parts(); }
  /// Whether blocks hold all values of their channels.
  bool may_be_fused() const { return ranges() == 1; }
  /// Whether lines are written in parts: where planes share them, they are written once.
  template <class Element>
  static bool share_lines(const ChannelView<Element>&) {
    return false;
  }
  PlaneBlock operator[](Index k) const {
    const auto [group, range] = Division(k, ranges_.parts());
    return {{groups_.begin(group), groups_.size(group), range, from_memory_},
            chunks_,
            ranges_.begin(range),
            ranges_.end(range)};
  }

  /// The sum over the chunks of a range of what `count` says of each.
  template <class Count>
  double total(Index range, const Count& count) const {
    double sum = 0;
    for (Index k = ranges_.begin(range); k < ranges_.end(range); ++k) sum += count(chunks_[k]);
    return sum;
  }

  /// How far behind an element those lie that a pass which only writes comes to some time later.
  template <class Element>
  Index ahead(const ChannelView<Element>&) const {
    return write_prefetch_bytes / Index(sizeof(Element));
  }

  /// How far behind the elements of a block those of the next block lie.
  template <class Element>
  Index stride(const ChannelView<Element>& v) const {
    return groups_.part * v.channel_stride;
  }

 private:
  /// Short channels make a block together: small enough for L2 whatever its size, large enough to be worth claiming.
  static constexpr Index small_block_bytes = Index(384) << 10;

  PlaneBlocks(const PlaneChunks& chunks, const Cut& groups, const Cut& ranges, bool from_memory)
      : chunks_(chunks), groups_(groups), ranges_(ranges), from_memory_(from_memory) {}

  PlaneChunks chunks_;
  Cut groups_, ranges_;
  bool from_memory_;
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
