/// \file
/// Mean and variance of each channel in one reading of x, without cancellation, overflow or underflow.
///
/// Values are summed in Scalar lanes over short chunks, about a shift that lies near the mean and in a unit, a power of
/// two, near the standard deviation:
///
///   d = (x - shift) / unit        S1 = sum d        S2 = sum d^2
///   mean = shift + unit S1 / n        m2 = unit^2 (S2 - S1^2 / n)
///
/// and the chunks are merged in double (Chan et al.). Where S1^2 / n outweighs what is known of m2, the shift lay so
/// far from the chunk's mean that the difference would lose digits: that channel's chunk is summed again about its own
/// mean, while it is in cache; and where the squares have over- or underflowed, in another unit. So the relative error
/// of m2 stays at a few units in the last place, whatever the data.
#pragma once

#include <batchnorm/core/moments.hpp>
#include <batchnorm/walk/passes.hpp>

#include <algorithm>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// S1 += w d, S2 += w d^2 with d = x * scale + offset, which is (x - shift) / unit bit for bit: scale is 1 / unit, a
/// power of two, and offset -shift / unit. The weight w is 1 unless the lanes have others.
template <class V>
struct ShiftedSums {
  V scale, offset;

  template <class Lanes, class Element>
  EIGEN_STRONG_INLINE void add(const Lanes& lanes, V& s1, V& s2, const Element* x) const {
    const V distance = lanes.keep(multiply_add(lanes.load(x, V::broadcast(0)), scale, offset));
    const V weighted = lanes.weigh(distance);
    s1 = s1 + weighted;
    s2 = multiply_add(weighted, distance, s2);
  }
};

/// About what the values of each channel of a block are summed, and in which unit.
template <class Scalar>
class Shifts {
 public:
  explicit Shifts(Index channels) {
    for (Index c = 0; c < channels; c += Channels::size) inverse_unit_.store(c, all_channels(1));
  }

  EIGEN_STRONG_INLINE Packet<Scalar> shift(Index c) const { return shift_.packet(c); }
  EIGEN_STRONG_INLINE Channels in_double(Index c) const { return Channels::load(shift_.values + c); }
  EIGEN_STRONG_INLINE Channels inverse_unit(Index c) const { return inverse_unit_.packet(c); }
  EIGEN_STRONG_INLINE void store(Index c, const Channels& mean) { mean.store(shift_.values + c); }

  EIGEN_STRONG_INLINE Channels unit(Index c) const {
    return has_units_ ? all_channels(1) / inverse_unit(c) : all_channels(1);
  }

  ShiftedSums<Packet<Scalar>> term(Index c) const {
    if (!has_units_) return {Packet<Scalar>::broadcast(1), -shift(c)};
    Scalar scale[Packet<Scalar>::size];
    for (Index k = 0; k < Packet<Scalar>::size; k += Channels::size) inverse_unit(c + k).store(scale + k);
    const auto scales = Packet<Scalar>::load(scale);
    return {scales, -shift(c) * scales};
  }

  /// From a few values of each channel: their mean, taken about one of them, so that a constant channel finds its value
  /// exactly.
  template <class Element, std::size_t Values>
  EIGEN_DONT_INLINE void estimate(const Sample<Values>& sample, const ChannelView<const Element>& x,
                                  Index first_channel, Index channels) {
    using V = Packet<Scalar>;
    for (Index next = 0; next < channels; next += V::size) {
      const Index c = begin_of_packet<Scalar>(next, channels), size = std::min(V::size, channels);
      const std::array values = sample.packets(x, first_channel + c, size);
      const V first = values[0], zero = V::broadcast(0);
      V s1 = zero, s2 = zero;
      for (std::size_t k = 1; k < Values; ++k) {
        const V distance = values[k] - first;
        s1 = s1 + distance;
        s2 = multiply_add(distance, distance, s2);
      }
      const V mean = multiply_add(s1, V::broadcast(Scalar(1) / Scalar(Values)), first);
      if constexpr (std::same_as<Scalar, double>) {
        shift_.store(c, mean);
      } else {
        // Squares that have over- or underflowed.
        const V one = V::broadcast(1), is_small = select_less_equal(V::broadcast(0x1p-60f), s2, zero, one);
        const V is_unusual = select_less_equal(s2, V::broadcast(0x1p60f), is_small, one);
        shift_.store(c, select_less_equal(one, is_unusual, first, mean));
        if (sum(PartialPacket<Scalar>{size}.keep(is_unusual)) == 0) continue;
        Scalar unusual[V::size];
        is_unusual.store(unusual);
        for (Index k = 0; k < size; ++k) {
          if (unusual[k] > 0) estimate_in_double(sample, x, first_channel, c + k);
        }
      }
    }
  }

  /// What to do about the sums of n values of a channel, of which m2 is known already. Returns whether anything was
  /// done, so that they have to be taken again.
  EIGEN_DONT_INLINE bool adjust(Index c, double s1, double s2, double n, double m2) {
    const double scale = inverse_unit_[c], known = m2 * scale * scale;
    if constexpr (std::same_as<Scalar, float>) {
      if (!(std::abs(s1) <= large && s2 <= large)) {
        if (scale <= least_scale || !(std::abs(m2) <= std::numeric_limits<double>::max())) return false;
        inverse_unit_[c] = scale > 1 ? 1 : least_scale;
        return has_units_ = true;
      }
      if (s2 + known < small * n && std::abs(s1) + s2 > 0) {
        if (scale >= largest_scale) return false;
        inverse_unit_[c] = scale < 1 ? 1 : largest_scale;
        return has_units_ = true;
      }
    }
    // Whether the shift missed the mean by more than twice the standard deviation known so far.
    const double about_shift = s1 * s1 * (1 / n);
    if (!(about_shift > 4 * (s2 - about_shift + known))) return false;
    shift_[c] = static_cast<Scalar>(static_cast<double>(shift_[c]) + s1 / (scale * n));
    return true;
  }

  /// 1 in those of the channels c, c + 1, ... that adjust() may do something about, 0 in the others.
  EIGEN_STRONG_INLINE Channels is_bad(Index c, const Channels& s1, const Channels& s2, double n,
                                      const Channels& m2) const {
    const Channels known = has_units_ ? m2 * inverse_unit(c) * inverse_unit(c) : m2, one = all_channels(1),
                   zero = all_channels(0);
    const Channels about_shift = s1 * s1 * all_channels(1 / n);
    const Channels spread = s2 - about_shift + known;
    Channels good = select_less_equal(about_shift, all_channels(4) * spread, one, zero);
    if constexpr (std::same_as<Scalar, float>) {
      good = select_less_equal(abs(s1) + s2, all_channels(large), good, zero);
      const Channels sizes = select_less_equal(all_channels(small * n), s2 + known, zero, abs(s1) + s2);
      good = select_less_equal(sizes, zero, good, zero);
    }
    return one - good;
  }

  /// How often a chunk may be summed: in two more units, and about another shift.
  static constexpr int attempts = std::same_as<Scalar, float> ? 5 : 2;
  /// Sums of squares in float within these bounds, the lower one for each value, have lost no digits.
  static constexpr double large = 0x1p126, small = 0x1p-90;

 private:
  /// The same for a channel of any size, and its unit.
  template <class Element, std::size_t Values>
  EIGEN_DONT_INLINE void estimate_in_double(const Sample<Values>& sample, const ChannelView<const Element>& x,
                                            Index first_channel, Index c) {
    const auto value = [&](std::size_t k) { return static_cast<double>(sample.value(x, k, first_channel + c)); };
    const double first = value(0), n = static_cast<double>(Values);
    double s1 = 0, s2 = 0;
    for (std::size_t k = 0; k < Values; ++k) {
      const double distance = value(k) - first;
      s1 += distance;
      s2 += distance * distance;
    }
    if (!(s2 <= std::numeric_limits<double>::max())) return;
    shift_[c] = static_cast<Scalar>(first + s1 / n);
    // Values that are alike leave their own size to go by; zeros may be followed by anything.
    const double variance = (s2 - s1 * s1 / n) / n, size = variance > 0 ? std::sqrt(variance) : std::abs(first);
    const int exponent = size > 0 ? -std::ilogb(size) : 40;
    inverse_unit_[c] = std::ldexp(1, std::clamp(exponent, -most, most));
    has_units_ = true;
  }

  static constexpr int most = 100;
  static constexpr double least_scale = 0x1p-80, largest_scale = 0x1p100;

  ColumnBuffer<Scalar, max_columns> shift_;
  ColumnBuffer<double, max_columns> inverse_unit_;
  bool has_units_ = false;
};

/// The moments of the channels of a block, chunk by chunk, whatever the kind of block.
template <class Scalar>
class BlockMoments {
 public:
  template <class Element, std::size_t Values>
  BlockMoments(const ColumnShape& block, const ChannelView<const Element>& x, const Sample<Values>& sample)
      : block_(block), shifts_(block.channels) {
    std::fill_n(m2_.values, block.channels + m2_.room, 0.0);
    shifts_.estimate(sample, x, block.first_channel, block.channels);
  }

  /// What a chunk is summed with.
  const ColumnTable<Scalar, ShiftedSums>& constants() {
    constants_.fill(block_, [&](Index c) { return shifts_.term(c); });
    return constants_;
  }

  /// Whether the sums of a chunk of n values have to be taken again, with other constants. Channels whose sums were
  /// good get the same ones, bit for bit, each time.
  bool again(const ChannelSums& sums, double n, int attempt) {
    if (attempt == shifts_.attempts || !is_any_bad(sums, n)) return false;
    bool result = false;
    for (Index c = 0; c < block_.channels; ++c) result |= shifts_.adjust(c, sums.s1[c], sums.s2[c], n, m2_[c]);
    return result;
  }

  /// Merges the moments of a chunk of n values with those of the chunks before.
  EIGEN_DONT_INLINE void merge(const ChannelSums& sums, double n) {
    const Channels values = all_channels(n), fraction = all_channels(n / (count_ + n)),
                   weight = all_channels(count_ * (n / (count_ + n)));
    for (Index c = 0; c < block_.channels; c += Channels::size) {
      const Channels unit = shifts_.unit(c), s1 = sums.s1.packet(c) * unit, offset = s1 / values;
      const Channels chunk_mean = shifts_.in_double(c) + offset;
      const Channels chunk_m2 = max(sums.s2.packet(c) * unit * unit - s1 * offset, all_channels(0));
      const Channels known_mean = count_ > 0 ? mean_.packet(c) : chunk_mean, distance = chunk_mean - known_mean;
      mean_.store(c, known_mean + distance * fraction);
      m2_.store(c, m2_.packet(c) + chunk_m2 + distance * distance * weight);
      shifts_.store(c, mean_.packet(c));
    }
    count_ += n;
  }

  void store(Moments& moments) {
    if (count_ == 0) std::fill_n(mean_.values, block_.channels, 0.0);
    std::copy_n(mean_.values, block_.channels, moments.mean.data() + block_.first_channel);
    std::copy_n(m2_.values, block_.channels, moments.m2.data() + block_.first_channel);
  }

 private:
  EIGEN_DONT_INLINE bool is_any_bad(const ChannelSums& sums, double n) const {
    Channels bad = all_channels(0);
    for_each_overlapping_packet<double>(block_.channels, [&](Index c, auto lanes) {
      const Channels s1 = lanes.load(sums.s1.values + c, all_channels(0)),
                     s2 = lanes.load(sums.s2.values + c, all_channels(0)),
                     m2 = lanes.load(m2_.values + c, all_channels(0));
      bad = bad + lanes.keep(shifts_.is_bad(c, s1, s2, n, m2));
    });
    return sum(bad) > 0;
  }

  ColumnShape block_;
  Shifts<Scalar> shifts_;
  ColumnTable<Scalar, ShiftedSums> constants_;
  ColumnBuffer<double, max_columns> mean_, m2_;
  double count_ = 0;
};

/// The moments of a block, into those of its channels.
template <class Element, class Weights>
void block_moments(const Block& block, const ChannelView<const Element>& x, const Weights& weights, Moments& moments) {
  // Beside others, weights may be so small that the sum is that of roundings.
  const auto counts = [&](const PlaneChunk& part) { return weights.present(part) > 0 && weights.total(part) > 0; };
  const Index chunks = block.chunks();
  Index first = 0;
  while (first + 1 < chunks && !counts(block.part(first))) ++first;
  BlockMoments<statistics_t<Element>> result(block, x, Sample<8>(block.part(first), x.inner, weights));
  ChannelSums sums;
  for (Index k = first; k < chunks; ++k) {
    const PlaneChunk part = block.part(k);
    if (!counts(part)) continue;
    const double n = weights.total(part);
    int attempt = 0;
    do {
      block.reduce(
          k, result.constants(), [&](const auto& constants) { return weighted_term(constants, weights); },
          Views<const Element, 1>{x}, sums);
    } while (result.again(sums, n, ++attempt));
    result.merge(sums, n);
  }
  result.store(moments);
}

/// Makes room for the moments of x.
template <class Element, class Weights>
void resize(Moments& moments, const ChannelView<Element>& x, const Weights& weights) {
  moments.count = weights.total(x);
  moments.mean.resize(x.channels);
  moments.m2.resize(x.channels);
}

/// The moments of each channel of x.
///
/// Shapes   x: outer x channels x inner; weights: outer x inner; moments: [channels]
template <class Element, class Weights = Unweighted>
void batch_moments(const Device& device, const ChannelView<const Element>& view, Moments& moments,
                   const Weights& weights = {}) {
  const ChannelView<const Element> x = is_one_plane(view) ? as_one_plane(view) : view;
  if (x.channels == 0 || !(weights.total(x) > 0)) {
    moments = Moments(x.channels);
    return;
  }
  resize(moments, x, weights);
  Moments merged;
  reduce_all(
      device, Views<const Element, 1>{x}, weights, moments, [&] { return Moments(x.channels); },
      [&](const Block& block, Moments& part) { block_moments(block, x, weights, part); },
      [&](Moments& part, double weight) {
        part.count = weight;
        merged.merge(part);
      });
  if (merged.count > 0) std::swap(moments, merged);
  moments.count = weights.total(x);  // and not the sum of what ranges have, which may be rounded another way
}

/// The first channel with a value that is NaN or infinite, or the number of channels.
template <class Element>
Index find_non_finite(const Device& device, const ChannelView<const Element>& view) {
  Moments moments;
  batch_moments(device, view, moments);
  if (moments.all_finite()) return view.channels;
  // Or is it only sums of finite values that are not?
  Index found = view.channels;
  for (Index o = 0; o < view.outer; ++o) {
    for (Index c = 0; c < found; ++c) {
      const Element* const plane = view.plane(o, c);
      const bool finite =
          std::all_of(plane, plane + view.inner, [](Element x) { return is_finite(static_cast<double>(x)); });
      if (!finite) found = c;
    }
  }
  return found;
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
