/// \file
/// The one loop that writes: a run of consecutive elements, computed packet by packet from runs of the inputs.
#pragma once

#include <batchnorm/walk/lanes.hpp>

#include <array>
#include <cstdint>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// The size of a cache line.
inline constexpr Index line_bytes = 64;

/// Which cache memory is prefetched into.
enum class Cache { l1, l2 };

/// How inputs are prefetched: so many elements ahead of their use, not at all if that is 0.
struct Ahead {
  Index elements;
  Cache into;
};

/// Prefetches the cache line at `bytes` behind an address, which may lie beyond the data. Always inline, as all that does
/// nothing else must be: g++ drops calls of functions without an effect.
template <Cache Into>
EIGEN_ALWAYS_INLINE void prefetch(const void* from, Index bytes) {
#if defined(__GNUC__)
  constexpr int read = 0, locality = Into == Cache::l1 ? 3 : 2;
  __builtin_prefetch(static_cast<const char*>(from) + bytes, read, locality);
#endif
}

/// f of each.
template <class T, std::size_t N, class F>
EIGEN_STRONG_INLINE auto each(const std::array<T, N>& values, const F& f) {
  using Result = std::array<std::invoke_result_t<F, const T&>, N>;
  return std::apply([&](const auto&... value) { return Result{f(value)...}; }, values);
}

/// Writes a run of `length` elements: outputs[m][i] = function(i, inputs[0][i], inputs[1][i], ...)[m]. An output may be
/// one of the inputs.
template <class Element, std::size_t M, std::size_t N, class Function>
class RunWriter {
 public:
  RunWriter(const Function& function, const std::array<Element*, M>& outputs,
            const std::array<const Element*, N>& inputs, const Ahead& ahead)
      : function_(function), outputs_(outputs), inputs_(inputs), ahead_(ahead) {}

  /// Through the caches.
  EIGEN_STRONG_INLINE void store(Index length) const {
    if (length < W) return store_one(0, PartialPacket<Scalar>{length});
    // The last packet may overlap the one before it. It is computed first, since an output may be an input.
    const Results last = result(length - W, whole);
    Index i = 0;
    if (ahead_.elements != 0) {
      for (; i + line < length; i += line) {
        prefetch_inputs(i);
        for (Index k = i; k < i + line; k += W) store_one(k, whole);
      }
    }
    for (; i + W < length; i += W) store_one(i, whole);
    put(length - W, whole, last);
  }

  /// Past the caches, whole lines at a time: a line that is written in parts is read first. No output may be an input,
  /// since that is in the caches already.
  EIGEN_STRONG_INLINE void stream(Index length) const {
    const Index into_line = Index(reinterpret_cast<std::uintptr_t>(outputs_[0]) % line_bytes / sizeof(Element));
    const Index begin = std::min(length, (line - into_line) % line), end = begin + (length - begin) / line * line;
    const auto store_here = [&](Index i, auto lanes) { store_one(i, lanes); };
    for_each_packet<Scalar>(0, begin, store_here);
    for (Index i = begin; i < end; i += line) {
      if (ahead_.elements != 0) prefetch_inputs(i);
      std::array<Results, std::size_t(line / W)> results;
      for (Index k = 0; k < line / W; ++k) results[std::size_t(k)] = result(i + k * W, whole);
      for (std::size_t m = 0; m < M; ++m) {
        for (Index k = 0; k < line / W; ++k) results[std::size_t(k)][m].stream(outputs_[m] + i + k * W);
      }
    }
    for_each_packet<Scalar>(end, length, store_here);
  }

 private:
  using Scalar = statistics_t<Element>;
  using Results = std::array<Packet<Scalar>, M>;
  static constexpr Index W = Packet<Scalar>::size, line = line_bytes / Index(sizeof(Element));
  static constexpr WholePacket<Scalar> whole{};

  EIGEN_STRONG_INLINE Results result(Index i, auto lanes) const {
    const auto zero = Packet<Scalar>::broadcast(0);
    return std::apply([&](const auto*... from) { return function_(i, lanes.load(from + i, zero)...); }, inputs_);
  }
  EIGEN_STRONG_INLINE void put(Index i, auto lanes, const Results& results) const {
    for (std::size_t m = 0; m < M; ++m) lanes.store(outputs_[m] + i, results[m]);
  }
  EIGEN_STRONG_INLINE void store_one(Index i, auto lanes) const { put(i, lanes, result(i, lanes)); }
  EIGEN_ALWAYS_INLINE void prefetch_inputs(Index i) const {
    for (const Element* from : inputs_) {
      if (ahead_.into == Cache::l1) {
        prefetch<Cache::l1>(from + i, ahead_.elements * Index(sizeof(Element)));
      } else {
        prefetch<Cache::l2>(from + i, ahead_.elements * Index(sizeof(Element)));
      }
    }
  }

  const Function& function_;
  std::array<Element*, M> outputs_;
  std::array<const Element*, N> inputs_;
  Ahead ahead_;
};

template <bool Streaming, class Element, std::size_t M, std::size_t N, class Function>
EIGEN_STRONG_INLINE void write_run(Index length, const Ahead& ahead, const Function& function,
                                   const std::array<Element*, M>& outputs,
                                   const std::array<const Element*, N>& inputs) {
  const RunWriter<Element, M, N, Function> writer(function, outputs, inputs, ahead);
  if constexpr (Streaming) {
    writer.stream(length);
  } else {
    writer.store(length);
  }
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
