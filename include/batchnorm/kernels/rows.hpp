/// \file
/// Rows: runs of memory in which channels lie side by side. Packets run across channels.
///
/// A row is a sequence of columns, of which column j belongs to channel j / repeat % channels:
///
///   a row-major matrix, NHWC                 repeat 1
///   the same with few channels               repeat 1, several rows folded into a longer one
///   short planes that lie side by side       repeat = inner: the last stages of a network in NCHW, or batches that
///                                            are the fast axis of a column-major tensor
#pragma once

#include <batchnorm/kernels/columns.hpp>
#include <batchnorm/kernels/partition.hpp>
#include <batchnorm/kernels/runs.hpp>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// The first `columns` columns of the rows [first, first + rows) of a block: that many values of each channel.
struct RowChunk {
  Index first, rows, columns, channel_values;

  constexpr Index values() const { return channel_values; }
};

/// How columns belong to channels, and how a row lies in memory: as `runs` of consecutive elements, each of as many
/// slices. A folded row of dense slices is one run; where slices have gaps between them it is as many as there are.
struct RowShape {
  Index repeat, folds, runs;
};

/// Some rows of a group of columns.
class RowBlock : public Block {
 public:
  /// Where a pass that only writes asks its inputs into, as measured.
  static constexpr Cache writes_from = Cache::l2;

  RowBlock(const Block& block, const RowShape& shape, Index first_row, Index rows, Index tail_columns)
      : Block(block), shape_(shape), first_row_(first_row), rows_{rows, chunk_rows}, tail_columns_(tail_columns) {}

  Index chunks() const { return rows_.parts() + (tail_columns_ > 0); }
  RowChunk chunk(Index k) const {
    if (k == rows_.parts()) return rows_from(rows_.extent, 1, tail_columns_);
    return rows_from(rows_.begin(k), rows_.size(k), columns());
  }

  /// A few values of each channel.
  RowChunk sample() const {
    if (rows_.extent == 0) return chunk(0);
    constexpr Index enough = 8;
    const Index values = shape_.repeat * shape_.folds;
    return rows_from(0, std::min(rows_.extent, (enough + values - 1) / values), columns());
  }
  template <class Element>
  Element first_value(const ChannelView<const Element>& x, Index c) const {
    return *at(x, 0, 0, c * shape_.repeat);
  }

  Index columns() const { return channels * shape_.repeat * shape_.folds; }

  /// Spreads one value per channel over the columns.
  template <class Scalar>
  void spread(Scalar* values) const {
    if (shape_.repeat > 1) {
      for (Index c = channels - 1; c >= 0; --c) std::fill_n(values + c * shape_.repeat, shape_.repeat, values[c]);
    }
    const Index all = columns();
    for (Index done = channels; shape_.folds > 1 && done < all; done *= 2) {
      std::copy_n(values, std::min(done, all - done), values + done);
    }
  }

  /// Two sums per channel over a chunk: term(constants).add(packets of the inputs..., s1, s2) adds what a packet
  /// contributes. Several rows at a time, eight streams of memory: so the sums of a column are read and written once for
  /// several values.
  template <class Table, class MakeTerm, class Element, std::size_t N>
  void reduce(const RowChunk& chunk, const Table& table, const MakeTerm& term, const Views<const Element, N>& inputs,
              ChannelSums& sums) const {
    using Scalar = typename Table::Scalar;
    ColumnBuffer<Scalar, max_columns> s1, s2;
    sum_columns(chunk, table, term, inputs, s1, s2);
    gather(s1.values, chunk.columns, sums.s1.values);
    gather(s2.values, chunk.columns, sums.s2.values);
  }

  /// Writes a chunk: outputs = function(constants, packets of the inputs...). One row at a time, in memory order.
  template <bool Streaming, Cache Into, class Table, class Function, class Element, std::size_t N, std::size_t M>
  void write(const RowChunk& chunk, Index ahead, const Table& table, const Function& function,
             const Views<const Element, N>& inputs, const Views<Element, M>& outputs) const {
    for (Index r = chunk.first; r < chunk.first + chunk.rows; ++r) {
      for_each_run(chunk, [&](Index run, Index first, Index length) {
        const auto here = [&](const auto& view) { return at(view, r, run, 0); };
        write_run<Streaming, Into>(
            length, ahead, [&](Index j, const auto&... in) { return function(table.packet(first + j), in...); },
            each(outputs, here), each(inputs, here));
      });
    }
  }

 private:
  /// Element j of a run of row r of this block.
  template <class Element>
  Element* at(const ChannelView<Element>& v, Index r, Index run, Index j) const {
    return v.data + ((first_row_ + r) * shape_.folds + run) * v.outer_stride + first_channel * shape_.repeat + j;
  }

  /// Calls body(run, first column, length) for the runs of a row of a chunk.
  template <class Body>
  void for_each_run(const RowChunk& chunk, const Body& body) const {
    const Index length = std::min(chunk.columns, columns() / shape_.runs);
    for (Index run = 0, first = 0; first < chunk.columns; ++run, first += length) body(run, first, length);
  }

  RowChunk rows_from(Index first, Index rows, Index columns) const {
    return {first, rows, columns, rows * (columns / channels)};
  }

  template <class Scalar, class Table, class MakeTerm, class Element, std::size_t N>
  void sum_columns(const RowChunk& chunk, const Table& table, const MakeTerm& term,
                   const Views<const Element, N>& inputs, ColumnBuffer<Scalar, max_columns>& s1,
                   ColumnBuffer<Scalar, max_columns>& s2) const {
    constexpr Index together = 8 / Index(N), in_a_line = line_bytes / Index(sizeof(Element));
    const auto zero = Packet<Scalar>::broadcast(0);
    for (Index begin = 0; begin < chunk.rows; begin += together) {
      const Index first_row = chunk.first + begin, rows = std::min(together, chunk.rows - begin);
      for_each_run(chunk, [&](Index run, Index first, Index length) {
        for_each_packet<Scalar>(0, length, [&](Index j, auto lanes) {
          const auto here = term(table.packet(first + j));
          Packet<Scalar> t1 = zero, t2 = zero;
          for (Index r = first_row; r < first_row + rows; ++r) {
            // The next rows: the hardware does not see where this walk goes.
            if (from_memory && j % in_a_line == 0) {
              for (const auto& x : inputs) prefetch<Cache::l2>(at(x, r + together, run, j), 0);
            }
            std::apply([&](const auto&... x) { here.add(lanes, t1, t2, at(x, r, run, j)...); }, inputs);
          }
          lanes.store(s1.values + first + j, begin == 0 ? t1 : s1.packet(first + j) + t1);
          lanes.store(s2.values + first + j, begin == 0 ? t2 : s2.packet(first + j) + t2);
        });
      });
    }
  }

  /// Adds up the columns of each channel.
  template <class Scalar>
  void gather(const Scalar* column_sums, Index columns, double* channel_sums) const {
    using Row = Eigen::Map<const ChannelArray<Scalar>>;
    if (shape_.repeat > 1) {
      for (Index c = 0; c < channels; ++c) {
        channel_sums[c] = static_cast<double>(Row(column_sums + c * shape_.repeat, eigen_index(shape_.repeat)).sum());
      }
      return;
    }
    Eigen::Map<Eigen::ArrayXd> total(channel_sums, eigen_index(channels));
    total = Row(column_sums, eigen_index(channels)).template cast<double>();
    for (Index j = channels; j < columns; j += channels)
      total += Row(column_sums + j, eigen_index(channels)).template cast<double>();
  }

  RowShape shape_;
  Index first_row_;
  Cut rows_;
  Index tail_columns_;
};

/// Rows, cut into ranges of rows and groups of columns.
class RowBlocks {
 public:
  /// `dense`: whether slices follow each other without gaps; `bytes`: those of all inputs, per element.
  RowBlocks(Index outer, Index channels, Index inner, bool dense, Index bytes)
      : shape_{inner, inner == 1 ? folds_for(outer, channels) : 1, 1},
        channels_{channels, group_for(channels, inner)},
        ranges_{outer / shape_.folds, 1},
        tail_rows_(outer % shape_.folds),
        from_memory_(outer * channels * inner * bytes > block_bytes) {
    if (!dense) shape_.runs = shape_.folds;
    const Index row_bytes = channels_.part * inner * shape_.folds * bytes;
    const Index least = std::max<Index>(8, (ranges_.extent + max_ranges - 1) / max_ranges);
    ranges_.part = std::max(least, block_bytes / row_bytes);
  }

  Index count() const { return channels_.parts() * ranges(); }
  Index ranges() const { return std::max<Index>(1, ranges_.parts()); }
  /// The groups of a range follow each other: so the rows are walked about in memory order.
  RowBlock operator[](Index k) const {
    const Index group = k % channels_.parts(), range = k / channels_.parts();
    const bool last = range + 1 == ranges();
    return {{channels_.begin(group), channels_.size(group), range, from_memory_},
            shape_,
            ranges_.begin(range),
            ranges_.size(range),
            last ? tail_rows_ * channels_.extent : 0};
  }

  /// The values of a channel in a range.
  Index values(Index range) const {
    const Index rows = ranges_.size(range) * shape_.folds + (range + 1 == ranges() ? tail_rows_ : 0);
    return rows * shape_.repeat;
  }

  /// How far behind an element those lie that a pass which only writes comes to some time later: rows of the block.
  template <class Element>
  Index ahead(const ChannelView<Element>& v) const {
    const Index row_bytes = channels_.part * shape_.repeat * shape_.folds * Index(sizeof(Element));
    return std::max<Index>(1, prefetch_bytes / row_bytes) * shape_.folds * v.outer_stride;
  }

  /// How far behind the elements of a block those of the next block lie.
  template <class Element>
  Index stride(const ChannelView<Element>&) const {
    return channels_.part * shape_.repeat;
  }

 private:
  /// How many rows are folded into one: the least that make whole cache lines, and of many rows as many as make a long
  /// one.
  static Index folds_for(Index outer, Index channels) {
    constexpr Index long_row = 512, many_rows = 64;
    if (channels >= long_row) return 1;
    const Index most = max_columns / channels;
    Index lines = 1;
    while (lines * channels % line_elements != 0) lines *= 2;
    if (lines > most) return outer >= many_rows * most ? most : 1;
    Index folds = lines;
    while (folds * channels < long_row && outer / folds >= 2 * many_rows) folds += lines;
    return folds;
  }

  /// How many channels go into a group: whole cache lines, where that is possible.
  static Index group_for(Index channels, Index inner) {
    const Index most = max_columns / inner;
    if (channels <= most) return std::max<Index>(1, channels);
    Index lines = 1;
    while (lines * inner % line_elements != 0) lines *= 2;
    return lines <= most ? most / lines * lines : most;
  }

  RowShape shape_;
  Cut channels_, ranges_;
  Index tail_rows_;
  bool from_memory_;
};

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
