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
#include <batchnorm/core/parallel.hpp>
#include <batchnorm/kernels/sums.hpp>

#include <vector>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// S1 += x - centre, S2 += (x - centre)^2.
template <class V>
struct ShiftedSums {
  V centre;

  EIGEN_STRONG_INLINE void add(const V& x, V& s1, V& s2) const {
    const V distance = x - centre;
    s1 = s1 + distance;
    s2 = multiply_add(distance, distance, s2);
  }
};

/// The moments of one channel while its chunks are merged.
struct ChannelMoments {
  double count = 0.0, mean = 0.0, m2 = 0.0;

  /// Whether sums of n values about a shift are to be done again about their own mean: the shift missed it by more than
  /// twice the standard deviation known so far.
  bool shift_is_far(double n, double s1, double s2) const {
    const double about_shift = s1 * s1 / n;
    return about_shift > 4.0 * (s2 - about_shift + m2);
  }

  /// Takes in n values with these sums about the shift.
  void merge(double n, double shift, double s1, double s2) {
    const double chunk_mean = shift + s1 / n;
    const double chunk_m2 = s2 - s1 * (s1 / n);
    m2 += chunk_m2 < 0.0 ? 0.0 : chunk_m2;
    if (count == 0.0) {
      mean = chunk_mean;
    } else {
      const double distance = chunk_mean - mean;
      const double fraction = n / (count + n);
      m2 += distance * distance * (count * fraction);
      mean += distance * fraction;
    }
    count += n;
  }
};

/// The moments of channel c of planes.
template <class Scalar>
ChannelMoments plane_moments(const ChannelView<const Scalar>& x, Index c) {
  const auto sums_about = [&](Scalar shift, const PlaneChunk& chunk) {
    const ShiftedSums<Packet<Scalar>> sums{Packet<Scalar>::broadcast(shift)};
    return sum_planes<Scalar>(chunk, [&](Index o, Index i, auto lanes, auto& s1, auto& s2) {
      sums.add(lanes.load(x.plane(o, c) + i, sums.centre), s1, s2);
    });
  };

  // The first shift is the mean of a few values, taken about one of them: a constant channel finds its value exactly.
  const PlaneChunk sample{0, 1, 0, std::min<Index>(x.inner, 64)};
  const Scalar first = *x.plane(0, c);
  Scalar shift = first + sums_about(first, sample).s1 / static_cast<Scalar>(sample.size());

  ChannelMoments moments;
  for_each_chunk(x.outer, x.inner, [&](const PlaneChunk& chunk) {
    const auto n = static_cast<double>(chunk.size());
    auto [s1, s2] = sums_about(shift, chunk);
    if (moments.shift_is_far(n, s1, s2)) {
      shift = static_cast<Scalar>(shift + s1 / n);
      const auto again = sums_about(shift, chunk);
      s1 = again.s1;
      s2 = again.s2;
    }
    moments.merge(n, shift, s1, s2);
    shift = static_cast<Scalar>(moments.mean);
  });
  return moments;
}

/// The moments of rows of up to group_channels channels, into mean[c] and m2[c].
template <class Scalar>
void row_moments(const ChannelView<const Scalar>& x, double* mean, double* m2) {
  const Index channels = x.channels;
  RowSums<Scalar> sums;
  ChannelBuffer<Scalar, group_channels> shift;
  const auto sum_about_shift = [&](Index first_row, Index rows) {
    sum_rows<Scalar>(
        rows, channels, [&](Index c) { return ShiftedSums<Packet<Scalar>>{shift.packet(c)}; },
        [&](const auto& about, Index r, Index c, auto lanes, auto& s1, auto& s2) {
          about.add(lanes.load(x.plane(first_row + r, c), about.centre), s1, s2);
        },
        sums);
  };

  for_each_packet<Scalar>(
      channels, [&](Index c, auto lanes) { shift.store(c, lanes.load(x.plane(0, c), Packet<Scalar>::broadcast(0))); });
  const Index sample = std::min<Index>(x.outer, 8);
  sum_about_shift(0, sample);
  for (Index c = 0; c < channels; ++c) shift[c] += sums.s1[c] / static_cast<Scalar>(sample);

  std::fill_n(mean, channels, 0.0);
  std::fill_n(m2, channels, 0.0);
  for (Index row = 0; row < x.outer; row += chunk_rows) {
    const Index rows = std::min(chunk_rows, x.outer - row);
    const auto count = static_cast<double>(row), n = static_cast<double>(rows);
    sum_about_shift(row, rows);
    bool again = false;
    for (Index c = 0; c < channels; ++c) {
      if (!ChannelMoments{count, mean[c], m2[c]}.shift_is_far(n, sums.s1[c], sums.s2[c])) continue;
      shift[c] = static_cast<Scalar>(shift[c] + sums.s1[c] / n);
      again = true;
    }
    // Channels whose shift was good get the same sums, bit for bit, a second time.
    if (again) sum_about_shift(row, rows);
    for (Index c = 0; c < channels; ++c) {
      ChannelMoments channel{count, mean[c], m2[c]};
      channel.merge(n, shift[c], sums.s1[c], sums.s2[c]);
      mean[c] = channel.mean;
      m2[c] = channel.m2;
      shift[c] = static_cast<Scalar>(channel.mean);
    }
  }
}

/// Makes room for the moments of x.
template <class Scalar>
void resize(Moments<Scalar>& moments, const ChannelView<const Scalar>& x) {
  moments.count = x.count();
  moments.mean.resize(x.channels);
  moments.m2.resize(x.channels);
}

template <class Scalar>
void store(const ChannelMoments& channel, Index c, Moments<Scalar>& moments) {
  moments.mean[c] = channel.mean;
  moments.m2[c] = channel.m2;
}

/// The moments of each channel of x.
///
/// Shapes   x: outer x channels x inner, count >= 1; moments: [channels]
template <class Scalar>
void batch_moments(const Executor& executor, const ChannelView<const Scalar>& x, Moments<Scalar>& moments) {
  resize(moments, x);
  if (is_one_plane(x) || !x.has_rows()) {
    const ChannelView<const Scalar> planes = is_one_plane(x) ? as_one_plane(x) : x;
    const Cut blocks = cut_channels(planes.channels, planes.count(), sizeof(Scalar));
    executor.for_each_block(blocks.parts(), bytes_of(x), [&](Index block) {
      for (Index c = blocks.begin(block); c < blocks.end(block); ++c) {
        store(plane_moments(planes, c), c, moments);
      }
    });
    return;
  }

  const RowBlocks blocks(x.outer, x.channels, sizeof(Scalar));
  const Index ranges = blocks.ranges.parts();
  std::vector<Moments<Scalar>> parts;
  if (ranges > 1) parts.assign(static_cast<std::size_t>(ranges), Moments<Scalar>(x.channels));
  executor.for_each_block(blocks.blocks(), bytes_of(x), [&](Index block) {
    const ChannelView<const Scalar> rows = blocks.view(x, block);
    Moments<Scalar>& part = ranges > 1 ? parts[static_cast<std::size_t>(blocks.range(block))] : moments;
    const Index first = blocks.first_channel(block);
    row_moments(rows, part.mean.data() + first, part.m2.data() + first);
  });
  if (ranges == 1) return;
  moments.count = 0;
  for (Index range = 0; range < ranges; ++range) {
    Moments<Scalar>& part = parts[static_cast<std::size_t>(range)];
    part.count = blocks.ranges.end(range) - blocks.ranges.begin(range);
    moments.merge(part);
  }
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
