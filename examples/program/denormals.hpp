#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#endif

namespace program {

/// Lets the calling thread take numbers below the smallest normal one (1.2e-38 in float) for 0, in operands and in
/// results. A saturated sigmoid has gradients of that size, and the processor computes with them many times slower: at
/// large initial weights a step without batch normalization took three times as long.
///
/// Each thread has its own setting: call this at its beginning. A thread started later may or may not inherit it.
/// On x86 it sets FTZ and DAZ, on 64-bit ARM FZ; elsewhere it does nothing.
inline void flush_denormals() {
#if defined(__SSE2__)
  constexpr unsigned flush_to_zero = 1u << 15, denormals_are_zero = 1u << 6;
  _mm_setcsr(_mm_getcsr() | flush_to_zero | denormals_are_zero);
#elif defined(__aarch64__)
  std::uint64_t control;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  control |= std::uint64_t(1) << 24;
  asm volatile("msr fpcr, %0" : : "r"(control));
#endif
}

}  // namespace program
