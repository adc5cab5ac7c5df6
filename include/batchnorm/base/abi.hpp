/// \file
/// What the library needs of the compiler and of Eigen, the name of its inline namespace, and the record of the units
/// of a program that disagree about it.
///
/// Eigen's packet width and the alignment of its heap memory follow the compiler's flags, so two translation units
/// built with different -march flags disagree about both. BATCHNORM_ABI is spelled from the two, for example
/// `avx512_fma_align64`: each unit uses its own copy of the library, and a call that hands a layer from one to the
/// other is a link error.
///
/// That does not protect Eigen's own functions, of which the linker keeps one copy for all units: one unit's memory may
/// be freed by the other's function. So each unit that uses the library puts itself on record before any object of the
/// program is made, and every constructor of a layer and every public call throws where the record has two kinds of
/// units (base/error.hpp). Shared libraries with hidden visibility have records of their own, as they have functions of
/// their own.
#pragma once

// A compiler goes on after #error, into hundreds of others; at a file that is not there it stops.
#if __cplusplus <= 201703L
#error "batchnorm: needs C++20: compile with -std=c++20"
#include <batchnorm: stopped by the error above>
#endif

#include <Eigen/Core>

#if !EIGEN_VERSION_AT_LEAST(3, 4, 0)
#error "batchnorm: needs Eigen 3.4 or newer: put its folder first with -isystem, or set Eigen3_DIR"
#include <batchnorm: stopped by the error above>
#endif

#include <atomic>
#include <cstring>

/// \def BATCHNORM_ISA
/// The instruction set that Eigen is compiled for.
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

/// \def BATCHNORM_FMA
/// Whether Eigen's multiply_add rounds once; what follows is the alignment.
#if defined(EIGEN_VECTORIZE_FMA)
#define BATCHNORM_FMA fma_align
#else
#define BATCHNORM_FMA align
#endif

/// One token of three.
#define BATCHNORM_JOIN(isa, fma, bytes) BATCHNORM_JOIN_EXPANDED(isa, fma, bytes)
/// The same of macros' values.
#define BATCHNORM_JOIN_EXPANDED(isa, fma, bytes) isa##_##fma##bytes
/// The name of the inline namespace, for example `avx512_fma_align64`.
#define BATCHNORM_ABI BATCHNORM_JOIN(BATCHNORM_ISA, BATCHNORM_FMA, EIGEN_MAX_ALIGN_BYTES)

/// A macro's value as text.
#define BATCHNORM_TEXT(token) BATCHNORM_TEXT_EXPANDED(token)
/// A token as text.
#define BATCHNORM_TEXT_EXPANDED(token) #token
/// What units must agree on to share Eigen's functions, but for the width of an index.
#define BATCHNORM_UNIT          \
  BATCHNORM_TEXT(BATCHNORM_ABI) \
  "_static" BATCHNORM_TEXT(EIGEN_MAX_STATIC_ALIGN_BYTES) "_malloc" BATCHNORM_TEXT(EIGEN_MALLOC_ALREADY_ALIGNED)

/// Outside the inline namespace: one record for all units, whatever their flags.
namespace batchnorm::program_record {

/// The first kind of unit that came. Weak and not inline, so that it is shared exactly where Eigen's functions are:
/// inline variables g++ shares with libraries that dlopen() keeps apart, too.
// NOLINTNEXTLINE(misc-definitions-in-headers)
[[gnu::weak]] constinit std::atomic<const char*> first_unit{nullptr};
/// The first that differed from it.
// NOLINTNEXTLINE(misc-definitions-in-headers)
[[gnu::weak]] constinit std::atomic<const char*> other_unit{nullptr};

}  // namespace batchnorm::program_record

/// Layers, functions with explicit state, and what both are given and give back.
namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// The kind of this unit, for example `avx512_fma_align64_static64_malloc0_index8`: what units must agree on to share
/// Eigen's functions. Beside the name of the namespace that is the alignment of objects of fixed size, whether malloc
/// is used as it is (0 under g++'s address sanitizer, too), and how wide an Eigen::Index is.
inline constexpr const char* this_unit =
    sizeof(Eigen::Index) == 8 ? BATCHNORM_UNIT "_index8" : BATCHNORM_UNIT "_index4";

/// Puts a unit on record. The plainest of code, since it runs before a program could ask what the processor can do.
struct UnitRecord {
  UnitRecord() noexcept {
    const char* known = nullptr;
    if (program_record::first_unit.compare_exchange_strong(known, this_unit) || std::strcmp(known, this_unit) == 0)
      return;
    known = nullptr;
    program_record::other_unit.compare_exchange_strong(known, this_unit);
  }
};

/// A template, so that a unit that includes the library and does not use it is not on record. The priority is the
/// highest there is: layers in static storage come later.
template <class = void>
[[gnu::init_priority(101)]] inline const UnitRecord unit_record{};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
