/// \file
/// What the columns of a block have of their own: constants that are read a packet at a time, and sums.
#pragma once

#include <batchnorm/walk/lanes.hpp>
#include <batchnorm/walk/partition.hpp>
#include <batchnorm/walk/weights.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// Two sums for each channel of a block, or what is made of them.
struct ChannelSums {
  ColumnBuffer<double, max_columns> s1, s2;

  void set_zero(Index channels) {
    std::fill_n(s1.values, channels + s1.room, 0.0);
    std::fill_n(s2.values, channels + s2.room, 0.0);
  }
};

/// What is computed once per channel is computed in double, for a packet of channels at a time.
using Channels = Packet<double>;

inline Channels all_channels(double value) { return Channels::broadcast(value); }

/// The values of the channels c, c + 1, ... in an array with one for each channel.
template <class Values>
EIGEN_STRONG_INLINE Channels channels_of(const Values& values, Index c, auto lanes) {
  return lanes.load(values.data() + c, all_channels(0));
}

/// A few values of every channel, to estimate from: out of the middle of a plane, or of short ones the first.
template <std::size_t Values>
class Sample {
 public:
  explicit Sample(const PlaneChunk& part) {
    const Index length = part.end - part.begin;
    Place place{part.first, part.begin + std::clamp<Index>(length - Index(Values), 0, length / 2)};
    for (Place& taken : places_) {
      taken = place;
      if (place.inner + 1 < part.end) {
        ++place.inner;
      } else if (place.outer + 1 < part.first + part.slices) {
        place = {place.outer + 1, part.begin};
      }
    }
  }
  Sample(const PlaneChunk& part, Index, const Unweighted&) : Sample(part) {}
  /// Of values that have a weight: others may be anything. `inner`: the values of a plane.
  template <class Scalar>
  Sample(const PlaneChunk& part, Index inner, const PositionWeights<Scalar>& weights) : Sample(part) {
    const Index begin = part.first * inner + part.begin, end = begin + part.values();
    Index next = weights.next_present(places_[0].outer * inner + places_[0].inner, end);
    if (next == end) next = weights.next_present(begin, end);
    Place place = places_[0];
    for (Place& taken : places_) {
      if (next < end) {
        place = {next / inner, next % inner};
        next = weights.next_present(next + 1, end);
      }
      taken = place;
    }
  }

  /// Value k of channel c.
  template <class Element>
  Element value(const ChannelView<const Element>& x, std::size_t k, Index c) const {
    return *address(x, k, c);
  }
  /// Those of the channels c, c + 1, ..., c + size - 1, and zeros in the lanes behind them.
  template <class Element>
  std::array<Packet<statistics_t<Element>>, Values> packets(const ChannelView<const Element>& x, Index c,
                                                            Index size) const {
    using Scalar = statistics_t<Element>;
    constexpr Index W = Packet<Scalar>::size;
    std::array<Packet<Scalar>, Values> result;
    if (x.channel_stride == 1) {
      for (std::size_t k = 0; k < Values; ++k) {
        const Element* from = address(x, k, c);
        result[k] = size == W ? Packet<Scalar>::load(from)
                              : PartialPacket<Scalar>{size}.load(from, Packet<Scalar>::broadcast(0));
      }
      return result;
    }
    // All are written before any is read: a packet of what was written in parts has to wait for that.
    Scalar lanes[Values][std::size_t(W)] = {};
    for (std::size_t k = 0; k < Values; ++k) {
      const Element* from = address(x, k, c);
      for (Index lane = 0; lane < size; ++lane) lanes[k][lane] = static_cast<Scalar>(from[lane * x.channel_stride]);
    }
    for (std::size_t k = 0; k < Values; ++k) result[k] = Packet<Scalar>::load(lanes[k]);
    return result;
  }

 private:
  struct Place {
    Index outer, inner;
  };

  template <class Element>
  const Element* address(const ChannelView<const Element>& x, std::size_t k, Index c) const {
    return x.plane(places_[k].outer, c) + places_[k].inner;
  }

  std::array<Place, Values> places_;
};

/// Which channels a block has, and how its columns belong to them: column j to channel j / repeat % channels. Where the
/// columns behind them count, they are of the next of all `following` channels, and then of the first: else that is 0.
struct ColumnShape {
  Index first_channel, channels, repeat, columns, following = 0;

  /// The first column of a channel.
  Index column(Index c) const { return c * repeat; }

  /// From one column per channel to all, in some rows, and zeros in what a packet may read behind them.
  template <class Scalar>
  EIGEN_DONT_INLINE void spread(ColumnBuffer<Scalar, max_columns>* rows, std::size_t count) const {
    constexpr Index W = Packet<Scalar>::size;
    for (std::size_t k = 0; k < count; ++k) {
      auto& row = rows[k];
      for (Index c = channels - 1; repeat > 1 && c >= 0; --c) std::fill_n(row.values + c * repeat, repeat, row[c]);
    }
    // All rows take a step before the next one: a packet of what was written in parts has to wait for that. What
    // packets copy beyond is copied again, or behind the columns.
    for (Index done = channels * repeat; done < columns; done *= 2) {
      for (std::size_t k = 0; k < count; ++k) {
        for (Index i = 0; i < std::min(done, columns - done); i += W) rows[k].store(done + i, rows[k].packet(i));
      }
    }
    for (std::size_t k = 0; k < count; ++k) rows[k].store(columns, Packet<Scalar>::broadcast(0));
  }
};

/// The constants of the columns of a block: a row of memory for each member of Coefficients<V>.
template <class Scalar_, template <class> class Coefficients>
class ColumnTable {
 public:
  using Scalar = Scalar_;

  ColumnTable() = default;
  template <class Make>
  ColumnTable(const ColumnShape& block, const Make& make) {
    compute(block, make);
    spread(block);
    for (Index j = 0; block.following > 0 && j < Row::room; ++j) {
      const PartialPacket<double> one{1};
      const Index next = block.first_channel + block.channels + j / block.repeat;
      const auto values = members_of<Packet<double>>(make(next % block.following, one));
      for (std::size_t k = 0; k < members; ++k) one.store(rows_[k].values + block.columns + j, values[k]);
    }
  }

  /// Computes the constants in double and rounds them once: make(c, lanes) gives those of channels c, c + 1, ... Column
  /// c is that of channel c until they are spread.
  template <class Make>
  void compute(const ColumnShape& block, const Make& make) {
    Channels extreme = all_channels(0);
    for_each_overlapping_packet<double>(block.channels, [&](Index c, auto lanes) {
      const auto values = members_of<Packet<double>>(make(block.first_channel + c, lanes));
      Channels size = abs(values[0]);
      values[0].store(rows_[0].values + c);
      for (std::size_t k = 1; k < members; ++k) {
        size = size + abs(values[k]);
        values[k].store(rows_[k].values + c);
      }
      extreme = extreme +
                select_less_equal(all_channels(largest_constant), lanes.keep(size), all_channels(1), all_channels(0));
    });
    has_extremes_ = sum(extreme) > 0;
  }

  /// The same where they are known: constants(c) gives those of channels c, c + 1, ..., as far as packets reach.
  template <class Constants>
  void fill(const ColumnShape& block, const Constants& constants) {
    for (Index c = 0; c < block.channels; c += Packet<Scalar>::size) {
      const auto values = members_of<Packet<Scalar>>(constants(c));
      for (std::size_t k = 0; k < members; ++k) rows_[k].store(c, values[k]);
    }
    spread(block);
  }

  /// From one column per channel to all.
  void spread(const ColumnShape& block) { block.spread(rows_.data(), members); }

  /// One row: a constant for each column.
  auto& row(std::size_t member) { return rows_[member]; }

  /// Whether a channel has constants of a size with which its values cannot be computed in Scalar.
  bool has_extremes() const { return has_extremes_; }
  /// Whether column j is of such a channel.
  bool is_extreme(Index j) const {
    return std::any_of(rows_.begin(), rows_.end(),
                       [&](const auto& row) { return std::abs(static_cast<double>(row[j])) >= largest_constant; });
  }

  /// Those of the columns j, j + 1, ...
  EIGEN_STRONG_INLINE Coefficients<Packet<Scalar>> packet(Index j) const {
    return gathered([&](std::size_t k) { return rows_[k].packet(j); });
  }
  /// Those of column j in every lane.
  EIGEN_STRONG_INLINE Coefficients<Packet<Scalar>> broadcast(Index j) const {
    return gathered([&](std::size_t k) { return Packet<Scalar>::broadcast(rows_[k][j]); });
  }

 private:
  using Row = ColumnBuffer<Scalar, max_columns>;
  static constexpr std::size_t members = sizeof(Coefficients<Scalar>) / sizeof(Scalar);
  /// In double nothing is done about extremes.
  static constexpr double largest_constant =
      std::same_as<Scalar, float> ? 0x1p100 : std::numeric_limits<double>::infinity();

  template <class V>
  static auto members_of(const Coefficients<V>& values) {
    return std::bit_cast<std::array<V, members>>(values);
  }

  template <class Member>
  static EIGEN_STRONG_INLINE Coefficients<Packet<Scalar>> gathered(const Member& member) {
    return [&]<std::size_t... K>(std::index_sequence<K...>) { return Coefficients<Packet<Scalar>>{member(K)...}; }
    (std::make_index_sequence<members>{});
  }

  std::array<Row, members> rows_;
  bool has_extremes_ = false;
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
