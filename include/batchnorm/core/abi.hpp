/// \file
/// The name of the library's inline namespace.
///
/// Eigen's packet width and the alignment of its heap memory follow the compiler's flags, so two translation units
/// built with different -march flags disagree about both. BATCHNORM_ABI is spelled from the two, for example
/// `avx512_fma_align64`: each unit uses its own copy of the library, and handing a layer from one to the other is a
/// link error instead of a corrupted heap.
#pragma once

#include <Eigen/Core>

#if defined(EIGEN_VECTORIZE_AVX512)
#define BATCHNORM_ISA avx512
#elif defined(EIGEN_VECTORIZE_AVX2)
#define BATCHNORM_ISA avx2
#elif defined(EIGEN_VECTORIZE_AVX)
#define BATCHNORM_ISA avx
#elif defined(EIGEN_VECTORIZE_SSE4_1)
#define BATCHNORM_ISA sse4
#elif defined(EIGEN_VECTORIZE_SSE)
#define BATCHNORM_ISA sse2
#elif defined(EIGEN_VECTORIZE_NEON)
#define BATCHNORM_ISA neon
#elif defined(EIGEN_VECTORIZE)
#define BATCHNORM_ISA simd
#else
#define BATCHNORM_ISA scalar
#endif

#if defined(EIGEN_VECTORIZE_FMA)
#define BATCHNORM_FMA fma_align
#else
#define BATCHNORM_FMA align
#endif

#define BATCHNORM_JOIN(isa, fma, bytes) BATCHNORM_JOIN_EXPANDED(isa, fma, bytes)
#define BATCHNORM_JOIN_EXPANDED(isa, fma, bytes) isa##_##fma##bytes
#define BATCHNORM_ABI BATCHNORM_JOIN(BATCHNORM_ISA, BATCHNORM_FMA, EIGEN_MAX_ALIGN_BYTES)
