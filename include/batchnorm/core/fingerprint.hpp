/// \file
/// How a backward pass notices that it was handed another x than its forward pass had, without keeping x.
#pragma once

#include <batchnorm/base/layout.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// A hash of elements that come in pairs: the sum of products of their bits, to which each pair adds keys of its own.
/// No pair waits for the one before.
class BitSum {
 public:
  template <class Element>
  EIGEN_STRONG_INLINE void add(const Element* a, const Element* b) {
    key_ += 0x9e3779b9u;
    if constexpr (sizeof(Element) == 8) {
      // Crossed: the low halves of numbers with few digits are all zero.
      const std::uint64_t both = bits<std::uint64_t>(a) ^ std::rotl(bits<std::uint64_t>(b), 32);
      add_product(static_cast<std::uint32_t>(both), static_cast<std::uint32_t>(both >> 32));
    } else if constexpr (sizeof(Element) == 4) {
      add_product(bits<std::uint32_t>(a), bits<std::uint32_t>(b));
    } else {
      add_product(bits<std::uint16_t>(a), bits<std::uint16_t>(b));
    }
  }

  std::uint64_t value() const { return sum_; }

 private:
  EIGEN_STRONG_INLINE void add_product(std::uint32_t a, std::uint32_t b) {
    sum_ += std::uint64_t(a + key_) * std::uint32_t(b + (key_ ^ 0x7f4a7c15u));
  }

  template <class Bits, class Element>
  static EIGEN_STRONG_INLINE Bits bits(const Element* element) {
    static_assert(sizeof(Bits) == sizeof(Element));
    Bits result;
    std::memcpy(&result, element, sizeof result);
    return result;
  }

  std::uint64_t sum_ = 0;
  std::uint32_t key_ = 0;
};

/// An axis on which places are chosen. One of more than 2^32 elements is looked at in its beginning.
struct SpreadAxis {
  std::uint64_t extent;
  Index stride;

  constexpr SpreadAxis(Index extent_, Index stride_)
      : extent(std::min<std::uint64_t>(static_cast<std::uint64_t>(extent_), 0xffffffffu)), stride(stride_) {}

  /// Whether three neighbors fit behind the middle.
  constexpr bool is_wide() const { return extent >= 8; }
  /// The offset at a fraction of the axis, in units of 2^-32; on a wide axis three neighbors lie behind it.
  constexpr Index at(std::uint32_t fraction) const {
    return static_cast<Index>(fraction * (extent - (is_wide() ? 3 : 0)) >> 32) * stride;
  }
  /// The offset at 2^-k of a wide axis, 0 of another.
  constexpr Index at_power(int k) const { return is_wide() ? static_cast<Index>(extent >> k) * stride : 0; }
};

/// Calls visit(p, q) with pairs of offsets, at least 66 different ones in a tensor of more than 384 elements: about 80,
/// from 2^14 elements on 150, from 2^22 on 300.
///
/// They are of two kinds, each with its neighbors along the diagonal of the tensor:
///
///   multiples of irrational numbers, one for each axis, which no extents divide, and their point reflections;
///   a half, a quarter, an eighth ... of all axes: on an axis of N images that is the middle of an image, or the start
///   of its middle row, for the power of two that divides 2N, and of it and three neighbors one is inside a border of
///   up to three.
///
/// So some lie inside, whichever axes the height and the width are part of.
template <class Element, class Visit>
EIGEN_STRONG_INLINE void visit_spread(const ChannelView<Element>& x, const Visit& visit) {
  const SpreadAxis outer(x.outer, x.outer_stride), channels(x.channels, x.channel_stride), inner(x.inner, 1);
  const Index last = (x.outer - 1) * x.outer_stride + (x.channels - 1) * x.channel_stride + x.inner - 1;
  Index next = 0;
  for (const SpreadAxis& axis : {outer, channels, inner}) next += axis.is_wide() ? axis.stride : 0;

  // In small tensors neighborhoods overlap, so it takes more of them.
  constexpr Index small = 5600, large = Index(1) << 14, huge = Index(1) << 22;
  const std::uint32_t places = x.size() > huge ? 32 : x.size() > large || x.size() < small ? 16 : 8;
  for (std::uint32_t k = 1; k <= places; ++k) {
    // Multiples of sqrt(13), sqrt(14) and sqrt(23). A search found where to start, for images whose samples lie side by
    // side, pixel by pixel.
    const Index p = outer.at(2647654400u + k * 2600822924u) + channels.at(2587885568u + k * 3185394221u) +
                    inner.at(3643801600u + k * 3418070365u);
    for (Index j = 0; j < 4; ++j) visit(p + j * next, last - p - j * next);
  }
  const int powers = static_cast<int>(std::bit_width(std::max({outer.extent, channels.extent, inner.extent}))) - 3;
  for (int k = 1; k <= powers; ++k) {
    const Index p = outer.at_power(k) + channels.at_power(k) + inner.at_power(k);
    visit(p, last - p - 2 * next);
    visit(p + next, last - p - 3 * next);
    visit(p + 2 * next, p + 3 * next);
  }
}

/// The same with all elements, each beside its point reflection.
template <class Element, class Visit>
EIGEN_STRONG_INLINE void visit_all(const ChannelView<Element>& x, const Visit& visit) {
  const Runs runs(x);
  const Index count = runs.count(), last = runs.last();
  for (Index run = 0; run < (count + 1) / 2; ++run) {
    const bool is_middle = 2 * run + 1 == count;
    const Index begin = runs.begin_of(run), length = is_middle ? (runs.length + 1) / 2 : runs.length;
    for (Index k = 0; k < length; ++k) visit(begin + k, last - begin - k);
  }
}

/// A hash of some elements of a tensor: enough to notice that backward was handed another x, or x overwritten.
///
/// Tensors of up to 384 elements are read whole, of larger ones those that visit_spread chooses by the extents alone.
/// So two tensors whose differences all lie elsewhere pass for the same: two random ones that differ in a share s of
/// their elements with probability (1 - s)^66 at most, .001 for a tenth. Two batches of images with borders of up to
/// three constant pixels differ where it looks. One live channel among more than 50 constant ones may be
/// missed. Different bits have the same hash with a probability of about 2^-32.
class Fingerprint {
 public:
  template <class Element>
  static Fingerprint of(const ChannelView<Element>& x) {
    Fingerprint result;
    if (x.size() > 0) result.hash_ = hash(ChannelView<const Element>(x));
    return result;
  }

  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;

 private:
  /// Of elements that are only read, whether or not the view may write them: one copy of the code.
  template <class Element>
  EIGEN_DONT_INLINE static std::uint64_t hash(const ChannelView<const Element>& x) {
    BitSum sum;
    const auto add = [&](Index p, Index q) { sum.add(x.data + p, x.data + q); };
    if (x.size() <= 384) {
      visit_all(x, add);
    } else {
      visit_spread(x, add);
    }
    return sum.value();
  }

  std::uint64_t hash_ = 0;
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
