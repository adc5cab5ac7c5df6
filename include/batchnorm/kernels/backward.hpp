/// \file
/// The gradients, in two passes: sums over each channel, then dx. The paper's chain rule, collapsed.
#pragma once

#include <batchnorm/core/activation.hpp>
#include <batchnorm/core/gradient_sums.hpp>
#include <batchnorm/core/options.hpp>
#include <batchnorm/kernels/map.hpp>
#include <batchnorm/kernels/sums.hpp>

#include <concepts>
#include <vector>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// S1 += dz, S2 += dz * (x - centre), where dz = dy * activation'(z) and z is what forward computed, recomputed from x.
template <class V, class Activation>
struct GradientTerm {
  Normaliser<V> normaliser;
  Activation activation;

  EIGEN_STRONG_INLINE V dz(const V& x, const V& dy) const {
    if constexpr (std::same_as<Activation, identity>) {
      return dy;
    } else {
      return activation.backward(normaliser(x), dy);
    }
  }

  EIGEN_STRONG_INLINE void add(const V& x, const V& dy, V& s1, V& s2) const {
    const V gradient = dz(x, dy);
    s1 = s1 + gradient;
    s2 = multiply_add(gradient, x - normaliser.centre, s2);
  }
};

/// Sum dz and sum dz (x - mean) of one channel: from the float sums about the rounded mean to double sums about the
/// mean.
struct ChannelGradientSums {
  double dz = 0.0, dz_x = 0.0;

  void add(double s1, double s2, double residual) {
    dz += s1;
    dz_x += s2 - residual * s1;
  }
};

template <class Scalar, class Statistics, class Activation>
ChannelGradientSums plane_gradient_sums(const ChannelView<const Scalar>& x, const ChannelView<const Scalar>& dy,
                                        Index c, const AffineView<Scalar>& affine, const Statistics& statistics,
                                        const Activation& activation) {
  const GradientTerm<Packet<Scalar>, Activation> term{spread(normaliser(c, statistics, affine)), activation};
  const auto zero = Packet<Scalar>::broadcast(0);
  const double residual = mean_residual<Scalar>(statistics, c);
  ChannelGradientSums total;
  for_each_chunk(x.outer, x.inner, [&](const PlaneChunk& chunk) {
    const auto sums = sum_planes<Scalar>(chunk, [&](Index o, Index i, auto lanes, auto& s1, auto& s2) {
      term.add(lanes.load(x.plane(o, c) + i, term.normaliser.centre), lanes.load(dy.plane(o, c) + i, zero), s1, s2);
    });
    total.add(sums.s1, sums.s2, residual);
  });
  return total;
}

/// The sums of rows of up to group_channels channels, of which the first is channel `first` of the tensor.
template <class Scalar, class Statistics, class Activation>
void row_gradient_sums(const ChannelView<const Scalar>& x, const ChannelView<const Scalar>& dy, Index first,
                       const AffineView<Scalar>& affine, const Statistics& statistics, const Activation& activation,
                       GradientSums& total) {
  CoefficientTable<Scalar, Normaliser> table;
  table.fill(first, x.channels, [&](Index c) { return normaliser(c, statistics, affine); });
  const auto zero = Packet<Scalar>::broadcast(0);
  RowSums<Scalar> sums;
  for (Index row = 0; row < x.outer; row += chunk_rows) {
    sum_rows<Scalar>(
        std::min(chunk_rows, x.outer - row), x.channels,
        [&](Index c) {
          return GradientTerm<Packet<Scalar>, Activation>{table.packet(c), activation};
        },
        [&](const auto& term, Index r, Index c, auto lanes, auto& s1, auto& s2) {
          term.add(lanes.load(x.plane(row + r, c), zero), lanes.load(dy.plane(row + r, c), zero), s1, s2);
        },
        sums);
    for (Index c = 0; c < x.channels; ++c) {
      ChannelGradientSums channel{total.dy[first + c], total.dy_x[first + c]};
      channel.add(sums.s1[c], sums.s2[c], mean_residual<Scalar>(statistics, first + c));
      total.dy[first + c] = channel.dz;
      total.dy_x[first + c] = channel.dz_x;
    }
  }
}

/// The sums that all gradients are made of: sum dz and sum dz (x - mean) for each channel.
///
/// Shapes   x, dy: the same outer x channels x inner; affine, statistics, sums: [channels]
template <class Scalar, class Statistics, class Activation>
void gradient_sums(const Executor& executor, const ChannelView<const Scalar>& x, const ChannelView<const Scalar>& dy,
                   const AffineView<Scalar>& affine, const Statistics& statistics, const Activation& activation,
                   GradientSums& sums) {
  if (is_one_plane(x) && is_one_plane(dy) && x.outer > 1) {
    return gradient_sums(executor, as_one_plane(x), as_one_plane(dy), affine, statistics, activation, sums);
  }
  sums.set_zero(x.channels);
  if (x.count() == 0) return;
  const Index bytes = bytes_of(x) + bytes_of(dy);
  if (!x.has_rows() || !dy.has_rows()) {
    const Cut blocks = cut_channels(x.channels, x.count(), sizeof(Scalar));
    executor.for_each_block(blocks.parts(), bytes, [&](Index block) {
      for (Index c = blocks.begin(block); c < blocks.end(block); ++c) {
        const ChannelGradientSums channel = plane_gradient_sums(x, dy, c, affine, statistics, activation);
        sums.dy[c] = channel.dz;
        sums.dy_x[c] = channel.dz_x;
      }
    });
    return;
  }
  const RowBlocks blocks(x.outer, x.channels, sizeof(Scalar));
  const Index ranges = blocks.ranges.parts();
  std::vector<GradientSums> parts;
  if (ranges > 1) parts.assign(static_cast<std::size_t>(ranges), GradientSums(x.channels));
  executor.for_each_block(blocks.blocks(), bytes, [&](Index block) {
    GradientSums& part = ranges > 1 ? parts[static_cast<std::size_t>(blocks.range(block))] : sums;
    row_gradient_sums(blocks.view(x, block), blocks.view(dy, block), blocks.first_channel(block), affine, statistics,
                      activation, part);
  });
  for (const GradientSums& part : parts) sums.add(part);
}

/// dx through batch statistics.
///
///   dx = gamma * inv_std * (dz - S1 / count - (x - mean) * inv_std^2 * S2 / count)        S1, S2: sums.dy, sums.dy_x
///
/// Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3, the chain rule with its terms collected.
/// Shapes   x, dy, dx: the same outer x channels x inner; affine, statistics, sums: [channels]; count: values per
///          channel in the sums
template <class Scalar, class Statistics, class Activation>
void input_gradient(const Executor& executor, const ChannelView<const Scalar>& x, const ChannelView<const Scalar>& dy,
                    const AffineView<Scalar>& affine, const Statistics& statistics, const Activation& activation,
                    const GradientSums& sums, Index count, const ChannelView<Scalar>& dx) {
  map_channels<InputGradient>(
      executor,
      [&](Index c) {
        return input_gradient(c, statistics, affine, sums.dy[c], sums.dy_x[c], static_cast<double>(count));
      },
      [&]<class V>(const InputGradient<V>& gradient, const V& x_packet, const V& dy_packet) {
        return gradient(x_packet, GradientTerm<V, Activation>{gradient.forward(), activation}.dz(x_packet, dy_packet));
      },
      dx, x, dy);
}

/// dx through statistics that are constants.
///
///   dx = dz * gamma * inv_std
///
/// Shapes   x, dy, dx: the same outer x channels x inner; affine, statistics: [channels]
template <class Scalar, class Statistics, class Activation>
void frozen_input_gradient(const Executor& executor, const ChannelView<const Scalar>& x,
                           const ChannelView<const Scalar>& dy, const AffineView<Scalar>& affine,
                           const Statistics& statistics, const Activation& activation, const ChannelView<Scalar>& dx) {
  map_channels<Normaliser>(
      executor, [&](Index c) { return normaliser(c, statistics, affine); },
      [&]<class V>(const Normaliser<V>& forward, const V& x_packet, const V& dy_packet) {
        return GradientTerm<V, Activation>{forward, activation}.dz(x_packet, dy_packet) * forward.scale;
      },
      dx, x, dy);
}

/// Adds to dgamma and dbeta, of which either may be empty.
///
///   dgamma += sums.dy_x * inv_std        dbeta += sums.dy
template <class Scalar, class Statistics>
void parameter_gradients(const GradientSums& sums, const Statistics& statistics, Gradients<Scalar>& gradients) {
  for (Index c = 0; c < gradients.gamma.size(); ++c) {
    gradients.gamma[c] = static_cast<Scalar>(gradients.gamma[c] + sums.dy_x[c] * statistics.inv_std(c));
  }
  for (Index c = 0; c < gradients.beta.size(); ++c)
    gradients.beta[c] = static_cast<Scalar>(gradients.beta[c] + sums.dy[c]);
}

/// A whole backward pass: the sums, dgamma and dbeta if `gradients` is not null, then dx. On running statistics, which are
/// constants, nothing but the parameters needs the sums.
///
/// Shapes   x, dy, dx: the same outer x channels x inner; affine, statistics, sums, gradients: [channels]; count: values
///          per channel behind batch statistics
template <class Scalar, class Statistics, class Activation>
void backward(const Executor& executor, const ChannelView<const Scalar>& x, const ChannelView<const Scalar>& dy,
              const AffineView<Scalar>& affine, const Statistics& statistics, StatisticsSource source, Index count,
              const Activation& activation, GradientSums& sums, Gradients<Scalar>* gradients,
              const ChannelView<Scalar>& dx) {
  const bool through_batch = source == StatisticsSource::batch;
  if (through_batch || gradients) gradient_sums(executor, x, dy, affine, statistics, activation, sums);
  if (gradients) parameter_gradients(sums, statistics, *gradients);
  if (through_batch) {
    input_gradient(executor, x, dy, affine, statistics, activation, sums, count, dx);
  } else {
    frozen_input_gradient(executor, x, dy, affine, statistics, activation, dx);
  }
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
