/// \file
/// SIMD packets: Eigen's, so that one source serves every instruction set, as a type with operators.
#pragma once

#include <batchnorm/base/intrinsics.hpp>
#include <batchnorm/base/tensor.hpp>

#include <bit>
#include <concepts>
#include <cstring>
#include <limits>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

namespace detail {

/// Elements of 16 bits are stored, never computed with.
template <class Element>
concept SixteenBit = std::same_as<Element, Eigen::half> || std::same_as<Element, Eigen::bfloat16>;

template <class Element>
struct statistics {
  using type = Element;
};
template <SixteenBit Element>
struct statistics<Element> {
  using type = float;
};

/// Whether Eigen converts a packet of From to a packet of as many To.
template <class From, class To>
inline constexpr bool casts_by_packet = bool(Eigen::internal::type_casting_traits<From, To>::VectorizedCast) &&
                                        int(Eigen::internal::packet_traits<From>::size) ==
                                            int(Eigen::internal::packet_traits<To>::size);

}  // namespace detail

/// The type of the arithmetic and the parameters for data of this element type: float for half and bfloat16, otherwise
/// the element type itself.
template <class Element>
using statistics_t = typename detail::statistics<std::remove_const_t<Element>>::type;

/// As many Scalars as a register of the instruction set holds, with arithmetic lane by lane.
template <class Scalar>
struct Packet {
  /// Eigen's packet.
  using Raw = typename Eigen::internal::packet_traits<Scalar>::type;
  /// Lanes.
  static constexpr Index size = Eigen::internal::packet_traits<Scalar>::size;

  /// The lanes as Eigen's functions take them.
  Raw raw;

  /// The value in every lane.
  static EIGEN_STRONG_INLINE Packet broadcast(Scalar value) { return {Eigen::internal::pset1<Raw>(value)}; }

  /// 0, 1, 2, ...
  static EIGEN_STRONG_INLINE Packet count_up() { return {Eigen::internal::plset<Raw>(Scalar(0))}; }

  /// The `size` elements at an address of any alignment, converted to Scalar.
  template <class Element>
  static EIGEN_STRONG_INLINE Packet load(const Element* from) {
    if constexpr (std::same_as<Element, Scalar>) {
      return {Eigen::internal::ploadu<Raw>(from)};
    } else if constexpr (converts_half<Element>) {
      return {detail::HalfConversion<int(size)>::load(from)};
    } else if constexpr (detail::casts_by_packet<Element, Scalar>) {
      using Stored = typename Eigen::internal::packet_traits<Element>::type;
      return {Eigen::internal::pcast<Stored, Raw>(Eigen::internal::ploadu<Stored>(from))};
    } else if constexpr (converts_between_floats<Element>) {
      return {detail::load_converted<Raw, Element, int(size)>(from)};
    } else {
      Scalar lanes[std::size_t(size)];
      for (Index k = 0; k < size; ++k) lanes[k] = static_cast<Scalar>(from[k]);
      return load(lanes);
    }
  }

  /// Writes `size` elements to an address of any alignment, rounded to Element.
  template <class Element>
  EIGEN_STRONG_INLINE void store(Element* to) const {
    if constexpr (std::same_as<Element, Scalar>) {
      Eigen::internal::pstoreu(to, raw);
    } else if constexpr (converts_half<Element>) {
      const auto rounded = detail::HalfConversion<int(size)>::round(raw);
      std::memcpy(static_cast<void*>(to), &rounded, sizeof(rounded));
    } else if constexpr (detail::casts_by_packet<Scalar, Element>) {
      using Stored = typename Eigen::internal::packet_traits<Element>::type;
      Eigen::internal::pstoreu(to, Eigen::internal::pcast<Raw, Stored>(raw));
    } else if constexpr (converts_between_floats<Element>) {
      detail::store_converted<int(size)>(raw, to);
    } else {
      Scalar lanes[std::size_t(size)];
      store(lanes);
      for (Index k = 0; k < size; ++k) to[k] = static_cast<Element>(lanes[k]);
    }
  }

  /// The same as a non-temporal store, to an address that is a multiple of the bytes written.
  template <class Element>
  EIGEN_STRONG_INLINE void stream(Element* to) const {
    if constexpr (std::same_as<Element, Scalar>) {
      detail::stream(to, raw);
    } else if constexpr (converts_half<Element>) {
      detail::stream(to, detail::HalfConversion<int(size)>::round(raw));
    } else if constexpr (detail::casts_by_packet<Scalar, Element>) {
      using Stored = typename Eigen::internal::packet_traits<Element>::type;
      detail::stream(to, Eigen::internal::pcast<Raw, Stored>(raw));
    } else {
      store(to);
    }
  }

  /// a + b.
  friend EIGEN_STRONG_INLINE Packet operator+(const Packet& a, const Packet& b) {
    return {Eigen::internal::padd(a.raw, b.raw)};
  }
  /// a - b.
  friend EIGEN_STRONG_INLINE Packet operator-(const Packet& a, const Packet& b) {
    return {Eigen::internal::psub(a.raw, b.raw)};
  }
  /// a * b, rounded, whatever it is added to; multiply_add() is there for the other.
  friend EIGEN_STRONG_INLINE Packet operator*(const Packet& a, const Packet& b) {
    return {detail::rounded(Eigen::internal::pmul(a.raw, b.raw))};
  }

  /// The square root, as Eigen approximates it.
  friend EIGEN_STRONG_INLINE Packet sqrt(const Packet& a) { return {Eigen::internal::psqrt(a.raw)}; }

  /// a * b + c, rounded once where the instruction set can.
  friend EIGEN_STRONG_INLINE Packet multiply_add(const Packet& a, const Packet& b, const Packet& c) {
    return {Eigen::internal::pmadd(a.raw, b.raw, c.raw)};
  }
  /// The larger of two, NaN if either is.
  friend EIGEN_STRONG_INLINE Packet max(const Packet& a, const Packet& b) {
    return with_nan_of(a, b, {Eigen::internal::pmax<nan_propagation>(a.raw, b.raw)});
  }
  /// `then` in the lanes where a <= b, `otherwise` in the others; NaN compares false.
  friend EIGEN_STRONG_INLINE Packet select_less_equal(const Packet& a, const Packet& b, const Packet& then,
                                                      const Packet& otherwise) {
#if __FINITE_MATH_ONLY__
    return {Bits::select(less_equal(Bits(a.raw), Bits(b.raw)), Bits(then.raw), Bits(otherwise.raw))};
#elif defined(EIGEN_VECTORIZE_AVX512)
    // By a mask register. Eigen makes lanes of that and of these a mask again.
    return {a.raw <= b.raw ? then.raw : otherwise.raw};
#else
    return {Eigen::internal::pselect(Eigen::internal::pcmp_le(a.raw, b.raw), then.raw, otherwise.raw)};
#endif
  }
  /// The largest power of two that is not above |a|, for a normal a.
  friend EIGEN_STRONG_INLINE Packet power_of_two(const Packet& a) {
    // The bits of infinity are those of an exponent.
    constexpr Scalar exponent = std::numeric_limits<Scalar>::infinity();
    return {Eigen::internal::pand(a.raw, Eigen::internal::pset1<Raw>(exponent))};
  }
  /// The sum over the lanes.
  friend EIGEN_STRONG_INLINE Scalar sum(const Packet& a) { return Eigen::internal::predux(a.raw); }

  // What activations are written with.

  /// a / b: a quotient, under -ffast-math too.
  friend EIGEN_STRONG_INLINE Packet operator/(const Packet& a, const Packet& b) {
#if __FINITE_MATH_ONLY__
    if constexpr (std::same_as<Scalar, float>) return {detail::divide_floats(a.raw, b.raw)};
#endif
    return {Eigen::internal::pdiv(a.raw, b.raw)};
  }
  /// By the sign bit: Eigen's own is 0 - a on some instruction sets, which has another sign for 0.
  friend EIGEN_STRONG_INLINE Packet operator-(const Packet& a) { return {Eigen::internal::pxor(a.raw, sign_bit())}; }
  /// The smaller of two, NaN if either is.
  friend EIGEN_STRONG_INLINE Packet min(const Packet& a, const Packet& b) {
    return with_nan_of(a, b, {Eigen::internal::pmin<nan_propagation>(a.raw, b.raw)});
  }
  /// |a|; NaN stays NaN.
  friend EIGEN_STRONG_INLINE Packet abs(const Packet& a) { return {Eigen::internal::pabs(a.raw)}; }
  /// |magnitude| with the sign bit of `sign`.
  friend EIGEN_STRONG_INLINE Packet copysign(const Packet& magnitude, const Packet& sign) {
    return {Eigen::internal::por(Eigen::internal::pabs(magnitude.raw), Eigen::internal::pand(sign.raw, sign_bit()))};
  }
  /// e^a within 1.5 epsilon of its value; in float with AVX-512, where Eigen has an exp of its own, 1.5 + |a| / 43.
  /// NaN stays NaN. 0 where e^a is below the least normal number; infinity where it is above the largest, with that exp
  /// from 2^127.5 on. With -ffast-math compilers merge the two steps of its reduction: 2 + |a| epsilon.
  friend EIGEN_STRONG_INLINE Packet exp(const Packet& a) {
    // Left to itself Eigen's exp stops at a denormal, even of -infinity.
    constexpr Scalar least = std::same_as<Scalar, float> ? Scalar(-87.3365447505531) : Scalar(-708.396418532264106);
    const Packet value = select_less_equal(a, broadcast(least), broadcast(0), {Eigen::internal::pexp(a.raw)});
    return with_nan_of(a, a, value);
  }

 private:
  /// Whose business NaN is: with AVX-512 that of with_nan_of, by mask registers; elsewhere Eigen's, unless that is
  /// undone by -ffast-math.
#if defined(EIGEN_VECTORIZE_AVX512)
  static constexpr int nan_propagation = Eigen::PropagateFast;
#else
  static constexpr int nan_propagation = Eigen::PropagateNaN;
#endif
  /// NaN in the lanes where a or b is.
  static EIGEN_STRONG_INLINE Packet with_nan_of([[maybe_unused]] const Packet& a, [[maybe_unused]] const Packet& b,
                                                const Packet& value) {
#if __FINITE_MATH_ONLY__
    const Bits a_bits(a.raw), b_bits(b.raw);
    const Bits of_b(Bits::select(b_bits.is_nan(), b_bits, Bits(value.raw)));
    return {Bits::select(a_bits.is_nan(), a_bits, of_b)};
#elif defined(EIGEN_VECTORIZE_AVX512)
    const Raw of_b = b.raw == b.raw ? value.raw : b.raw;
    return {a.raw == a.raw ? of_b : a.raw};
#else
    return value;
#endif
  }
#if __FINITE_MATH_ONLY__
  using Bits = detail::LaneBits<Scalar>;
#endif

  /// By its bits: -0.0 is 0.0 where compilers are told not to mind the sign of 0.
  static EIGEN_STRONG_INLINE Raw sign_bit() {
    using Integer = std::conditional_t<sizeof(Scalar) == 4, std::uint32_t, std::uint64_t>;
    return Eigen::internal::pset1<Raw>(std::bit_cast<Scalar>(Integer(1) << (8 * sizeof(Scalar) - 1)));
  }

  template <class Element>
  static constexpr bool converts_between_floats = size > 1 && std::floating_point<Element>;
  template <class Element>
  static constexpr bool converts_half =
      std::same_as<Element, Eigen::half>&& std::same_as<Scalar, float>&& detail::HalfConversion<int(size)>::available;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
