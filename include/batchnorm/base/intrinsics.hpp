/// \file
/// What Eigen's packets lack, and the only intrinsics of the library: non-temporal stores, access to some lanes,
/// conversions between float and double, those of half that Eigen 3.4.0 leaves to scalar code under g++ (it takes g++
/// for an old clang), products that are rounded, and comparisons that know NaN under -ffast-math.
#pragma once

#include <batchnorm/base/tensor.hpp>

#include <bit>
#include <cstdint>
#include <cstring>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// Writes a register by a non-temporal store; the address is a multiple of the register's size. An ordinary store
/// where the instruction set has none.
template <class Raw>
EIGEN_STRONG_INLINE void stream(void* to, const Raw& raw) {
#if defined(EIGEN_VECTORIZE_AVX512)
  if constexpr (sizeof(Raw) == sizeof(__m512i)) {
    __m512i bits;
    std::memcpy(&bits, &raw, sizeof(bits));
    return _mm512_stream_si512(static_cast<__m512i*>(to), bits);
  }
#endif
#if defined(EIGEN_VECTORIZE_AVX)
  if constexpr (sizeof(Raw) == sizeof(__m256i)) {
    __m256i bits;
    std::memcpy(&bits, &raw, sizeof(bits));
    return _mm256_stream_si256(static_cast<__m256i*>(to), bits);
  }
#endif
#if defined(EIGEN_VECTORIZE_SSE)
  if constexpr (sizeof(Raw) == sizeof(__m128i)) {
    __m128i bits;
    std::memcpy(&bits, &raw, sizeof(bits));
    return _mm_stream_si128(static_cast<__m128i*>(to), bits);
  }
#endif
  std::memcpy(to, &raw, sizeof(Raw));
}

/// Makes what this thread streamed visible to the others, as ordinary stores are.
inline void finish_streaming() {
#if defined(EIGEN_VECTORIZE_SSE)
  _mm_sfence();
#endif
}

/// A product that stays rounded: g++ makes one instruction of it and of an addition where it sees both, which it may in
/// one copy of a loop and not in another, so that bits would depend on where a value lies. And under -ffast-math it
/// multiplies factors in another order, of which two that were chosen to lie near 1 may be beyond a float together.
template <class Raw>
EIGEN_STRONG_INLINE Raw rounded(Raw product) {
#if defined(__FMA__) || (defined(__SSE2_MATH__) && defined(__FAST_MATH__))
  asm("" : "+v"(product));
#elif defined(__GNUC__) && defined(__aarch64__)
  asm("" : "+w"(product));
#endif
  return product;
}

/// A mask of the lanes [first, end).
constexpr std::uint16_t lanes_between(Index first, Index end) {
  return static_cast<std::uint16_t>((1u << end) - (1u << first));
}

#if defined(EIGEN_VECTORIZE_AVX512)

/// Loads these lanes, and no memory behind or before them; the others are those of `fill`.
EIGEN_STRONG_INLINE __m512 load_lanes(const float* from, std::uint16_t lanes, const __m512& fill) {
  return _mm512_mask_loadu_ps(fill, lanes, from);
}
EIGEN_STRONG_INLINE __m512d load_lanes(const double* from, std::uint16_t lanes, const __m512d& fill) {
  return _mm512_mask_loadu_pd(fill, static_cast<__mmask8>(lanes), from);
}
EIGEN_STRONG_INLINE __m512d load_lanes(const float* from, std::uint16_t lanes, const __m512d& fill) {
  const __m256 floats = _mm512_castps512_ps256(_mm512_maskz_loadu_ps(lanes, from));
  return _mm512_mask_cvtps_pd(fill, static_cast<__mmask8>(lanes), floats);
}

/// Stores these lanes.
EIGEN_STRONG_INLINE void store_lanes(float* to, std::uint16_t lanes, const __m512& raw) {
  _mm512_mask_storeu_ps(to, lanes, raw);
}
EIGEN_STRONG_INLINE void store_lanes(double* to, std::uint16_t lanes, const __m512d& raw) {
  _mm512_mask_storeu_pd(to, static_cast<__mmask8>(lanes), raw);
}
EIGEN_STRONG_INLINE void store_lanes(float* to, std::uint16_t lanes, const __m512d& raw) {
  _mm512_mask_storeu_ps(to, lanes, _mm512_castps256_ps512(_mm512_cvtpd_ps(raw)));
}

#endif

/// A register from as many elements of another floating-point type, and back: Eigen converts only whole registers.
template <class Raw, class Element, int Lanes>
EIGEN_STRONG_INLINE Raw load_converted(const Element* from) {
  typedef Element Stored __attribute__((vector_size(Lanes * sizeof(Element))));
  Stored stored;
  std::memcpy(&stored, from, sizeof(stored));
  return __builtin_convertvector(stored, Raw);
}
template <int Lanes, class Raw, class Element>
EIGEN_STRONG_INLINE void store_converted(const Raw& raw, Element* to) {
  typedef Element Stored __attribute__((vector_size(Lanes * sizeof(Element))));
  const Stored stored = __builtin_convertvector(raw, Stored);
  std::memcpy(to, &stored, sizeof(stored));
}

#if __FINITE_MATH_ONLY__

/// The bits of a register, as a vector of the compilers' own: with -ffast-math they take it that there is no NaN, and
/// fold comparisons that tell, those in Eigen's packets included.
template <class Scalar>
class LaneBits {
  using Raw = typename Eigen::internal::packet_traits<Scalar>::type;
  using Integer = std::conditional_t<sizeof(Scalar) == 4, std::int32_t, std::int64_t>;
  using Unsigned = std::make_unsigned_t<Integer>;
  typedef Integer Lanes __attribute__((vector_size(sizeof(Raw))));
  typedef Unsigned UnsignedLanes __attribute__((vector_size(sizeof(Raw))));
  static constexpr Unsigned sign = Unsigned(1) << (8 * sizeof(Scalar) - 1),
                            infinity = sizeof(Scalar) == 4 ? Unsigned(0x7f800000u) : Unsigned(0x7ff0000000000000u);

 public:
  explicit EIGEN_STRONG_INLINE LaneBits(Raw raw) {
#if defined(__SSE2__)
    asm("" : "+x"(raw));  // so that nothing is known of these bits from how they were computed
#elif defined(__aarch64__)
    asm("" : "+w"(raw));
#endif
    bits_ = std::bit_cast<UnsignedLanes>(raw);
  }

  /// -1 in the lanes that are NaN, 0 in the others.
  EIGEN_STRONG_INLINE Lanes is_nan() const {
    return std::bit_cast<Lanes>(bits_ & (sign - 1)) > std::bit_cast<Lanes>(bits_ * 0 + infinity);
  }

  /// -1 in the lanes where a <= b, 0 where not and where either is NaN.
  friend EIGEN_STRONG_INLINE Lanes less_equal(const LaneBits& a, const LaneBits& b) {
    return (a.rank() <= b.rank()) & ~(a.is_nan() | b.is_nan());
  }
  /// `then` in the lanes of -1, `otherwise` in those of 0.
  static EIGEN_STRONG_INLINE Raw select(const Lanes& mask, const LaneBits& then, const LaneBits& otherwise) {
    const auto chosen = std::bit_cast<UnsignedLanes>(mask);
    return std::bit_cast<Raw>((then.bits_ & chosen) | (otherwise.bits_ & ~chosen));
  }

 private:
  /// Integers in the order of the numbers, the same for both zeros.
  EIGEN_STRONG_INLINE Lanes rank() const {
    const auto negative = std::bit_cast<UnsignedLanes>(std::bit_cast<Lanes>(bits_) < 0);
    return std::bit_cast<Lanes>((bits_ & ~negative) | ((sign - bits_) & negative));
  }

  UnsignedLanes bits_;
};

/// a / b. Compilers for x86 divide floats by an approximate reciprocal under -ffast-math, which gives NaN where b is
/// infinite and 0 where it is large.
template <class Raw>
EIGEN_STRONG_INLINE Raw divide_floats(Raw a, const Raw& b) {
#if defined(__AVX__)
  if constexpr (sizeof(Raw) == sizeof(float)) {
    asm("vdivss %1, %0, %0" : "+x"(a) : "x"(b));
  } else {
    asm("vdivps %1, %0, %0" : "+x"(a) : "x"(b));
  }
  return a;
#elif defined(__SSE2__)
  if constexpr (sizeof(Raw) == sizeof(float)) {
    asm("divss %1, %0" : "+x"(a) : "x"(b));
  } else {
    asm("divps %1, %0" : "+x"(a) : "x"(b));
  }
  return a;
#else
  return Eigen::internal::pdiv(a, b);
#endif
}

#endif

/// The conversions between half and as many floats, where there are any here.
template <int Lanes>
struct HalfConversion {
  static constexpr bool available = false;
};

#if defined(EIGEN_VECTORIZE_AVX) && defined(__F16C__) && !defined(EIGEN_HAS_FP16_C)

template <>
struct HalfConversion<8> {
  static constexpr bool available = true;
  static EIGEN_STRONG_INLINE __m256 load(const Eigen::half* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static EIGEN_STRONG_INLINE __m128i round(const __m256& values) {
    return _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT);
  }
};

#endif
#if defined(EIGEN_VECTORIZE_AVX512) && !defined(EIGEN_HAS_FP16_C)

template <>
struct HalfConversion<16> {
  static constexpr bool available = true;
  static EIGEN_STRONG_INLINE __m512 load(const Eigen::half* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static EIGEN_STRONG_INLINE __m256i round(const __m512& values) {
    // Of all lanes, said in so many words: without optimization g++'s macro for that warns of the sign of its own mask.
    return _mm512_maskz_cvtps_ph(0xFFFF, values, _MM_FROUND_TO_NEAREST_INT);
  }
};

#endif

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
