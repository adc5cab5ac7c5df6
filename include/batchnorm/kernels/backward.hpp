/// \file
/// The gradients, in two passes: sums over each channel, then dx. The paper's chain rule, collapsed.
///
/// Inputs are x, dy and, where the activation adds one, the residual; outputs are dx and then that residual's gradient.
/// Where a forward pass is gone through again from its output, x is y: Normalization and Recovery know the difference.
#pragma once

#include <batchnorm/core/options.hpp>
#include <batchnorm/kernels/coefficients.hpp>
#include <batchnorm/walk/passes.hpp>

#include <concepts>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// What a term of the sums needs of its channel.
template <class V>
struct GradientConstants {
  V inverse_unit, shift, scale, offset, dz_shift;

  EIGEN_STRONG_INLINE ScaledNormalizer<V> normalizer() const { return {inverse_unit, shift, scale, offset}; }
};

/// S1 += u, S2 += u v with u = (dz - dz_shift) * dz_scale and v = (x - mean) * inverse_unit, but for rounding: both are
/// of dz's size.
template <class V, class Forward>
struct GradientTerm {
  ScaledNormalizer<V> normalizer;
  V dz_scale, dz_offset;
  const Forward& forward;

  template <class Lanes, class Element>
  EIGEN_STRONG_INLINE void add(const Lanes& lanes, V& s1, V& s2, const Element* x, const Element* dy,
                               const auto*... residual) const {
    const V zero = V::broadcast(0), position = forward.position(lanes.load(x, zero));
    const V dz = forward.dz(normalizer, position, lanes.load(dy, zero), lanes.load(residual, zero)...);
    const V u = lanes.keep(multiply_add(dz, dz_scale, dz_offset)), v = lanes.keep(normalizer.distance(position));
    s1 = s1 + u;
    s2 = multiply_add(u, v, s2);
  }
};

/// Where dz is shifted to be summed, so that a dz which is large beside its spread loses no digits: to the mean of four
/// values if these have one sign, else not at all.
template <class Element, std::size_t N, class Forward>
class GradientShift {
  using Scalar = statistics_t<Element>;
  using V = Packet<Scalar>;
  using Table = ColumnTable<Scalar, GradientConstants>;
  static constexpr Index W = V::size;

 public:
  GradientShift(const Views<const Element, N>& inputs, const Forward& forward) : inputs_(inputs), forward_(forward) {}

  /// The shifts in a table of which column c is channel `first` + c.
  static auto& shifts(Table& table) { return table.row(sizeof(ScaledNormalizer<Scalar>) / sizeof(Scalar)); }

  /// `whole`: a shift costs nothing then; else it is used where dz is nearly constant.
  void complete(Table& table, Index first, Index channels, bool whole) const {
    for (Index c = 0; c < channels; c += W) {
      const auto constants = table.packet(c);
      const Index size = std::min(W, channels - c);
      const V a = dz(constants, 0, first + c, size), b = dz(constants, 1, first + c, size),
              d = dz(constants, 2, first + c, size), e = dz(constants, 3, first + c, size);
      const V least = min(min(a, b), min(d, e)), most = max(max(a, b), max(d, e)), zero = V::broadcast(0);
      const V mean = ((a + b) + (d + e)) * V::broadcast(Scalar(0.25));
      const V of_one_sign = select_less_equal(least, zero, select_less_equal(zero, most, zero, mean), mean);
      const V near = select_less_equal((most - least) * V::broadcast(4), abs(mean), mean, zero);
      shifts(table).store(c, whole ? of_one_sign : near);
    }
  }

 private:
  /// dz at value k of the channels c, c + 1, ..., c + size - 1.
  V dz(const GradientConstants<V>& constants, Index k, Index c, Index size) const {
    const auto& first = inputs_[0];
    const Index o = first.inner == 1 ? std::min(k, first.outer - 1) : 0,
                i = std::min(first.inner / 2 + k, first.inner - 1);
    const auto read = [&](const auto& view) {
      const Element* from = view.plane(o, c) + i;
      if (size == W && view.channel_stride == 1) return V::load(from);
      Scalar lanes[W] = {};
      for (Index lane = 0; lane < size; ++lane) lanes[lane] = static_cast<Scalar>(from[lane * view.channel_stride]);
      return V::load(lanes);
    };
    return std::apply(
        [&](const auto& x, const auto&... others) {
          return forward_.dz(constants.normalizer(), forward_.position(read(x)), read(others)...);
        },
        inputs_);
  }

  const Views<const Element, N>& inputs_;
  const Forward& forward_;
};

/// sum (position - mean) over the values of channel c in some planes, in double: of a sum in Scalar nothing but rounding
/// errors would be left.
template <class Element, class Forward>
EIGEN_DONT_INLINE double sum_of_distances(const PlaneChunk& part, const ChannelView<const Element>& x,
                                          const Forward& forward, Index c, double mean) {
  using Scalar = statistics_t<Element>;
  double sum = 0;
  for (Index o = part.first; o < part.first + part.slices; ++o) {
    for_each_packet<Scalar>(part.begin, part.end, [&](Index i, auto lanes) {
      Scalar values[Packet<Scalar>::size];
      forward.position(lanes.load(x.plane(o, c) + i, Packet<Scalar>::broadcast(0))).store(values);
      const Index size = std::min(Packet<Scalar>::size, part.end - i);
      for (Index k = 0; k < size; ++k) sum += static_cast<double>(values[k]) - mean;
    });
  }
  return sum;
}

/// The sums of a chunk where those in Scalar are not finite, or so small that products have lost digits: taken again
/// with dz of another size.
template <class Scalar, class Reduce>
EIGEN_DONT_INLINE void rescue(const Reduce& sum_chunk, Index channels, ChannelSums& sums) {
  constexpr double largest = 0x1p120, least = 0x1p-80;
  const auto size = [&](Index c) { return std::abs(sums.s1[c]) + std::abs(sums.s2[c]); };
  for (const double scale : {0x1p-64, 0x1p64}) {
    const auto is_in_need = [&](Index c) { return scale < 1 ? !(size(c) <= largest) : size(c) > 0 && size(c) < least; };
    Index c = 0;
    while (c < channels && !is_in_need(c)) ++c;
    if (c == channels) continue;
    const ChannelSums before = sums;
    sum_chunk(static_cast<Scalar>(scale));
    for (c = 0; c < channels; ++c) {
      const bool takes = scale < 1 ? !(std::abs(before.s1[c]) + std::abs(before.s2[c]) <= largest)
                                   : std::abs(before.s1[c]) + std::abs(before.s2[c]) > 0 &&
                                         std::abs(before.s1[c]) + std::abs(before.s2[c]) < least;
      sums.s1[c] = takes ? sums.s1[c] / scale : before.s1[c];
      sums.s2[c] = takes ? sums.s2[c] / scale : before.s2[c];
    }
  }
}

/// The sums of a block, into those of its channels: from Scalar sums of a shifted dz about the rounded mean to double
/// sums of dz about the mean. `whole`: whether the mean is that of all values of x, whose distances then add up to 0.
template <class B, class Element, std::size_t N, class Forward>
void block_gradient_sums(const B& block, const Views<const Element, N>& inputs, const Forward& forward, bool whole,
                         GradientSums& total) {
  using Scalar = statistics_t<Element>;
  using Shift = GradientShift<Element, N, Forward>;
  const Index first = block.first_channel, channels = block.channels;
  ColumnBuffer<double, max_columns> dz_shift;
  const ColumnTable<Scalar, GradientConstants> table(
      block,
      [&](Index c, auto lanes) {
        if constexpr (Forward::needs_z) {
          const ScaledNormalizer<Channels> normalizer = forward.scaled(c, lanes);
          return GradientConstants<Channels>{normalizer.inverse_unit, normalizer.shift, normalizer.scale,
                                             normalizer.offset, all_channels(0)};
        } else {
          const Channels mean = forward.mean(c, lanes),
                         unit = inverse_unit_for<Scalar>(forward.inv_spread(c, lanes), mean), zero = all_channels(0);
          return GradientConstants<Channels>{unit, -(mean * unit), zero, zero, zero};
        }
      },
      [&](auto& constants) {
        Shift(inputs, forward).complete(constants, first, channels, whole);
        const auto& shifts = Shift::shifts(constants);
        for (Index c = 0; c < channels; c += Channels::size) dz_shift.store(c, Channels::load(shifts.values + c));
      });
  ChannelSums sums, so_far;
  so_far.set_zero(channels);
  double values = 0;
  for (Index k = 0; k < block.chunks(); ++k) {
    const auto chunk = block.chunk(k);
    const auto sum_chunk = [&](Scalar dz_scale) {
      block.reduce(
          chunk, table,
          [&]<class V>(const GradientConstants<V>& constants) {
            const V scale = V::broadcast(dz_scale);
            return GradientTerm<V, Forward>{constants.normalizer(), scale, -constants.dz_shift * scale, forward};
          },
          inputs, sums);
    };
    sum_chunk(1);
    values += static_cast<double>(chunk.values());
    if constexpr (std::same_as<Scalar, float>) {
      Channels bad = all_channels(0);
      for_each_overlapping_packet<double>(channels, [&](Index c, auto lanes) {
        const Channels zero = all_channels(0), one = all_channels(1);
        const Channels size = abs(lanes.load(sums.s1.values + c, zero)) + abs(lanes.load(sums.s2.values + c, zero));
        const Channels good = select_less_equal(size, all_channels(0x1p120), one, zero);
        const Channels tiny = select_less_equal(all_channels(0x1p-80), size, zero, size);
        bad = max(bad, one - select_less_equal(tiny, zero, good, zero));
      });
      if (sum(bad) > 0) rescue<Scalar>(sum_chunk, channels, sums);
    }
    for (Index c = 0; c < channels; c += Channels::size) {
      so_far.s1.store(c, so_far.s1.packet(c) + sums.s1.packet(c));
      so_far.s2.store(c, so_far.s2.packet(c) + sums.s2.packet(c));
    }
  }
  for_each_overlapping_packet<double>(channels, [&](Index c, auto lanes) {
    const Channels mean = forward.mean(first + c, lanes),
                   unit = inverse_unit_for<Scalar>(forward.inv_spread(first + c, lanes), mean);
    const Channels s1 = so_far.s1.packet(c), shift = dz_shift.packet(c);
    const Channels s2 = (so_far.s2.packet(c) - residual<Scalar>(mean * unit) * s1) / unit;
    lanes.store(total.dy.data() + first + c, s1 + shift * all_channels(values));
    lanes.store(total.dy_x.data() + first + c, s2);
  });
  for (Index c = 0; !whole && c < channels; ++c) {
    if (dz_shift[c] == 0) continue;
    double mean[Channels::size];
    forward.mean(first + c, PartialPacket<double>{1}).store(mean);
    for (Index k = 0; k < block.chunks(); ++k) {
      total.dy_x[first + c] +=
          dz_shift[c] * sum_of_distances(block.part(block.chunk(k)), inputs[0], forward, first + c, mean[0]);
    }
  }
}

/// The sums that all gradients are made of: sum dz and sum dz (x - mean) for each channel.
///
/// Shapes   inputs: the same outer x channels x inner; those of forward, sums: [channels]; count: values per channel
///          that the mean is of, 0 if it is a constant
template <class Element, std::size_t N, class Forward>
void gradient_sums(const Device& device, const Views<const Element, N>& all_inputs, const Forward& forward,
                   GradientSums& sums) {
  const Index channels = all_inputs[0].channels;
  sums.set_zero(channels);
  if (all_inputs[0].size() == 0) return;
  const bool whole = forward.statistics.count == static_cast<double>(all_inputs[0].count());
  as_planes_where_one(all_inputs, Views<Element, 0>{}, [&](const auto& inputs, const auto&) {
    reduce_all(
        device, inputs, sums, [&] { return GradientSums(channels); },
        [&](const auto& block, GradientSums& part) { block_gradient_sums(block, inputs, forward, whole, part); },
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
  return [&forward]<class V>(const auto& gradient, const V& x, const V& dy, const auto&... residual) {
    const V position = forward.position(x), dz = forward.dz(gradient.forward(), position, dy, residual...);
    return gradients_of_inputs<M>(gradient(position, dz), dz);
  };
}

/// dx through batch statistics.
///
///   dx = gamma * inv_std * (dz - S1 / count - (x - mean) * inv_std^2 * S2 / count)        S1, S2: sums.dy, sums.dy_x
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3, the chain rule with its terms collected.
/// Shapes   inputs, outputs: the same outer x channels x inner; those of forward, sums: [channels]; count: values per
///          channel in the sums
template <class Element, std::size_t N, std::size_t M, class Forward>
void input_gradient(const Device& device, const Views<const Element, N>& inputs, const Forward& forward,
                    const GradientSums& sums, const Views<Element, M>& outputs) {
  write_all<InputGradient>(device, Order::backwards, InputGradientOf<statistics_t<Element>, Forward>{forward, sums},
                           through_statistics<M>(forward), inputs, outputs);
}

/// dx through statistics that are constants.
///
///   dx = dz * gamma * inv_std
///
/// Shapes   inputs, outputs: the same outer x channels x inner; those of forward: [channels]
template <class Element, std::size_t N, std::size_t M, class Forward>
void frozen_input_gradient(const Device& device, const Views<const Element, N>& inputs, const Forward& forward,
                           const Views<Element, M>& outputs) {
  write_all<Normalizer>(
      device, Order::forwards, NormalizerOf<statistics_t<Element>, Forward>{forward},
      [&]<class V>(const auto& constants, const V& x, const V& dy, const auto&... residual) {
        const V dz = forward.dz(constants, forward.position(x), dy, residual...);
        return gradients_of_inputs<M>(constants.gradient(dz), dz);
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
void sums_and_input_gradient(const Device& device, const Views<const Element, N>& inputs, const Forward& forward,
                             GradientSums& sums, const Views<Element, M>& outputs) {
  sums.set_zero(inputs[0].channels);
  if (inputs[0].size() == 0) return;
  const Blocks kind = blocks_for(Pass::reduces, inputs, outputs);
  const bool whole = forward.statistics.count == static_cast<double>(inputs[0].count());
  if (is_one_plane(inputs[0]) || !whole || !hold_whole_channels(kind)) {
    gradient_sums(device, inputs, forward, sums);
    input_gradient(device, inputs, forward, sums, outputs);
    return;
  }
  const auto fused = [&](const auto& blocks) {
    reduce_and_write<InputGradient>(
        device, blocks, [&](const auto& block) { block_gradient_sums(block, inputs, forward, true, sums); },
        InputGradientOf<statistics_t<Element>, Forward>{forward, sums}, through_statistics<M>(forward), inputs,
        outputs);
  };
  std::visit(fused, kind);
}

/// A whole backward pass: the sums, the outputs, then dgamma and dbeta if `gradients` is not null. On running statistics,
/// which are constants, nothing but the parameters needs the sums.
///
/// Shapes   inputs, outputs: the same outer x channels x inner; those of forward, sums, gradients: [channels]; count:
///          values per channel behind batch statistics
template <class Element, std::size_t N, std::size_t M, class Forward>
void backward(const Device& device, const Views<const Element, N>& inputs, const Forward& forward, GradientSums& sums,
              Gradients<statistics_t<Element>>* gradients, const Views<Element, M>& outputs) {
  if (forward.statistics.count > 0) {
    sums_and_input_gradient(device, inputs, forward, sums, outputs);
  } else {
    if (gradients) gradient_sums(device, inputs, forward, sums);
    frozen_input_gradient(device, inputs, forward, outputs);
  }
  if (gradients) parameter_gradients(sums, forward, *gradients);
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
