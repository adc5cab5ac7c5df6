/// \file
/// Memory moved and read with the widest SIMD instructions there are, a cache line of 64 bytes at a time.
#pragma once

#include <Eigen/Core>
#include <cstddef>

namespace benchmarks {

/// 16 floats.
class Line {
 public:
  static constexpr std::ptrdiff_t size = 16;

  static Line zero() {
    Line line;
    for (Packet& packet : line.packets_) packet = Eigen::internal::pset1<Packet>(0.0F);
    return line;
  }

  static Line load(const float* from) {
    Line line;
    for (std::size_t i = 0; i < packets; ++i) line.packets_[i] = Eigen::internal::pload<Packet>(from + i * width);
    return line;
  }

  Line& operator+=(const Line& other) {
    for (std::size_t i = 0; i < packets; ++i) {
      packets_[i] = Eigen::internal::padd(packets_[i], other.packets_[i]);
    }
    return *this;
  }

  void store(float* to) const {
    for (std::size_t i = 0; i < packets; ++i) Eigen::internal::pstore(to + i * width, packets_[i]);
  }

  /// Stores past the caches: the line is not read from memory first.
  void stream(float* to) const {
    for (std::size_t i = 0; i < packets; ++i) stream(to + i * width, packets_[i]);
  }

  float sum() const {
    float total = 0;
    for (const Packet& packet : packets_) total += Eigen::internal::predux(packet);
    return total;
  }

 private:
  using Packet = Eigen::internal::packet_traits<float>::type;
  static constexpr std::size_t width = Eigen::internal::packet_traits<float>::size;
  static constexpr std::size_t packets = std::size_t(size) / width;

  static void stream(float* to, const Packet& packet) {
#if defined(EIGEN_VECTORIZE_AVX512)
    _mm512_stream_ps(to, packet);
#elif defined(EIGEN_VECTORIZE_AVX)
    _mm256_stream_ps(to, packet);
#elif defined(EIGEN_VECTORIZE_SSE)
    _mm_stream_ps(to, packet);
#else
    Eigen::internal::pstore(to, packet);
#endif
  }

  Packet packets_[packets];
};

/// Makes streamed lines visible to other threads.
inline void stream_fence() {
#ifdef EIGEN_VECTORIZE_SSE
  _mm_sfence();
#endif
}

/// Asks for the line 16 KiB ahead, into L2. An address past the end does no harm.
inline void prefetch_ahead(const float* from) { __builtin_prefetch(from + 4096, 0, 2); }

enum class Prefetch { no, yes };

/// The sum of floats that begin with a line: as fast as memory can be read.
template <Prefetch prefetch>
float sum(const float* values, std::ptrdiff_t size) {
  constexpr std::ptrdiff_t lines = 4;  // sums that do not wait for each other
  Line sums[lines] = {Line::zero(), Line::zero(), Line::zero(), Line::zero()};
  std::ptrdiff_t k = 0;
  for (; k + lines * Line::size <= size; k += lines * Line::size) {
    for (std::ptrdiff_t i = 0; i < lines; ++i) {
      const float* from = values + k + i * Line::size;
      sums[i] += Line::load(from);
      if constexpr (prefetch == Prefetch::yes) prefetch_ahead(from);
    }
  }
  float total = 0;
  for (; k < size; ++k) total += values[k];
  for (const Line& line : sums) total += line.sum();
  return total;
}

}  // namespace benchmarks
