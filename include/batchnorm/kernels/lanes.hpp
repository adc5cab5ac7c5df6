/// \file
/// How rows are read and written packet by packet, their ends included.
#pragma once

#include <batchnorm/core/packet.hpp>

#include <algorithm>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// Access to packets that lie wholly in a row.
template <class Scalar>
struct WholePacket {
  EIGEN_STRONG_INLINE Packet<Scalar> load(const Scalar* from, const Packet<Scalar>&) const {
    return Packet<Scalar>::load(from);
  }
  EIGEN_STRONG_INLINE void store(Scalar* to, const Packet<Scalar>& packet) const { packet.store(to); }
};

/// Access to the first `size` elements of a packet, at the end of a row. The tail goes through the same packet
/// operations as the rest: a scalar twin of an expression can round differently.
template <class Scalar>
struct PartialPacket {
  Index size;

  /// The lanes behind the end of the row hold `fill`.
  EIGEN_STRONG_INLINE Packet<Scalar> load(const Scalar* from, const Packet<Scalar>& fill) const {
    Scalar lanes[Packet<Scalar>::size];
    fill.store(lanes);
    std::copy_n(from, size, lanes);
    return Packet<Scalar>::load(lanes);
  }
  EIGEN_STRONG_INLINE void store(Scalar* to, const Packet<Scalar>& packet) const {
    Scalar lanes[Packet<Scalar>::size];
    packet.store(lanes);
    std::copy_n(lanes, size, to);
  }
};

/// Calls body(i, lanes) for every packet of a row of `length` elements: whole packets first, then what is left over.
template <class Scalar, class Body>
EIGEN_STRONG_INLINE void for_each_packet(Index length, const Body& body) {
  constexpr Index W = Packet<Scalar>::size;
  Index i = 0;
  for (; i + W <= length; i += W) body(i, WholePacket<Scalar>{});
  if (i < length) body(i, PartialPacket<Scalar>{length - i});
}

/// A row of one value for each channel, on the stack, padded so that its last packet can be read whole.
template <class Scalar, Index Size>
struct alignas(64) ChannelBuffer {
  static_assert(Size % Packet<Scalar>::size == 0);
  Scalar values[Size];

  EIGEN_STRONG_INLINE Packet<Scalar> packet(Index c) const { return Packet<Scalar>::load(values + c); }
  EIGEN_STRONG_INLINE void store(Index c, const Packet<Scalar>& packet) { packet.store(values + c); }
  Scalar& operator[](Index c) { return values[c]; }
  Scalar operator[](Index c) const { return values[c]; }
};

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
