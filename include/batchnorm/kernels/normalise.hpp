/// \file
/// y = activation((x - mean) * gamma * inv_std + beta): the pass that writes a forward result, and the folded form of
/// it.
#pragma once

#include <batchnorm/core/activation.hpp>
#include <batchnorm/kernels/coefficients.hpp>
#include <batchnorm/kernels/moments.hpp>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// The function that forward passes map over x.
template <class Activation>
auto activated(const Activation& activation) {
  return [&activation](const auto& constants, const auto& x) {
    return std::array{activation.forward(constants(x))};
  };
}

/// Normalises with given statistics.
///
///   y = activation((x - mean) * gamma * inv_std + beta)
///
/// Shapes   x, y: the same outer x channels x inner; statistics, affine: [channels]
template <class Element, class Statistics, class Activation>
void normalise(const Executor& executor, const ChannelView<const Element>& x,
               const AffineView<statistics_t<Element>>& affine, const Statistics& statistics,
               const Activation& activation, const ChannelView<Element>& y, Order order = Order::forwards) {
  if (x.size() == 0) return;
  as_planes_where_one(
      [&](const auto& from, const auto& to) {
        write_all<Normaliser>(
            executor, order, [&](Index c, auto lanes) { return normaliser(c, lanes, statistics, affine); },
            activated(activation), std::array{to}, from);
      },
      x, y);
}

/// Normalises a batch with its own statistics: batch_moments and normalise with the same bits, but blocks that hold
/// all values of their channels are normalised while they are still in cache.
///
/// Shapes   x, y: the same outer x channels x inner, count >= 1; affine, moments: [channels]
template <class Element, class Activation>
void train_forward(const Executor& executor, const ChannelView<const Element>& x,
                   const AffineView<statistics_t<Element>>& affine, double epsilon, const Activation& activation,
                   const ChannelView<Element>& y, Moments<statistics_t<Element>>& moments) {
  const BatchStatistics<statistics_t<Element>> statistics{moments, epsilon};
  const Blocks kind = blocks_for(1, x, y);
  if (is_one_plane(x) || !hold_whole_channels(kind)) {
    batch_moments(executor, x, moments);
    normalise(executor, x, affine, statistics, activation, y, Order::backwards);
    return;
  }
  resize(moments, x);
  std::visit(
      [&](const auto& blocks) {
        reduce_and_write<Normaliser>(
            executor, blocks,
            [&](const auto& block) {
              block_moments(block, x, moments.mean.data() + block.first_channel,
                            moments.m2.data() + block.first_channel);
            },
            [&](Index c, auto lanes) { return normaliser(c, lanes, statistics, affine); }, activated(activation),
            std::array{y}, x);
      },
      kind);
}

/// x * scale + shift.
template <class V>
struct FoldedNormaliser {
  V scale, shift;

  EIGEN_STRONG_INLINE V operator()(const V& x) const { return multiply_add(x, scale, shift); }
};

/// y = x * scale + shift.
///
/// Shapes   x, y: the same outer x channels x inner; scale, shift: [channels]
template <class Element>
void scale_shift(const Executor& executor, const ChannelView<const Element>& x,
                 const ChannelArray<statistics_t<Element>>& scale, const ChannelArray<statistics_t<Element>>& shift,
                 const ChannelView<Element>& y) {
  if (x.size() == 0) return;
  constexpr identity unchanged;
  as_planes_where_one(
      [&](const auto& from, const auto& to) {
        write_all<FoldedNormaliser>(
            executor, Order::forwards,
            [&](Index c, auto lanes) {
              return FoldedNormaliser<Channels>{channels_of(scale, c, lanes), channels_of(shift, c, lanes)};
            },
            activated(unchanged), std::array{to}, from);
      },
      x, y);
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
