/// \file
/// The one loop that writes: a run of consecutive elements, computed packet by packet from runs of the inputs.
#pragma once

#include <batchnorm/base/each.hpp>
#include <batchnorm/walk/lanes.hpp>

#include <algorithm>
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
struct Prefetch {
  Index elements;
  Cache into;
};

/// Prefetches the cache line at `bytes` behind an address, which may lie beyond the data. Always inline, as all that
/// does nothing else must be: g++ drops calls of functions without an effect.
template <Cache Into>
EIGEN_ALWAYS_INLINE void prefetch(const void* from, Index bytes) {
#if defined(__GNUC__)
  constexpr int read = 0, locality = Into == Cache::l1 ? 3 : 2;
  __builtin_prefetch(static_cast<const char*>(from) + bytes, read, locality);
#endif
}

/// Whether the runs right before and behind a run in memory are written too.
struct Neighbors {
  bool before = false, behind = false;
};

/// How many elements of the same sequence lie before and behind a run in memory, without a gap.
struct Surroundings {
  Index before = 0, behind = 0;
};

/// Writes a run of `length` elements: outputs[m][i] = function(i, inputs[0][i], inputs[1][i], ...)[m]. An output may be
/// one of the inputs.
template <class Element, std::size_t M, std::size_t N, class Function>
class RunWriter {
 public:
  RunWriter(const Function& function, const std::array<Element*, M>& outputs,
            const std::array<const Element*, N>& inputs, const Prefetch& ahead)
      : function_(function), outputs_(outputs), inputs_(inputs), ahead_(ahead) {}

  /// Through the caches.
  EIGEN_STRONG_INLINE void store(Index length) const {
    if (length < W) return store_one(0, PartialPacket<Scalar>{length});
    store_from(0, length);
  }

  /// The same of a run that has a packet at least, one at a time: quicker where each has several outputs.
  EIGEN_ALWAYS_INLINE void store_packets(Index length) const {
    const Results last = result(length - W, whole);
    for (Index i = 0; i + W < length; i += W) store_one(i, whole);
    put(length - W, whole, last);
  }

  /// The same with all packets but the first and the last aligned: quicker, as measured, where the function is cheap.
  /// It must not matter to it where a packet begins.
  EIGEN_ALWAYS_INLINE void store_aligned(Index length) const {
    if constexpr (2 * W < line || !std::same_as<Element, Scalar>) {
      store(length);
    } else if (length < W) {
      store_one(0, PartialPacket<Scalar>{length});
    } else {
      const Results first = result(0, whole);
      store_from((W - place_in<W>(outputs_[0])) % W, length);
      put(0, whole, first);
    }
  }

  /// Past the caches, whole lines at a time: a line that is written in parts is read first. No output may be an input,
  /// since that is in the caches already. A line that runs of a sequence share is written with the one that it begins
  /// in: the function goes on beyond the end of the run.
  EIGEN_STRONG_INLINE void stream(Index length, const Surroundings& others) const {
    const Index all = length + others.behind, end = std::min(length, all - line + 1);
    Index i = (line - place_in<line>(outputs_[0])) % line;
    if (others.before + i < line || i > all) store_part(0, std::min(i, length));
    i = stream_lines(i, end);
    store_part(i, length);
  }

  /// The same among runs of other functions in consecutive memory, of a line at least each. A line that two of them
  /// share is written with the first: `behind` is the function of the next one, whose packets may begin before it.
  template <class Behind>
  EIGEN_ALWAYS_INLINE void stream(Index length, const Neighbors& neighbors, const Behind& behind) const {
    if (length < W) return store_part(0, length);
    if (length < line) return store_packets(length);
    const Index begin = (line - place_in<line>(outputs_[0])) % line, end = begin + (length - begin) / line * line;
    stream_lines(begin, end);
    if (!neighbors.before) store_head(begin);
    if (!neighbors.behind) {
      store_tail(end, length);
    } else if (end < length) {
      stream_line(end, [&](Index k) { return result_across(k, length, behind); });
    }
  }

 private:
  using Scalar = statistics_t<Element>;
  using Results = std::array<Packet<Scalar>, M>;
  static constexpr Index W = Packet<Scalar>::size, line = line_bytes / Index(sizeof(Element));
  static constexpr WholePacket<Scalar> whole{};

  /// Which of consecutive `Size` elements that begin with a line, or a part of one, an address is.
  template <Index Size>
  static Index place_in(const Element* address) {
    return Index(reinterpret_cast<std::uintptr_t>(address) / sizeof(Element)) % Size;
  }

  EIGEN_STRONG_INLINE Results result(Index i, auto lanes) const { return result_of(function_, i, i, lanes); }
  /// Of element i of this run, which is element `place` of the run of the function.
  EIGEN_STRONG_INLINE Results result_of(const auto& function, Index place, Index i, auto lanes) const {
    const auto zero = Packet<Scalar>::broadcast(0);
    return unpack(inputs_, [&](const auto*... from) { return function(place, lanes.load(from + i, zero)...); });
  }
  /// The same in a line that the next run begins in.
  template <class Behind>
  EIGEN_STRONG_INLINE Results result_across(Index i, Index length, const Behind& behind) const {
    if (i + W <= length) return result(i, whole);
    const Results next = result_of(behind, i - length, i, whole);
    if (i >= length) return next;
    Results both = result(i, whole);
    const auto last = Packet<Scalar>::broadcast(static_cast<Scalar>(length - i - 1));
    for (std::size_t m = 0; m < M; ++m) {
      both[m] = select_less_equal(Packet<Scalar>::count_up(), last, both[m], next[m]);
    }
    return both;
  }
  EIGEN_STRONG_INLINE void put(Index i, auto lanes, const Results& results) const {
    for (std::size_t m = 0; m < M; ++m) lanes.store(outputs_[m] + i, results[m]);
  }
  /// From element i on, of a run that has a packet at least.
  EIGEN_STRONG_INLINE void store_from(Index i, Index length) const {
    // The last packet may overlap the one before it. It is computed first, since an output may be an input.
    const Index end = length - W;
    const Results last = result(end, whole);
    // By lines also where narrow packets are many. All is prefetched into L1: a loop for each cache, as where lines are
    // streamed, gains nothing here, and took SSE2 a tenth longer in the caches.
    if (ahead_.elements != 0 || 4 * W <= line) {
      for (; i + line < length; i += line) {
        if (ahead_.elements != 0) prefetch_inputs<Cache::l1>(i);
        for (Index k = i; k < i + line; k += W) store_one(k, whole);
      }
      if (ahead_.elements != 0) prefetch_inputs<Cache::l1>(i);
    }
    for (; i < end; i += W) store_one(i, whole);
    put(end, whole, last);
  }
  EIGEN_STRONG_INLINE void store_one(Index i, auto lanes) const { put(i, lanes, result(i, lanes)); }

  /// What of a run does not go past the caches: a part of a line.
  EIGEN_STRONG_INLINE void store_part(Index begin, Index end) const {
    Index i = begin;
    for (; i + W <= end; i += W) store_one(i, whole);
    if (i < end) put_few(i, 0, end - i, result(i, PartialPacket<Scalar>{end - i}));
  }
  /// The same of a run that has a line at least, up to or from some element on: of whole packets, which are read and
  /// computed at once, the lanes that belong there.
  EIGEN_STRONG_INLINE void store_head(Index end) const {
    Index i = 0;
    for (; i + W <= end; i += W) store_one(i, whole);
    if (i < end) put_few(i, 0, end - i, result(i, whole));
  }
  EIGEN_STRONG_INLINE void store_tail(Index begin, Index length) const {
    Index i = length - W;
    for (; i >= begin; i -= W) store_one(i, whole);
    if (i + W > begin) put_few(i, begin - i, W, result(i, whole));
  }
  /// The lanes [first, last), in pieces: a masked store to a line that is not in the caches takes Zen 4 200 ns.
  EIGEN_STRONG_INLINE void put_few(Index i, Index first, Index last, const Results& results) const {
    for (std::size_t m = 0; m < M; ++m) {
      Element lanes[std::size_t(W)];
      results[m].store(lanes);
      copy_few<W / 2>(lanes + first, last - first, outputs_[m] + i + first);
    }
  }

  /// Streams a line of packets.
  template <class PacketAt>
  EIGEN_STRONG_INLINE void stream_line(Index i, const PacketAt& packet_at) const {
    std::array<Results, std::size_t(line / W)> results;
    for (Index k = 0; k < line / W; ++k) results[std::size_t(k)] = packet_at(i + k * W);
    for (std::size_t m = 0; m < M; ++m) {
      for (Index k = 0; k < line / W; ++k) results[std::size_t(k)][m].stream(outputs_[m] + i + k * W);
    }
  }

  /// Streams the lines that begin in [begin, end), and returns where they end. Each way to prefetch has a loop of its
  /// own: branches in one took up to 8 % longer from memory on Zen 5.
  EIGEN_STRONG_INLINE Index stream_lines(Index begin, Index end) const {
    const auto stream = [&](Index i) { stream_line(i, [&](Index k) { return result(k, whole); }); };
    Index i = begin;
    if (ahead_.elements == 0) {
      for (; i < end; i += line) stream(i);
    } else if (ahead_.into == Cache::l1) {
      for (; i < end; i += line) {
        prefetch_inputs<Cache::l1>(i);
        stream(i);
      }
    } else {
      for (; i < end; i += line) {
        prefetch_inputs<Cache::l2>(i);
        stream(i);
      }
    }
    return i;
  }
  template <Cache Into>
  EIGEN_ALWAYS_INLINE void prefetch_inputs(Index i) const {
    for (const Element* from : inputs_) prefetch<Into>(from + i, ahead_.elements * Index(sizeof(Element)));
  }

  const Function& function_;
  std::array<Element*, M> outputs_;
  std::array<const Element*, N> inputs_;
  Prefetch ahead_;
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
