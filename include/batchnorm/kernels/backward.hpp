/// \file
/// The gradients, in two passes: sums over each channel, then dx. The paper's chain rule, collapsed.
///
/// Inputs are x, dy and, where the activation adds one, the residual; outputs are dx and then that residual's gradient.
/// Where a forward pass is gone through again from its output, x is y: Normalisation and Recovery know the difference.
#pragma once

#include <batchnorm/core/options.hpp>
#include <batchnorm/kernels/coefficients.hpp>
#include <batchnorm/kernels/walk.hpp>

#include <concepts>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// S1 += dz, S2 += dz * (x - centre).
template <class V, class Forward>
struct GradientTerm {
  Normaliser<V> normaliser;
  const Forward& forward;

  template <class Lanes, class Element>
  EIGEN_STRONG_INLINE void add(const Lanes& lanes, V& s1, V& s2, const Element* x, const Element* dy,
                               const auto*... residual) const {
    const V zero = V::broadcast(0), position = forward.position(lanes.load(x, normaliser.centre));
    const V dz = forward.dz(normaliser, position, lanes.load(dy, zero), lanes.load(residual, zero)...);
    s1 = s1 + dz;
    s2 = multiply_add(dz, position - normaliser.centre, s2);
  }
};

/// The sums of a block, into those of its channels: from Scalar sums about the rounded mean to double sums about the
/// mean.
template <class B, class Element, std::size_t N, class Forward>
void block_gradient_sums(const B& block, const Views<const Element, N>& inputs, const Forward& forward,
                         GradientSums& total) {
  using Scalar = statistics_t<Element>;
  const Index first = block.first_channel;
  const ColumnTable<Scalar, Normaliser> table(block, [&](Index c, auto lanes) { return forward.normaliser(c, lanes); });
  ColumnBuffer<double, max_columns> left_over;
  for_each_overlapping_packet<double>(block.channels, [&](Index c, auto lanes) {
    left_over.store(c, residual<Scalar>(forward.normaliser(first + c, lanes).centre));
  });
  ChannelSums sums, so_far;
  so_far.set_zero(block.channels);
  for (Index k = 0; k < block.chunks(); ++k) {
    block.reduce(
        block.chunk(k), table,
        [&]<class V>(const Normaliser<V>& constants) {
          return GradientTerm<V, Forward>{constants, forward};
        },
        inputs, sums);
    for (Index c = 0; c < block.channels; c += Channels::size) {
      const Channels s1 = sums.s1.packet(c), s2 = sums.s2.packet(c) - left_over.packet(c) * s1;
      so_far.s1.store(c, so_far.s1.packet(c) + s1);
      so_far.s2.store(c, so_far.s2.packet(c) + s2);
    }
  }
  std::copy_n(so_far.s1.values, block.channels, total.dy.data() + first);
  std::copy_n(so_far.s2.values, block.channels, total.dy_x.data() + first);
}

/// The sums that all gradients are made of: sum dz and sum dz (x - mean) for each channel.
///
/// Shapes   inputs: the same outer x channels x inner; those of forward, sums: [channels]
template <class Element, std::size_t N, class Forward>
void gradient_sums(const Executor& executor, const Views<const Element, N>& all_inputs, const Forward& forward,
                   GradientSums& sums) {
  const Index channels = all_inputs[0].channels;
  sums.set_zero(channels);
  if (all_inputs[0].size() == 0) return;
  as_planes_where_one(all_inputs, Views<Element, 0>{}, [&](const auto& inputs, const auto&) {
    reduce_all(
        executor, inputs, sums, [&] { return GradientSums(channels); },
        [&](const auto& block, GradientSums& part) { block_gradient_sums(block, inputs, forward, part); },
        [&](const GradientSums& part, Index) { sums.add(part); });
  });
}

/// dx and, where there is a residual, its gradient dz, as the outputs of a pass that writes.
template <std::size_t M, class V>
EIGEN_STRONG_INLINE std::array<V, M> gradients_of_inputs(const V& dx, const V& dz) {
  if constexpr (M == 1) {
    return {dx};
  } else {
    return {dx, dz};
  }
}

/// The function that a backward pass through batch statistics maps over its inputs.
template <std::size_t M, class Forward>
auto through_statistics(const Forward& forward) {
  return [&forward]<class V>(const InputGradient<V>& gradient, const V& x, const V& dy, const auto&... residual) {
    const V position = forward.position(x), dz = forward.dz(gradient.forward(), position, dy, residual...);
    return gradients_of_inputs<M>(gradient(position, dz), dz);
  };
}

/// dx through batch statistics.
///
///   dx = gamma * inv_std * (dz - S1 / count - (x - mean) * inv_std^2 * S2 / count)        S1, S2: sums.dy, sums.dy_x
///
/// Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3, the chain rule with its terms collected.
/// Shapes   inputs, outputs: the same outer x channels x inner; those of forward, sums: [channels]; count: values per
///          channel in the sums
template <class Element, std::size_t N, std::size_t M, class Forward>
void input_gradient(const Executor& executor, const Views<const Element, N>& inputs, const Forward& forward,
                    const GradientSums& sums, Index count, const Views<Element, M>& outputs) {
  write_all<InputGradient>(
      executor, Order::backwards,
      [&](Index c, auto lanes) { return input_gradient<statistics_t<Element>>(c, lanes, forward, sums, count); },
      through_statistics<M>(forward), inputs, outputs);
}

/// dx through statistics that are constants.
///
///   dx = dz * gamma * inv_std
///
/// Shapes   inputs, outputs: the same outer x channels x inner; those of forward: [channels]
template <class Element, std::size_t N, std::size_t M, class Forward>
void frozen_input_gradient(const Executor& executor, const Views<const Element, N>& inputs, const Forward& forward,
                           const Views<Element, M>& outputs) {
  write_all<Normaliser>(
      executor, Order::forwards, [&](Index c, auto lanes) { return forward.normaliser(c, lanes); },
      [&]<class V>(const Normaliser<V>& constants, const V& x, const V& dy, const auto&... residual) {
        const V dz = forward.dz(constants, forward.position(x), dy, residual...);
        return gradients_of_inputs<M>(dz * constants.scale, dz);
      },
      inputs, outputs);
}

/// Adds to dgamma and dbeta, of which either may be empty.
///
///   dgamma += sums.dy_x * inv_spread        dbeta += sums.dy
template <class Scalar, class Forward>
void parameter_gradients(const GradientSums& sums, const Forward& forward, Gradients<Scalar>& gradients) {
  const auto add = [](ChannelArray<Scalar>& total, const auto& gradient) {
    for_each_packet<double>(0, total.size(), [&](Index c, auto lanes) {
      lanes.store(total.data() + c, channels_of(total, c, lanes) + gradient(c, lanes));
    });
  };
  add(gradients.gamma,
      [&](Index c, auto lanes) { return channels_of(sums.dy_x, c, lanes) * forward.inv_spread(c, lanes); });
  add(gradients.beta, [&](Index c, auto lanes) { return channels_of(sums.dy, c, lanes); });
}

/// gradient_sums and input_gradient with the same bits, but outputs of blocks that hold all values of their channels
/// are written while they are still in cache.
template <class Element, std::size_t N, std::size_t M, class Forward>
void sums_and_input_gradient(const Executor& executor, const Views<const Element, N>& inputs, const Forward& forward,
                             GradientSums& sums, Index count, const Views<Element, M>& outputs) {
  sums.set_zero(inputs[0].channels);
  if (inputs[0].size() == 0) return;
  const Blocks kind = blocks_for(Pass::reduces, inputs, outputs);
  if (is_one_plane(inputs[0]) || !hold_whole_channels(kind)) {
    gradient_sums(executor, inputs, forward, sums);
    input_gradient(executor, inputs, forward, sums, count, outputs);
    return;
  }
  const auto fused = [&](const auto& blocks) {
    reduce_and_write<InputGradient>(
        executor, blocks, [&](const auto& block) { block_gradient_sums(block, inputs, forward, sums); },
        [&](Index c, auto lanes) { return input_gradient<statistics_t<Element>>(c, lanes, forward, sums, count); },
        through_statistics<M>(forward), inputs, outputs);
  };
  std::visit(fused, kind);
}

/// A whole backward pass: the sums, the outputs, then dgamma and dbeta if `gradients` is not null. On running statistics,
/// which are constants, nothing but the parameters needs the sums.
///
/// Shapes   inputs, outputs: the same outer x channels x inner; those of forward, sums, gradients: [channels]; count:
///          values per channel behind batch statistics
template <class Element, std::size_t N, std::size_t M, class Forward>
void backward(const Executor& executor, const Views<const Element, N>& inputs, const Forward& forward,
              StatisticsSource source, Index count, GradientSums& sums, Gradients<statistics_t<Element>>* gradients,
              const Views<Element, M>& outputs) {
  if (source == StatisticsSource::batch) {
    sums_and_input_gradient(executor, inputs, forward, sums, count, outputs);
  } else {
    if (gradients) gradient_sums(executor, inputs, forward, sums);
    frozen_input_gradient(executor, inputs, forward, outputs);
  }
  if (gradients) parameter_gradients(sums, forward, *gradients);
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
