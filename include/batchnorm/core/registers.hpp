/// \file
/// What Eigen's packets lack, and the only intrinsics of the library: stores past the caches, and the conversions of
/// half that Eigen 3.4.0 leaves to scalar code under g++ (it takes g++ for an old clang).
#pragma once

#include <batchnorm/core/tensor.hpp>

#include <cstring>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// Writes a register to memory past the caches; the address is a multiple of the register's size. An ordinary store
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
    return _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT);
  }
};

#endif

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
