/// \file
/// SIMD packets: Eigen's, so that one source serves every instruction set, as a type with operators.
#pragma once

#include <batchnorm/core/tensor.hpp>

namespace batchnorm::inline BATCHNORM_ABI {

/// As many Scalars as a register of the instruction set holds, with arithmetic lane by lane.
template <class Scalar>
struct Packet {
  using Raw = typename Eigen::internal::packet_traits<Scalar>::type;
  static constexpr Index size = Eigen::internal::packet_traits<Scalar>::size;

  Raw raw;

  /// The value in every lane.
  static EIGEN_STRONG_INLINE Packet broadcast(Scalar value) { return {Eigen::internal::pset1<Raw>(value)}; }
  /// The `size` elements at an address of any alignment.
  static EIGEN_STRONG_INLINE Packet load(const Scalar* from) { return {Eigen::internal::ploadu<Raw>(from)}; }
  EIGEN_STRONG_INLINE void store(Scalar* to) const { Eigen::internal::pstoreu(to, raw); }

  friend EIGEN_STRONG_INLINE Packet operator+(const Packet& a, const Packet& b) {
    return {Eigen::internal::padd(a.raw, b.raw)};
  }
  friend EIGEN_STRONG_INLINE Packet operator-(const Packet& a, const Packet& b) {
    return {Eigen::internal::psub(a.raw, b.raw)};
  }
  friend EIGEN_STRONG_INLINE Packet operator*(const Packet& a, const Packet& b) {
    return {Eigen::internal::pmul(a.raw, b.raw)};
  }

  /// a * b + c, rounded once where the instruction set can.
  friend EIGEN_STRONG_INLINE Packet multiply_add(const Packet& a, const Packet& b, const Packet& c) {
    return {Eigen::internal::pmadd(a.raw, b.raw, c.raw)};
  }
  /// The larger of two, NaN if either is.
  friend EIGEN_STRONG_INLINE Packet max(const Packet& a, const Packet& b) {
    return {Eigen::internal::pmax<Eigen::PropagateNaN>(a.raw, b.raw)};
  }
  /// `then` in the lanes where a <= b, `otherwise` in the others; NaN compares false.
  friend EIGEN_STRONG_INLINE Packet select_less_equal(const Packet& a, const Packet& b, const Packet& then,
                                                      const Packet& otherwise) {
    return {Eigen::internal::pselect(Eigen::internal::pcmp_le(a.raw, b.raw), then.raw, otherwise.raw)};
  }
  /// The sum over the lanes.
  friend EIGEN_STRONG_INLINE Scalar sum(const Packet& a) { return Eigen::internal::predux(a.raw); }
};

}  // namespace batchnorm::inline BATCHNORM_ABI
