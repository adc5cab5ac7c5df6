/// \file
/// y = activation((x - mean) * gamma * inv_std + beta): the pass that writes a forward result, and the folded form of
/// it.
#pragma once

#include <batchnorm/kernels/coefficients.hpp>
#include <batchnorm/kernels/moments.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// The function that forward passes map over x, and over the residual if the activation takes one.
template <class Activation>
auto activated(const Activation& activation) {
  return [&activation](const auto& constants, const auto& x, const auto&... residual) {
    return std::array{activation.forward(constants(x), residual...)};
  };
}

/// Normalizes with given statistics.
///
///   y = activation((x - mean) * gamma * inv_std + beta)
///
/// Shapes   inputs: x or x and the residual; y: the same outer x channels x inner; those of forward: [channels]
template <class Element, std::size_t N, class Forward>
void normalize(const Device& device, const Views<const Element, N>& inputs, const Forward& forward,
               const ChannelView<Element>& y, Order order = Order::forwards) {
  write_all<Normalizer>(device, order, NormalizerOf{forward}, activated(forward.activation), inputs,
                        Views<Element, 1>{y});
}

/// Normalizes a batch with its own statistics: batch_moments and normalize with the same bits, but blocks that hold
/// all values of their channels are normalized while they are still in cache. *statistics, if asked
/// for, become what it normalized with.
///
/// Shapes   inputs: x or x and the residual; y: the same outer x channels x inner, of a weight above 0; weights: outer
///          x inner; affine, moments, *statistics: [channels]
template <class Element, std::size_t N, class Activation, class Weights = Unweighted>
void train_forward(const Device& device, const Views<const Element, N>& inputs,
                   const AffineView<statistics_t<Element>>& affine, double epsilon, const Activation& activation,
                   const ChannelView<Element>& y, Moments& moments, const Weights& weights = {},
                   Statistics* statistics = nullptr) {
  using Scalar = statistics_t<Element>;
  const auto& x = inputs[0];
  const StatisticsView of_moments{moments, weights.total(x), epsilon};
  if (statistics) resize(*statistics, x.channels, of_moments.count);
  const Normalization<Scalar, Activation> forward{statistics ? *statistics : of_moments, affine, activation};
  const Blocks blocks = blocks_for(Pass::reduces, inputs, Views<Element, 1>{y}, Weights::is_weighted);
  if (is_one_plane(x) || !blocks.may_be_fused()) {
    batch_moments(device, x, moments, weights);
    if (statistics) assign_channels(*statistics, of_moments, 0, x.channels);
    normalize(device, inputs, forward, y, Order::backwards);
    return;
  }
  resize(moments, x, weights);
  reduce_and_write<Normalizer>(
      device, blocks,
      [&](const Block& block) {
        block_moments(block, x, weights, moments);
        if (statistics) assign_channels(*statistics, of_moments, block.first_channel, block.channels);
      },
      NormalizerOf{forward}, activated(activation), inputs, Views<Element, 1>{y});
}

/// x * scale + shift.
template <class V>
struct FoldedNormalizer {
  V scale, shift;

  EIGEN_STRONG_INLINE V operator()(const V& x) const { return multiply_add(x, scale, shift); }
};

/// y = x * scale + shift.
///
/// Shapes   x, y: the same outer x channels x inner; scale, shift: [channels]
template <class Element>
void scale_shift(const Device& device, const ChannelView<const Element>& x,
                 const ChannelArray<statistics_t<Element>>& scale, const ChannelArray<statistics_t<Element>>& shift,
                 const ChannelView<Element>& y) {
  constexpr activations::identity unchanged;
  const auto constants = [&](Index c, auto lanes) {
    return FoldedNormalizer<Channels>{channels_of(scale, c, lanes), channels_of(shift, c, lanes)};
  };
  write_all<FoldedNormalizer>(device, Order::forwards, constants, activated(unchanged), Views<const Element, 1>{x},
                              Views<Element, 1>{y});
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
