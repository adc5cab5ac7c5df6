/// \file
/// Rows: runs of memory in which channels lie side by side. Packets run across channels.
///
/// A row is a sequence of columns, of which column j belongs to channel j / repeat % channels:
///
///   a row-major matrix, NHWC                 repeat 1
///   the same with few channels               repeat 1, several rows folded into a longer one
///   many very short planes side by side      repeat = inner: the last stage of a network in NCHW, or small batches
///                                            that are the fast axis of a column-major tensor
#pragma once

#include <batchnorm/walk/columns.hpp>
#include <batchnorm/walk/partition.hpp>
#include <batchnorm/walk/runs.hpp>
#include <batchnorm/walk/weights.hpp>

#include <algorithm>
#include <tuple>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// The first `columns` columns of the rows [first, first + rows) of a block, and how many folds these are.
struct RowChunk {
  Index first, rows, columns, folds;
};

/// How columns belong to channels, and how a row lies in memory: as `runs` of consecutive elements, each of as many
/// slices. A folded row of dense slices is one run; where slices have gaps between them it is as many as there are.
/// Where lines that rows share are written once, all rows have so many elements and channels: else that is 0.
struct RowShape {
  Index repeat, folds, runs, elements = 0, channels = 0;
};

/// Some rows of a group of columns.
class RowBlock : public BlockExtent {
 public:
  RowBlock(const BlockExtent& block, const RowShape& shape, Index first_row, Index rows, Index tail_folds)
      : BlockExtent(block), shape_(shape), first_row_(first_row), rows_(rows), tail_folds_(tail_folds) {}

  Index chunks() const { return cut().parts() + (tail_folds_ > 0); }
  EIGEN_DONT_INLINE RowChunk chunk(Index k) const {
    if (k == cut().parts()) return rows_from(rows_, 1, tail_folds_);
    return rows_from(cut().begin(k), cut().size(k), shape_.folds);
  }

  /// What a chunk consists of, as planes.
  PlaneChunk part(const RowChunk& chunk) const {
    return {(first_row_ + chunk.first) * shape_.folds, chunk.rows * chunk.folds, 0, shape_.repeat};
  }

  Index columns() const { return channels * shape_.repeat * shape_.folds; }
  /// Those of a run: of a row, or of one slice of it.
  Index run_columns() const { return shape_.runs == 1 ? columns() : channels * shape_.repeat; }
  operator ColumnShape() const { return {first_channel, channels, shape_.repeat, columns(), shape_.channels}; }

  /// Two sums per channel over a chunk: term(constants).add(lanes, s1, s2, addresses in the inputs...) adds what a
  /// packet contributes.
  template <class Table, class MakeTerm, class Element, std::size_t N>
  void reduce(const RowChunk& chunk, const Table& table, const MakeTerm& term, const Views<const Element, N>& inputs,
              ChannelSums& sums) const {
    sum_columns(chunk, table, term, inputs, sums);
    if (chunk.columns == channels) return;
    gather(chunk.folds, {sums.s1.values, sums.s2.values});
  }

  /// Writes a chunk: outputs = function(constants, packets of the inputs...). In memory order, one row at a time or
  /// two. A function of its own: where g++ 12 inlined it, pointers of its loops lay in memory, and it took up to 1.8
  /// times as long.
  template <bool Streaming, class Table, class Function, class Element, std::size_t N, std::size_t M>
  EIGEN_DONT_INLINE void write(const RowChunk& chunk, const Prefetch& ahead, const Table& table,
                               const Function& function, const Views<const Element, N>& inputs,
                               const Views<Element, M>& outputs) const {
    Index r = chunk.first;
    const Index end = r + chunk.rows;
    if constexpr (!Streaming) {
      for (; goes_in_pairs<Element>() && r + 1 < end; r += 2) {
        write_pair(chunk, r, table, function, inputs, outputs);
      }
    }
    for (; r < end; ++r) {
      for_each_run(chunk, [&](Index run, Index first, Index length) {
        const auto in_row = function_in_row(function, slice(r, run), first_channel);
        const auto here = [&](const auto& view) { return begin_of(view, r, run); };
        const auto in_run = [&](Index j, const auto&... in) { return in_row(j, table.packet(first + j), in...); };
        const RunWriter writer(in_run, each(outputs, here), each(inputs, here), ahead);
        if constexpr (Streaming) {
          writer.stream(length, surroundings(here(outputs[0]) - outputs[0].data, length));
        } else {
          writer.store(length);
        }
      });
    }
  }

 private:
  /// Where a run of row r of this block begins.
  template <class Element>
  Element* begin_of(const ChannelView<Element>& v, Index r, Index run) const {
    return v.data + slice(r, run) * v.outer_stride + first_channel * shape_.repeat;
  }
  Index slice(Index r, Index run) const { return (first_row_ + r) * shape_.folds + run; }

  /// What is written together with a run that begins with some element.
  Surroundings surroundings(Index begin, Index length) const {
    return shape_.elements > 0 ? Surroundings{begin, shape_.elements - begin - length} : Surroundings{};
  }

  /// Calls body(run, first column, length) for the runs of a row of a chunk.
  template <class Body>
  void for_each_run(const RowChunk& chunk, const Body& body) const {
    const Index length = std::min(chunk.columns, run_columns());
    for (Index run = 0, first = 0; first < chunk.columns; ++run, first += length) body(run, first, length);
  }

  /// Whether two rows are written at a time, which takes half the readings of the constants: in cache, where that
  /// counts, and not long ones, which get in each other's way there, a page or more apart.
  template <class Element>
  bool goes_in_pairs() const {
    const Index length = run_columns();
    return !from_memory && length >= Packet<statistics_t<Element>>::size && length * Index(sizeof(Element)) <= 2048;
  }

  /// Writes rows r and r + 1 of a chunk, as one whose function has the inputs of both.
  template <class Table, class Function, class Element, std::size_t N, std::size_t M>
  void write_pair(const RowChunk& chunk, Index r, const Table& table, const Function& function,
                  const Views<const Element, N>& inputs, const Views<Element, M>& outputs) const {
    for_each_run(chunk, [&](Index run, Index first, Index length) {
      const auto in_row = function_in_row(function, slice(r, run), first_channel),
                 in_next = function_in_row(function, slice(r + 1, run), first_channel);
      const auto in_both = [&](Index j, const auto&... in) {
        return [&]<std::size_t... K>(std::index_sequence<K...>) {
          const auto constants = table.packet(first + j);
          const auto all = std::tie(in...);
          return joined(in_row(j, constants, std::get<K>(all)...), in_next(j, constants, std::get<N + K>(all)...));
        }
        (std::make_index_sequence<N>{});
      };
      const auto here = [&](const auto& view) { return begin_of(view, r, run); };
      const auto next = [&](const auto& view) { return begin_of(view, r + 1, run); };
      const RunWriter writer(in_both, joined(each(outputs, here), each(outputs, next)),
                             joined(each(inputs, here), each(inputs, next)), {0, Cache::l1});
      writer.store_packets(length);
    });
  }

  Cut cut() const { return {rows_, chunk_rows}; }
  /// Rows of so many folds each.
  RowChunk rows_from(Index first, Index rows, Index folds) const {
    return {first, rows, channels * shape_.repeat * folds, folds};
  }

  /// Where a band of rows lies: its first element in each input, how far apart its rows are, its first slice, and how
  /// many rows there are.
  template <class Element, std::size_t N>
  struct Band {
    std::array<const Element*, N> from;
    std::array<Index, N> strides;
    Index slice, rows;
  };

  /// How many packets of columns are summed side by side, in registers.
  static constexpr std::size_t tile_packets = 4;
  /// How many rows ahead of its use what comes from memory is asked for.
  static constexpr Index rows_ahead = 8;

  /// What a column's sums are gathered in before they go to double.
  template <class Scalar>
  struct ColumnSums {
    ColumnBuffer<Scalar, max_columns> s1, s2;
    bool is_empty;

    void clear(Index j) {
      s1.store(j, Packet<Scalar>::broadcast(0));
      s2.store(j, Packet<Scalar>::broadcast(0));
    }
    EIGEN_ALWAYS_INLINE void add(Index j, const Packet<Scalar>& a, const Packet<Scalar>& b, bool is_first) {
      s1.store(j, is_first ? a : s1.packet(j) + a);
      s2.store(j, is_first ? b : s2.packet(j) + b);
    }
  };

  /// Two sums for each column. A band of rows at a time, a tile of a few packets of columns down all of them: so the
  /// sums of a column stay in registers for as many additions. Those of as many bands are added up before they go to
  /// double.
  template <class Table, class MakeTerm, class Element, std::size_t N>
  void sum_columns(const RowChunk& chunk, const Table& table, const MakeTerm& term,
                   const Views<const Element, N>& inputs, ChannelSums& sums) const {
    using Scalar = typename Table::Scalar;
    constexpr Index together = lane_additions / 2;
    ColumnSums<Scalar> lanes;
    for (Index begin = 0; begin < chunk.rows;) {
      const bool is_first = begin == 0;
      lanes.is_empty = true;
      for (const Index end = std::min(chunk.rows, begin + together * together); begin < end; begin += together) {
        for_each_run(chunk, [&](Index run, Index first, Index length) {
          const Band<Element, N> band{
              each(inputs, [&](const auto& x) { return begin_of(x, chunk.first + begin, run); }),
              each(inputs, [&](const auto& x) { return shape_.folds * x.outer_stride; }),
              slice(chunk.first + begin, run), std::min(together, chunk.rows - begin)};
          sum_tiles<tile_packets>(band, 0, first, length, table, term, lanes);
        });
        lanes.is_empty = false;
      }
      for (Index j = 0; j < chunk.columns; j += Packet<Scalar>::size) {
        add_lanes(sums.s1.values + j, lanes.s1.packet(j), is_first);
        add_lanes(sums.s2.values + j, lanes.s2.packet(j), is_first);
      }
    }
  }

  /// The columns [j, length) of a run, whose first one is column `first`: tiles of T packets, then narrower ones.
  template <std::size_t T, class Element, std::size_t N, class Table, class MakeTerm, class Scalar>
  EIGEN_STRONG_INLINE void sum_tiles(const Band<Element, N>& band, Index j, Index first, Index length,
                                     const Table& table, const MakeTerm& term, ColumnSums<Scalar>& sums) const {
    constexpr Index W = Packet<Scalar>::size;
    for (; j + Index(T) * W <= length; j += Index(T) * W) {
      sum_tile(band, j, first, WholePacket<Scalar>{}, table, term, sums, std::make_index_sequence<T>{});
    }
    if constexpr (T > 1) {
      sum_tiles<T / 2>(band, j, first, length, table, term, sums);
    } else if (j < length) {
      if (length >= W) {
        if (sums.is_empty) sums.clear(first + j);
        sum_tile(band, length - W, first, OverlappingPacket<Scalar>{W - (length - j)}, table, term, sums,
                 std::index_sequence<0>{});
      } else {
        sum_tile(band, j, first, PartialPacket<Scalar>{length}, table, term, sums, std::index_sequence<0>{});
      }
    }
  }

  /// A tile of one packet of columns for each K.
  template <class Element, std::size_t N, class Lanes, class Table, class MakeTerm, class Scalar, std::size_t... K>
  EIGEN_STRONG_INLINE void sum_tile(const Band<Element, N>& band, Index j, Index first, const Lanes& lanes,
                                    const Table& table, const MakeTerm& term, ColumnSums<Scalar>& sums,
                                    std::index_sequence<K...> columns) const {
    constexpr Index W = Packet<Scalar>::size, line = line_bytes / Index(sizeof(Element));
    const auto zero = Packet<Scalar>::broadcast(0);
    const std::array terms{term(table.packet(first + j + Index(K) * W))...};
    Packet<Scalar> s1[]{(void(K), zero)...}, s2[]{(void(K), zero)...};
    auto from = band.from;
    for (auto& x : from) x += j;
    for (Index r = 0; r < band.rows; ++r) {
      // The next rows: the hardware does not see where this walk goes.
      if (from_memory) {
        for (std::size_t n = 0; n < N; ++n) {
          for (Index k = 0; k < Index(sizeof...(K)) * W; k += line) {
            prefetch<Cache::l2>(from[n] + k, rows_ahead * band.strides[n] * Index(sizeof(Element)));
          }
        }
      }
      add_row(terms, band.slice + r * shape_.folds, j, lanes, s1, s2, from, columns);
      for (std::size_t n = 0; n < N; ++n) from[n] += band.strides[n];
    }
    // The columns that an overlapping packet has seen are there already.
    const bool is_first = sums.is_empty && !std::same_as<Lanes, OverlappingPacket<Scalar>>;
    (sums.add(first + j + Index(K) * W, s1[K], s2[K], is_first), ...);
  }

  /// Adds what the packets of a row of slice `o` contribute, from element j of a run on. A row of one weight is there
  /// as a whole, or not at all.
  template <class Term, std::size_t T, class Lanes, class Scalar, class Element, std::size_t N, std::size_t... K>
  EIGEN_ALWAYS_INLINE void add_row(const std::array<Term, T>& terms, Index o, Index j, const Lanes& lanes,
                                   Packet<Scalar>* s1, Packet<Scalar>* s2, const std::array<const Element*, N>& from,
                                   std::index_sequence<K...>) const {
    constexpr Index W = Packet<Scalar>::size;
    if constexpr (ByPosition<Term>) {
      if (const auto& weights = terms[0].weights; weights.is_one_for_row()) {
        const Scalar weight = weights.of_row(o);
        if (weight > 0) (add_packet(terms[K].in_row_of(weight), lanes, s1[K], s2[K], from, Index(K) * W), ...);
        return;
      }
    }
    (add_packet(term_in_row(terms[K], o, first_channel, from[0] - j), lanes, s1[K], s2[K], from, Index(K) * W), ...);
  }

  /// Adds up the columns of each channel, in place.
  EIGEN_DONT_INLINE void gather(Index folds, const std::array<double*, 2>& both) const {
    using Row = Eigen::Map<Eigen::ArrayXd>;
    for (Index c = 0; shape_.repeat > 1 && c < channels; ++c) {
      for (double* const sums : both) sums[c] = Row(sums + c * shape_.repeat, shape_.repeat).sum();
    }
    // Of folded rows one half at a time, which is many columns at a time.
    for (; shape_.repeat == 1 && folds > 1; folds = (folds + 1) / 2) {
      const Index half = (folds + 1) / 2 * channels, other = folds / 2 * channels;
      for_each_packet<double>(0, other, [&](Index j, auto lanes) {
        const Channels zero = all_channels(0);
        for (double* const sums : both) {
          lanes.store(sums + j, lanes.load(sums + j, zero) + lanes.load(sums + half + j, zero));
        }
      });
    }
  }

  RowShape shape_;
  Index first_row_, rows_, tail_folds_;
};

/// Rows, cut into ranges of rows and groups of columns.
class RowBlocks {
 public:
  /// For a pass that reduces. `dense`: whether slices follow each other without gaps; `bytes`: those of all inputs, per
  /// element; `folding`: whether a row may consist of several.
  static RowBlocks to_reduce(Index outer, Index channels, Index inner, bool dense, Index bytes, bool folding = true) {
    const Index all_bytes = outer * channels * inner * bytes;
    const bool is_cut = is_from_memory(all_bytes);
    RowBlocks result(outer, channels, inner, dense, all_bytes, folding, is_cut ? enough_blocks * least_rows : 0);
    result.cut_rows(most_block_bytes, bytes);
    // What is done once for each column of a block is paid for by its rows, so columns are cut first.
    if (is_cut && result.count() < enough_blocks && result.shape_.folds == 1) {
      const Index columns = std::max(least_columns, channels * inner * result.ranges() / enough_blocks);
      result.channels_.part = std::min(result.channels_.part, group_for(channels, inner, columns));
    }
    if (is_cut && result.count() < enough_blocks) result.cut_rows(block_bytes(all_bytes), bytes, least_rows);
    return result;
  }

  /// For a pass that only writes: whole rows, as far as columns reach.
  static RowBlocks to_write(Index outer, Index channels, Index inner, bool dense, Index bytes, bool folding = true) {
    const Index all_bytes = outer * channels * inner * bytes;
    RowBlocks result(outer, channels, inner, dense, all_bytes, folding, 0);
    result.cut_rows(block_bytes(all_bytes), bytes);
    return result;
  }

  Index count() const { return channels_.parts() * ranges(); }
  Index ranges() const { return std::max<Index>(1, ranges_.parts()); }
  /// Whether blocks hold all values of their channels, of so many that they are written as quickly as whole rows.
  bool may_be_fused() const {
    return ranges() == 1 && channels_.part >= group_for(channels_.extent, shape_.repeat, max_columns / 2);
  }
  /// Whether rows share lines that could be written once: they follow each other without gaps, and are enough to pay
  /// for looking at all constants before.
  template <class Element>
  bool may_write_lines_once(const ChannelView<Element>& v) const {
    constexpr Index least_values = 512;
    const bool begins_within_line = reinterpret_cast<std::uintptr_t>(v.data) % line_bytes != 0;
    return dense_ && (share_lines(v) || begins_within_line) && v.count() >= least_values;
  }
  /// From now on each is, by the block that it begins in. No block may be written channel by channel then: it would
  /// leave out what it owes to the next one, and write what it is owed.
  void write_lines_once() {
    shape_.elements = (ranges_.extent * shape_.folds + tail_rows_) * channels_.extent * shape_.repeat;
    shape_.channels = channels_.extent;
  }
  /// Whether lines are written in parts, since rows share them.
  template <class Element>
  bool share_lines(const ChannelView<Element>& v) const {
    return shape_.elements == 0 && shape_.folds * v.outer_stride * Index(sizeof(Element)) % line_bytes != 0;
  }
  RowBlock operator[](Index k) const {
    const auto [group, range] = Division(k, ranges());
    const bool last = range + 1 == ranges();
    return {{channels_.begin(group), channels_.size(group), range, from_memory_},
            shape_,
            ranges_.begin(range),
            ranges_.size(range),
            last ? tail_rows_ : 0};
  }

  /// What `count` says of all rows of a range.
  template <class Count>
  double total(Index range, const Count& count) const {
    const Index rows = ranges_.size(range) * shape_.folds + (range + 1 == ranges() ? tail_rows_ : 0);
    return count(PlaneChunk{ranges_.begin(range) * shape_.folds, rows, 0, shape_.repeat});
  }

  /// How far behind an element those lie that a pass which only writes comes to some time later: rows of the block.
  template <class Element>
  Index ahead(const ChannelView<Element>& v) const {
    const Index row_bytes = channels_.part * shape_.repeat * shape_.folds * Index(sizeof(Element));
    return std::max<Index>(1, write_prefetch_bytes / row_bytes) * shape_.folds * v.outer_stride;
  }

  /// How far behind the elements of a block those of the next block lie.
  template <class Element>
  Index stride(const ChannelView<Element>&) const {
    return channels_.part * shape_.repeat;
  }

 private:
  /// How many rows are folded into one: the least that make whole cache lines, and of many rows as many as make a long
  /// one and leave enough.
  static Index folds_for(Index outer, Index channels, bool from_memory, Index enough) {
    constexpr Index many_rows = 64;
    const Index long_row = from_memory ? max_columns : max_columns / 2;
    Index lines = 1;
    while (lines * channels % line_elements != 0) lines *= 2;
    if (lines * channels > max_columns) {
      const Index most = max_columns / channels;
      return most > 1 && outer >= many_rows * most ? most : 1;
    }
    if (lines > outer) return std::max<Index>(1, outer);
    Index folds = lines;
    while ((folds + lines) * channels <= long_row && outer >= 2 * many_rows * folds &&
           outer >= enough * (folds + lines)) {
      folds += lines;
    }
    return folds;
  }

  /// How many channels of so many columns at most go into a group: whole cache lines, where that is possible.
  static Index group_for(Index channels, Index inner, Index columns) {
    const Index most = std::max<Index>(1, fitting(columns, channels, inner));
    if (channels <= most) return std::max<Index>(1, channels);
    Index lines = 1;
    while (lines * inner % line_elements != 0) lines *= 2;
    return lines <= most ? most / lines * lines : most;
  }

  /// To have enough blocks, groups are not made narrower than this, nor ranges shorter, where they are summed.
  static constexpr Index least_columns = 128, least_rows = 128;

  /// `enough`: the rows that folding leaves.
  RowBlocks(Index outer, Index channels, Index inner, bool dense, Index all_bytes, bool folding, Index enough)
      : from_memory_(is_from_memory(all_bytes)),
        shape_{inner, inner == 1 && folding ? folds_for(outer, channels, from_memory_, enough) : 1, 1},
        channels_{channels, group_for(channels, inner, max_columns)},
        ranges_{outer / shape_.folds, 1},
        tail_rows_(outer % shape_.folds),
        dense_(dense) {
    if (!dense) shape_.runs = shape_.folds;
  }

  /// Into ranges of so many bytes.
  void cut_rows(Index block, Index bytes, Index least = 8) {
    const Index row_bytes = channels_.part * shape_.repeat * shape_.folds * bytes;
    const Index fit = fitting(block, ranges_.extent, row_bytes);
    ranges_.part = std::max({least, (ranges_.extent + max_ranges - 1) / max_ranges, fit});
  }

  bool from_memory_;
  RowShape shape_;
  Cut channels_, ranges_;
  Index tail_rows_;
  bool dense_;
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
