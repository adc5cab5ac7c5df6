/// \file
/// The gradients, in two passes: sums over each channel, then dx. The paper's chain rule, collapsed.
#pragma once

#include <batchnorm/core/activation.hpp>
#include <batchnorm/core/gradient_sums.hpp>
#include <batchnorm/core/options.hpp>
#include <batchnorm/kernels/coefficients.hpp>
#include <batchnorm/kernels/walk.hpp>

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

  template <class Lanes, class Element>
  EIGEN_STRONG_INLINE void add(const Lanes& lanes, V& s1, V& s2, const Element* x_at, const Element* dy_at) const {
    const V x = lanes.load(x_at, normaliser.centre);
    const V gradient = dz(x, lanes.load(dy_at, V::broadcast(0)));
    s1 = s1 + gradient;
    s2 = multiply_add(gradient, x - normaliser.centre, s2);
  }
};

/// The sums of a block, into dy[c] and dy_x[c] of its channels: from Scalar sums about the rounded mean to double sums
/// about the mean.
template <class B, class Element, class Statistics, class Activation>
void block_gradient_sums(const B& block, const ChannelView<const Element>& x, const ChannelView<const Element>& dy,
                         const AffineView<statistics_t<Element>>& affine, const Statistics& statistics,
                         const Activation& activation, double* dy_of, double* dy_x_of) {
  using Scalar = statistics_t<Element>;
  using Array = Eigen::Map<Eigen::ArrayXd>;
  const Index channels = block.channels;
  const ColumnTable<Scalar, Normaliser> table(
      block, [&](Index c, auto lanes) { return normaliser(c, lanes, statistics, affine); });
  ColumnBuffer<double, max_columns> residuals;
  for_each_packet<double>(0, channels, [&](Index c, auto lanes) {
    residual<Scalar>(statistics.mean(block.first_channel + c, lanes)).store(residuals.values + c);
  });
  ChannelSums sums;
  const Array s1(sums.s1.values, channels), s2(sums.s2.values, channels), residual(residuals.values, channels);
  Array total_dy(dy_of, channels), total_dy_x(dy_x_of, channels);
  total_dy.setZero();
  total_dy_x.setZero();
  for (Index k = 0; k < block.chunks(); ++k) {
    block.reduce(
        block.chunk(k), table,
        [&]<class V>(const Normaliser<V>& constants) { return GradientTerm<V, Activation>{constants, activation}; }, sums,
        x, dy);
    total_dy += s1;
    total_dy_x += s2 - residual * s1;
  }
}

/// The sums that all gradients are made of: sum dz and sum dz (x - mean) for each channel.
///
/// Shapes   x, dy: the same outer x channels x inner; affine, statistics, sums: [channels]
template <class Element, class Statistics, class Activation>
void gradient_sums(const Executor& executor, const ChannelView<const Element>& x, const ChannelView<const Element>& dy,
                   const AffineView<statistics_t<Element>>& affine, const Statistics& statistics,
                   const Activation& activation, GradientSums& sums) {
  if (x.outer > 1 && is_one_plane(x) && is_one_plane(dy)) {
    return gradient_sums(executor, as_one_plane(x), as_one_plane(dy), affine, statistics, activation, sums);
  }
  sums.set_zero(x.channels);
  if (x.size() == 0) return;
  std::visit(
      [&](const auto& blocks) {
        const Index ranges = blocks.ranges();
        std::vector<GradientSums> parts;
        if (ranges > 1) parts.assign(std::size_t(ranges), GradientSums(x.channels));
        executor.for_each_block(blocks.count(), bytes_of(x) + bytes_of(dy), [&](Index k) {
          const auto block = blocks[k];
          GradientSums& part = ranges > 1 ? parts[std::size_t(block.range)] : sums;
          block_gradient_sums(block, x, dy, affine, statistics, activation, part.dy.data() + block.first_channel,
                              part.dy_x.data() + block.first_channel);
        });
        for (const GradientSums& part : parts) sums.add(part);
      },
      blocks_for(2, x, dy));
}

/// The function that a backward pass through batch statistics maps over x and dy.
template <class Activation>
auto through_statistics(const Activation& activation) {
  return [&activation]<class V>(const InputGradient<V>& gradient, const V& x, const V& dy) {
    return std::array{gradient(x, GradientTerm<V, Activation>{gradient.forward(), activation}.dz(x, dy))};
  };
}

/// dx through batch statistics.
///
///   dx = gamma * inv_std * (dz - S1 / count - (x - mean) * inv_std^2 * S2 / count)        S1, S2: sums.dy, sums.dy_x
///
/// Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3, the chain rule with its terms collected.
/// Shapes   x, dy, dx: the same outer x channels x inner; affine, statistics, sums: [channels]; count: values per
///          channel in the sums
template <class Element, class Statistics, class Activation>
void input_gradient(const Executor& executor, const ChannelView<const Element>& x, const ChannelView<const Element>& dy,
                    const AffineView<statistics_t<Element>>& affine, const Statistics& statistics,
                    const Activation& activation, const GradientSums& sums, Index count, const ChannelView<Element>& dx) {
  if (x.size() == 0) return;
  as_planes_where_one(
      [&](const auto& x_view, const auto& dy_view, const auto& to) {
        write_all<InputGradient>(
            executor, Order::backwards,
            [&](Index c, auto lanes) { return input_gradient(c, lanes, statistics, affine, sums, count); },
            through_statistics(activation), std::array{to}, x_view, dy_view);
      },
      x, dy, dx);
}

/// dx through statistics that are constants.
///
///   dx = dz * gamma * inv_std
///
/// Shapes   x, dy, dx: the same outer x channels x inner; affine, statistics: [channels]
template <class Element, class Statistics, class Activation>
void frozen_input_gradient(const Executor& executor, const ChannelView<const Element>& x,
                           const ChannelView<const Element>& dy, const AffineView<statistics_t<Element>>& affine,
                           const Statistics& statistics, const Activation& activation,
                           const ChannelView<Element>& dx) {
  if (x.size() == 0) return;
  as_planes_where_one(
      [&](const auto& x_view, const auto& dy_view, const auto& to) {
        write_all<Normaliser>(
            executor, Order::forwards, [&](Index c, auto lanes) { return normaliser(c, lanes, statistics, affine); },
            [&]<class V>(const Normaliser<V>& forward, const V& x_packet, const V& dy_packet) {
              return std::array{GradientTerm<V, Activation>{forward, activation}.dz(x_packet, dy_packet) * forward.scale};
            },
            std::array{to}, x_view, dy_view);
      },
      x, dy, dx);
}

/// Adds to dgamma and dbeta, of which either may be empty.
///
///   dgamma += sums.dy_x * inv_std        dbeta += sums.dy
template <class Scalar, class Statistics>
void parameter_gradients(const GradientSums& sums, const Statistics& statistics, Gradients<Scalar>& gradients) {
  for_each_packet<double>(0, gradients.gamma.size(), [&](Index c, auto lanes) {
    const Channels dgamma = channels_of(sums.dy_x, c, lanes) * statistics.inv_std(c, lanes);
    lanes.store(gradients.gamma.data() + c, channels_of(gradients.gamma, c, lanes) + dgamma);
  });
  for_each_packet<double>(0, gradients.beta.size(), [&](Index c, auto lanes) {
    lanes.store(gradients.beta.data() + c, channels_of(gradients.beta, c, lanes) + channels_of(sums.dy, c, lanes));
  });
}

/// gradient_sums and input_gradient with the same bits, but dx of blocks that hold all values of their channels is
/// written while they are still in cache.
template <class Element, class Statistics, class Activation>
void sums_and_input_gradient(const Executor& executor, const ChannelView<const Element>& x,
                             const ChannelView<const Element>& dy, const AffineView<statistics_t<Element>>& affine,
                             const Statistics& statistics, const Activation& activation, GradientSums& sums,
                             Index count, const ChannelView<Element>& dx) {
  const Blocks kind = blocks_for(2, x, dy, dx);
  if (is_one_plane(x) || !hold_whole_channels(kind)) {
    gradient_sums(executor, x, dy, affine, statistics, activation, sums);
    input_gradient(executor, x, dy, affine, statistics, activation, sums, count, dx);
    return;
  }
  sums.set_zero(x.channels);
  std::visit(
      [&](const auto& blocks) {
        reduce_and_write<InputGradient>(
            executor, blocks,
            [&](const auto& block) {
              block_gradient_sums(block, x, dy, affine, statistics, activation, sums.dy.data() + block.first_channel,
                                  sums.dy_x.data() + block.first_channel);
            },
            [&](Index c, auto lanes) { return input_gradient(c, lanes, statistics, affine, sums, count); },
            through_statistics(activation), std::array{dx}, x, dy);
      },
      kind);
}

/// A whole backward pass: the sums, dgamma and dbeta if `gradients` is not null, then dx. On running statistics, which are
/// constants, nothing but the parameters needs the sums.
///
/// Shapes   x, dy, dx: the same outer x channels x inner; affine, statistics, sums, gradients: [channels]; count: values
///          per channel behind batch statistics
template <class Element, class Statistics, class Activation>
void backward(const Executor& executor, const ChannelView<const Element>& x, const ChannelView<const Element>& dy,
              const AffineView<statistics_t<Element>>& affine, const Statistics& statistics, StatisticsSource source,
              Index count, const Activation& activation, GradientSums& sums,
              Gradients<statistics_t<Element>>* gradients, const ChannelView<Element>& dx) {
  if (source == StatisticsSource::batch) {
    sums_and_input_gradient(executor, x, dy, affine, statistics, activation, sums, count, dx);
  } else {
    if (gradients) gradient_sums(executor, x, dy, affine, statistics, activation, sums);
    frozen_input_gradient(executor, x, dy, affine, statistics, activation, dx);
  }
  if (gradients) parameter_gradients(sums, statistics, *gradients);
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
