/// \file
/// How rows are read and written packet by packet, their ends included, and how lanes are added up.
#pragma once

#include <batchnorm/base/packet.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// Access to packets that lie wholly in a row.
template <class Scalar>
struct WholePacket {
  template <class Element>
  EIGEN_STRONG_INLINE Packet<Scalar> load(const Element* from, const Packet<Scalar>&) const {
    return Packet<Scalar>::load(from);
  }
  template <class Element>
  EIGEN_STRONG_INLINE void store(Element* to, const Packet<Scalar>& packet) const {
    packet.store(to);
  }
  /// The lanes that are there, and zeros for the others, whatever these hold: what enters a sum.
  EIGEN_STRONG_INLINE const Packet<Scalar>& keep(const Packet<Scalar>& packet) const { return packet; }
  /// Times the weights of the values that these lanes are made of: 1, see WeightedLanes.
  EIGEN_STRONG_INLINE const Packet<Scalar>& weigh(const Packet<Scalar>& packet) const { return packet; }
};

/// Whether lanes of a packet can be loaded from elements, and stored to them, by a mask.
template <class Packet, class Element>
concept MasksLanes = requires(Element* elements, Packet& packet) {
  packet.raw = load_lanes(elements, lanes_between(0, 1), packet.raw);
  store_lanes(elements, lanes_between(0, 1), packet.raw);
};

/// Copies size < 2 Part elements, in pieces of constant sizes: a call of memcpy takes longer than all of them.
template <Index Part, class Element>
EIGEN_ALWAYS_INLINE void copy_few(const Element* from, Index size, Element* to) {
  if constexpr (Part > 0) {
    if (size & Part) std::memcpy(static_cast<void*>(to), from, Part * sizeof(Element));
    copy_few<Part / 2>(from + (size & Part), size, to + (size & Part));
  }
}

/// Access to the first `size` elements of a packet, at the end of a row. The tail goes through the same packet
/// operations as the rest: a scalar twin of an expression can round differently.
template <class Scalar>
struct PartialPacket {
  Index size;

  /// The lanes behind the end of the row hold `fill`.
  template <class Element>
  EIGEN_STRONG_INLINE Packet<Scalar> load(const Element* from, const Packet<Scalar>& fill) const {
    if constexpr (MasksLanes<Packet<Scalar>, Element>) {
      return {load_lanes(from, lanes_between(0, size), fill.raw)};
    } else {
      Scalar lanes[Packet<Scalar>::size];
      fill.store(lanes);
      if constexpr (std::same_as<Element, Scalar>) {
        copy_few<Packet<Scalar>::size>(from, size, lanes);
      } else {
        for (Index k = 0; k < size; ++k) lanes[k] = static_cast<Scalar>(from[k]);
      }
      return Packet<Scalar>::load(lanes);
    }
  }
  template <class Element>
  EIGEN_STRONG_INLINE void store(Element* to, const Packet<Scalar>& packet) const {
    if constexpr (MasksLanes<Packet<Scalar>, Element>) {
      store_lanes(to, lanes_between(0, size), packet.raw);
    } else {
      Element lanes[Packet<Scalar>::size];
      packet.store(lanes);
      copy_few<Packet<Scalar>::size>(lanes, size, to);
    }
  }
  EIGEN_STRONG_INLINE Packet<Scalar> keep(const Packet<Scalar>& packet) const {
    return select_less_equal(Packet<Scalar>::count_up(), Packet<Scalar>::broadcast(static_cast<Scalar>(size - 1)),
                             packet, Packet<Scalar>::broadcast(0));
  }
  EIGEN_STRONG_INLINE const Packet<Scalar>& weigh(const Packet<Scalar>& packet) const { return packet; }
};

/// Access to a packet that overlaps the one before it, at the end of a row: its first `seen` lanes, one at least, have
/// been dealt with.
template <class Scalar>
struct OverlappingPacket {
  Index seen;

  /// The lanes that have been dealt with hold `fill`.
  template <class Element>
  EIGEN_STRONG_INLINE Packet<Scalar> load(const Element* from, const Packet<Scalar>& fill) const {
    return select_less_equal(Packet<Scalar>::count_up(), Packet<Scalar>::broadcast(static_cast<Scalar>(seen - 1)), fill,
                             Packet<Scalar>::load(from));
  }
  EIGEN_STRONG_INLINE Packet<Scalar> keep(const Packet<Scalar>& packet) const {
    return select_less_equal(Packet<Scalar>::count_up(), Packet<Scalar>::broadcast(static_cast<Scalar>(seen - 1)),
                             Packet<Scalar>::broadcast(0), packet);
  }
  EIGEN_STRONG_INLINE const Packet<Scalar>& weigh(const Packet<Scalar>& packet) const { return packet; }
};

/// Calls body(i, lanes) for every packet of the elements [begin, end): whole packets first, then what is left over.
template <class Scalar, class Body>
EIGEN_STRONG_INLINE void for_each_packet(Index begin, Index end, const Body& body) {
  constexpr Index W = Packet<Scalar>::size;
  Index i = begin;
  for (; i + W <= end; i += W) body(i, WholePacket<Scalar>{});
  if (i < end) body(i, PartialPacket<Scalar>{end - i});
}

/// The same, but the last packet may overlap the one before it: quicker, for bodies that may see an element twice.
template <class Scalar, class Body>
EIGEN_STRONG_INLINE void for_each_overlapping_packet(Index size, const Body& body) {
  constexpr Index W = Packet<Scalar>::size;
  if (size < W) return size > 0 ? body(0, PartialPacket<Scalar>{size}) : void();
  const Index last = size - W;
  for (Index next = 0; next < size; next += W) body(std::min(next, last), WholePacket<Scalar>{});
}

/// Where a packet begins there that has element i: at i, or where it ends with the last element.
template <class Scalar>
constexpr Index begin_of_packet(Index i, Index size) {
  return std::max<Index>(0, std::min(i, size - Packet<Scalar>::size));
}

/// Adds what the packets at element i of some inputs contribute to two sums. Not a lambda, nor is any caller on the way
/// to the loop: accumulators that lambdas hand on by reference end up in memory with g++.
template <class Term, class Lanes, class Scalar, class Element, std::size_t... N>
EIGEN_ALWAYS_INLINE void add_packet(const Term& term, const Lanes& lanes, Packet<Scalar>& s1, Packet<Scalar>& s2,
                                    const std::array<const Element*, sizeof...(N)>& from, Index i,
                                    std::index_sequence<N...>) {
  term.add(lanes, s1, s2, from[N] + i...);
}
template <class Term, class Lanes, class Scalar, class Element, std::size_t N>
EIGEN_ALWAYS_INLINE void add_packet(const Term& term, const Lanes& lanes, Packet<Scalar>& s1, Packet<Scalar>& s2,
                                    const std::array<const Element*, N>& from, Index i) {
  add_packet(term, lanes, s1, s2, from, i, std::make_index_sequence<N>{});
}

/// The most additions that a lane goes through before it is added to a double: the error of a sum of one sign grows by
/// a quarter of the unit roundoff with each, whatever the width of a packet.
inline constexpr Index lane_additions = 16;

/// totals[k] += lane k of the packet; `is_first`: = it, since there is no total yet.
template <class Scalar>
EIGEN_ALWAYS_INLINE void add_lanes(double* totals, const Packet<Scalar>& packet, bool is_first = false) {
  constexpr Index W = Packet<Scalar>::size, D = Packet<double>::size;
  Scalar lanes[std::size_t(W)];
  packet.store(lanes);
  for (Index k = 0; k < W; k += D) {
    const auto term = Packet<double>::load(lanes + k);
    (is_first ? term : Packet<double>::load(totals + k) + term).store(totals + k);
  }
}

/// A row of one value for each column, on the stack, with room behind it so that a packet of any type can be read and
/// written from any column on, and as many as a cache line has. The room also keeps rows from beginning at equal places
/// in their pages, where stores to one would hold up loads from another.
template <class Scalar, Index Size>
struct alignas(64) ColumnBuffer {
  static constexpr Index room = 32;
  Scalar values[std::size_t(Size + room)];

  EIGEN_STRONG_INLINE Packet<Scalar> packet(Index c) const { return Packet<Scalar>::load(values + c); }
  EIGEN_STRONG_INLINE void store(Index c, const Packet<Scalar>& packet) { packet.store(values + c); }
  Scalar& operator[](Index c) { return values[c]; }
  Scalar operator[](Index c) const { return values[c]; }
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
