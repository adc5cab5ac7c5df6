/// \file
/// The one loop that writes: a run of consecutive elements, computed packet by packet from runs of the inputs.
#pragma once

#include <batchnorm/kernels/lanes.hpp>

#include <array>
#include <cstdint>

namespace batchnorm::inline BATCHNORM_ABI::detail {

inline constexpr Index line_bytes = 64;

/// Asks for the cache line at `bytes` behind an address, which may lie beyond the data.
inline void prefetch(const void* from, Index bytes) {
#if defined(__GNUC__)
  constexpr int read = 0, into_l2 = 2;
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(from) + std::uintptr_t(bytes)), read,
                     into_l2);
#endif
}

/// Writes runs of `length` elements: outputs[m][i] = function(i, inputs[i]...)[m]. An output may be one of the inputs.
/// Inputs are asked for `ahead` elements before their use, unless that is 0.
template <class Element, std::size_t M, class Function>
EIGEN_STRONG_INLINE void map_run(Index length, Index ahead, const Function& function,
                                 const std::array<Element*, M>& outputs, const auto*... inputs) {
  using Values = Packet<statistics_t<Element>>;
  constexpr Index W = Values::size, line = line_bytes / Index(sizeof(Element));
  const auto result = [&](Index i, auto lanes) { return function(i, lanes.load(inputs + i, Values::broadcast(0))...); };
  const auto store = [&](Index i, auto lanes, const std::array<Values, M>& values) {
    for (std::size_t m = 0; m < M; ++m) lanes.store(outputs[m] + i, values[m]);
  };
  const WholePacket<statistics_t<Element>> whole;
  if (length < W) {
    const PartialPacket<statistics_t<Element>> lanes{length};
    return store(0, lanes, result(0, lanes));
  }
  // The last packet may overlap the one before it. It is computed first, since an output may be an input.
  const auto last = result(length - W, whole);
  Index i = 0;
  if (ahead != 0) {
    for (; i + line < length; i += line) {
      (prefetch(inputs + i, ahead * Index(sizeof(Element))), ...);
      for (Index k = i; k < i + line; k += W) store(k, whole, result(k, whole));
    }
  }
  for (; i + W < length; i += W) store(i, whole, result(i, whole));
  store(length - W, whole, last);
}

/// The same past the caches, whole lines at a time: a line that is written in parts is read first. No output may be an
/// input, since that is in the caches already.
template <class Element, std::size_t M, class Function>
EIGEN_STRONG_INLINE void stream_run(Index length, Index ahead, const Function& function,
                                    const std::array<Element*, M>& outputs, const auto*... inputs) {
  using Values = Packet<statistics_t<Element>>;
  constexpr Index W = Values::size, line = line_bytes / Index(sizeof(Element));
  const auto result = [&](Index i, auto lanes) { return function(i, lanes.load(inputs + i, Values::broadcast(0))...); };
  const auto store = [&](Index i, auto lanes) {
    const std::array<Values, M> values = result(i, lanes);
    for (std::size_t m = 0; m < M; ++m) lanes.store(outputs[m] + i, values[m]);
  };
  const Index into_line = Index(reinterpret_cast<std::uintptr_t>(outputs[0]) % line_bytes / sizeof(Element));
  const Index first = std::min(length, (line - into_line) % line), end = first + (length - first) / line * line;
  for_each_packet<statistics_t<Element>>(0, first, store);
  for (Index i = first; i < end; i += line) {
    if (ahead != 0) (prefetch(inputs + i, ahead * Index(sizeof(Element))), ...);
    std::array<std::array<Values, M>, std::size_t(line / W)> values;
    for (Index k = 0; k < line / W; ++k) values[std::size_t(k)] = result(i + k * W, WholePacket<statistics_t<Element>>{});
    for (std::size_t m = 0; m < M; ++m) {
      for (Index k = 0; k < line / W; ++k) values[std::size_t(k)][m].stream(outputs[m] + i + k * W);
    }
  }
  for_each_packet<statistics_t<Element>>(end, length, store);
}

template <bool Streaming>
EIGEN_STRONG_INLINE void write_run(Index length, Index ahead, const auto& function, const auto& outputs,
                                   const auto*... inputs) {
  if constexpr (Streaming) {
    stream_run(length, ahead, function, outputs, inputs...);
  } else {
    map_run(length, ahead, function, outputs, inputs...);
  }
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
