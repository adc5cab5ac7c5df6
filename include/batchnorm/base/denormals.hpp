/// \file
/// Denormal numbers taken for 0, where they come by the million.
#pragma once

#include <batchnorm/base/abi.hpp>

#include <atomic>
#include <cstdint>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// While it lives, the calling thread takes numbers below the least normal one (1.2e-38 in float, 2.2e-308 in double)
/// for 0, in operands and in results. Many processors compute with them ten times slower or worse, and the gradients of
/// saturated activations are full of them.
///
///   const FlushDenormals guard;
///   norm.forward(x, y);
///
/// What it does to results: x counts with an error of at most the least normal number, so y of a channel whose values
/// differ by no more is beta, where it may have been something else if epsilon is as small.
///
/// State    on x86 the bits FTZ and DAZ of MXCSR, on 64-bit ARM FZ of FPCR; elsewhere it does nothing. Its end restores
///          those bits and no others.
/// Threads  each thread has its own setting: a pool's threads need a guard each. Those of a pool that is made while a
///          guard lives have inherited it on Linux. Where only some threads of a call have one, bits depend on which
///          thread runs what.
class [[nodiscard]] FlushDenormals {
 public:
  /// Begins.
  FlushDenormals() : before_(read()) { set(before_ | bits); }
  /// Ends: the thread has its setting back.
  ~FlushDenormals() { set((read() & ~bits) | (before_ & bits)); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE2__)
  using Control = std::uint32_t;
  static constexpr Control bits = (Control(1) << 15) | (Control(1) << 6);

  static Control read() { return _mm_getcsr(); }
  static void write(Control control) { _mm_setcsr(control); }
#elif defined(__aarch64__)
  using Control = std::uint64_t;
  static constexpr Control bits = Control(1) << 24;

  static Control read() {
    Control control;
    asm volatile("mrs %0, fpcr" : "=r"(control));
    return control;
  }
  static void write(Control control) { asm volatile("msr fpcr, %0" : : "r"(control)); }
#else
  using Control = std::uint32_t;
  static constexpr Control bits = 0;

  static Control read() { return 0; }
  static void write(Control) {}
#endif

  /// The compiler sees no connection between this register and arithmetic: the fences keep what reads memory in place.
  static void set(Control control) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    write(control);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

  Control before_;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
