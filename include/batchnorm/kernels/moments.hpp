/// \file
/// Mean and variance of each channel in one reading of x, without cancellation.
///
/// Values are summed in Scalar lanes over short chunks, about a shift that lies near the mean:
///
///   S1 = sum (x - shift)        S2 = sum (x - shift)^2        mean = shift + S1 / n        m2 = S2 - S1^2 / n
///
/// and the chunks are merged in double (Chan et al.). Where S1^2 / n outweighs what is known of m2, the shift lay so
/// far from the chunk's mean that the difference would lose digits: that channel's chunk is summed again about its own
/// mean, while it is in cache. So the relative error of m2 stays at a few units in the last place times the number of
/// additions in a lane, whatever the data. It overflows only where (x - mean)^2 does.
#pragma once

#include <batchnorm/core/moments.hpp>
#include <batchnorm/kernels/walk.hpp>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// S1 += x - centre, S2 += (x - centre)^2.
template <class V>
struct ShiftedSums {
  V centre;

  template <class Lanes, class Element>
  EIGEN_STRONG_INLINE void add(const Lanes& lanes, V& s1, V& s2, const Element* x) const {
    const V distance = lanes.load(x, centre) - centre;
    s1 = s1 + distance;
    s2 = multiply_add(distance, distance, s2);
  }
};

/// The moments of a block, into those of its channels.
template <class B, class Element>
void block_moments(const B& block, const ChannelView<const Element>& x, Moments& moments) {
  using Scalar = statistics_t<Element>;
  const Index channels = block.channels;
  ColumnBuffer<Scalar, max_columns> shift;
  ColumnBuffer<double, max_columns> mean, m2;
  ColumnTable<Scalar, ShiftedSums> table;
  ChannelSums sums;
  const auto sum_about_shift = [&](const auto& chunk) {
    table.fill(block, [&](Index c) { return ShiftedSums<Scalar>{shift[c]}; });
    block.reduce(
        chunk, table, [](const auto& constants) { return constants; }, Views<const Element, 1>{x}, sums);
  };

  // The first shift is the mean of a few values, taken about one of them: a constant channel finds its value exactly.
  for (Index c = 0; c < channels; ++c) shift[c] = static_cast<Scalar>(block.first_value(x, c));
  const auto sample = block.sample();
  sum_about_shift(sample);
  for (Index c = 0; c < channels; ++c) {
    shift[c] += static_cast<Scalar>(sums.s1[c] / static_cast<double>(sample.values()));
    m2[c] = 0;
  }

  double count = 0;
  for (Index k = 0; k < block.chunks(); ++k) {
    const auto chunk = block.chunk(k);
    const double n = static_cast<double>(chunk.values()), one_over_n = 1 / n;
    sum_about_shift(chunk);
    bool again = false;
    for (Index c = 0; c < channels; ++c) {
      // Whether the shift missed the mean by more than twice the standard deviation known so far.
      const double about_shift = sums.s1[c] * sums.s1[c] * one_over_n;
      if (!(about_shift > 4 * (sums.s2[c] - about_shift + m2[c]))) continue;
      shift[c] = static_cast<Scalar>(shift[c] + sums.s1[c] / n);
      again = true;
    }
    // Channels whose shift was good get the same sums, bit for bit, a second time.
    if (again) sum_about_shift(chunk);

    const Channels values = all_channels(n), fraction = all_channels(n / (count + n)),
                   weight = all_channels(count * (n / (count + n)));
    for (Index c = 0; c < channels; c += Channels::size) {
      const Channels s1 = sums.s1.packet(c), offset = s1 / values;
      const Channels chunk_mean = Channels::load(shift.values + c) + offset;
      const Channels chunk_m2 = max(sums.s2.packet(c) - s1 * offset, all_channels(0));
      const Channels known_mean = count > 0 ? mean.packet(c) : chunk_mean, distance = chunk_mean - known_mean;
      mean.store(c, known_mean + distance * fraction);
      m2.store(c, m2.packet(c) + chunk_m2 + distance * distance * weight);
      mean.packet(c).store(shift.values + c);
    }
    count += n;
  }
  std::copy_n(mean.values, channels, moments.mean.data() + block.first_channel);
  std::copy_n(m2.values, channels, moments.m2.data() + block.first_channel);
}

/// Makes room for the moments of x.
template <class Element>
void resize(Moments& moments, const ChannelView<Element>& x) {
  moments.count = x.count();
  moments.mean.resize(eigen_index(x.channels));
  moments.m2.resize(eigen_index(x.channels));
}

/// The moments of each channel of x.
///
/// Shapes   x: outer x channels x inner, count >= 1; moments: [channels]
template <class Element>
void batch_moments(const Executor& executor, const ChannelView<const Element>& view, Moments& moments) {
  const ChannelView<const Element> x = is_one_plane(view) ? as_one_plane(view) : view;
  resize(moments, x);
  Moments merged;
  reduce_all(
      executor, Views<const Element, 1>{x}, moments, [&] { return Moments(x.channels); },
      [&](const auto& block, Moments& part) { block_moments(block, x, part); },
      [&](Moments& part, Index values) {
        part.count = values;
        merged.merge(part);
      });
  if (merged.count > 0) std::swap(moments, merged);
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
