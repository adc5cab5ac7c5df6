/// \file
/// The gradients, in two passes: sums over each channel, then dx. The paper's chain rule, collapsed.
///
/// Inputs are x, dy and, where the activation adds one, the residual; outputs are dx and then that residual's gradient.
/// Where a forward pass is gone through again from its output, x is y: Normalization and Recovery know the difference.
#pragma once

#include <batchnorm/core/reducer.hpp>
#include <batchnorm/kernels/coefficients.hpp>
#include <batchnorm/kernels/normalize.hpp>
#include <batchnorm/walk/passes.hpp>

#include <algorithm>
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

/// S1 += u, S2 += u v with u = (dz - w dz_shift) * dz_scale and v = (x - mean) * inverse_unit, but for rounding: both
/// are of dz's size. The weight w is 1 unless the lanes have others.
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
    const V u = lanes.keep(multiply_add(dz, dz_scale, lanes.weigh(dz_offset))),
            v = lanes.keep(normalizer.distance(position));
    s1 = s1 + u;
    s2 = multiply_add(u, v, s2);
  }
};

/// Makes terms from constants, with dz times a scale. Always inline: a term that a call returns stays in memory.
template <class Scalar, class Weights, class Forward>
struct GradientTerms {
  Scalar dz_scale;
  const Weights& weights;
  const Forward& forward;

  template <class V>
  EIGEN_ALWAYS_INLINE auto operator()(const GradientConstants<V>& constants) const {
    const V scale = V::broadcast(dz_scale);
    return weighted_term(GradientTerm<V, Forward>{constants.normalizer(), scale, -constants.dz_shift * scale, forward},
                         weights);
  }
};

/// Where dz is shifted to be summed, so that a dz which is large beside its spread loses no digits: to the smallest of
/// four values if these have one sign, else not at all. The smallest, so that an outlier among them costs the others
/// nothing. Weighted values by their share of it, as w (x - mean) is what adds up to 0.
template <class Element, std::size_t N, class Weights, class Forward>
class GradientShift {
  using Scalar = statistics_t<Element>;
  using V = Packet<Scalar>;
  using Table = ColumnTable<Scalar, GradientConstants>;
  static constexpr Index W = V::size;

 public:
  /// From the first values of all, so that every block has the same shift: over all of them x - mean adds up to 0.
  GradientShift(const Views<const Element, N>& inputs, const Weights& weights, const Forward& forward)
      : sample_({0, inputs[0].outer, 0, inputs[0].inner}, inputs[0].inner, weights),
        inputs_(inputs),
        forward_(forward),
        per_weight_(Scalar(weights.largest()) > tiny_weight ? Scalar(1) / Scalar(weights.largest()) : Scalar(0)) {}

  /// The shifts in a table of which column c is channel `first` + c.
  static auto& shifts(Table& table) { return table.row(sizeof(ScaledNormalizer<Scalar>) / sizeof(Scalar)); }

  /// `whole`: a shift costs nothing then; else it is used where dz is nearly constant.
  void complete(Table& table, Index first, Index channels, bool whole) const {
    for (Index next = 0; next < channels; next += W) {
      const Index c = begin_of_packet<Scalar>(next, channels), size = std::min(W, channels);
      const auto constants = table.packet(c);
      const auto [a, b, d, e] = dz(constants, first + c, size);
      const V least = min(min(a, b), min(d, e)), most = max(max(a, b), max(d, e)), zero = V::broadcast(0);
      const V of_one_sign = max(least, zero) + min(most, zero);
      const V near = select_less_equal((most - least) * V::broadcast(4), abs(of_one_sign), of_one_sign, zero);
      shifts(table).store(c, (whole ? of_one_sign : near) * V::broadcast(per_weight_));
    }
  }

 private:
  /// dz at the values of the sample of the channels c, c + 1, ..., c + size - 1.
  std::array<V, 4> dz(const GradientConstants<V>& constants, Index c, Index size) const {
    const auto values = each(inputs_, [&](const auto& view) { return sample_.packets(view, c, size); });
    const auto at = [&](std::size_t k) {
      return unpack(values, [&](const auto& x, const auto&... others) {
        return forward_.dz(constants.normalizer(), forward_.position(x[k]), others[k]...);
      });
    };
    return {at(0), at(1), at(2), at(3)};
  }

  Sample<4> sample_;
  const Views<const Element, N>& inputs_;
  const Forward& forward_;
  /// 0 where a share would be no number.
  Scalar per_weight_;
  static constexpr Scalar tiny_weight = Scalar(0x1p-60);
};

/// sum w (position - mean) over the values of channel c in some planes, in double: of a sum in Scalar nothing but
/// rounding errors would be left.
template <class Element, class Weights, class Forward>
EIGEN_DONT_INLINE double sum_of_distances(const PlaneChunk& part, const ChannelView<const Element>& x,
                                          const Weights& weights, const Forward& forward, Index c, double mean) {
  using Scalar = statistics_t<Element>;
  // Of packets, of some packets, of all: so none of them adds up the roundings of thousands of additions.
  constexpr Index some = 64;
  double sum = 0, sum_of_some = 0;
  Index packets = 0;
  for (Index o = part.first; o < part.first + part.slices; ++o) {
    for_each_packet<Scalar>(part.begin, part.end, [&](Index i, auto lanes) {
      Scalar values[Packet<Scalar>::size];
      forward.position(lanes.load(x.plane(o, c) + i, Packet<Scalar>::broadcast(0))).store(values);
      const Index size = std::min(Packet<Scalar>::size, part.end - i);
      double sum_of_packet = 0;
      for (Index k = 0; k < size; ++k) {
        const double weight = weights.of(o, i + k);
        if (weight > 0) sum_of_packet += weight * (static_cast<double>(values[k]) - mean);
      }
      sum_of_some += sum_of_packet;
      if (++packets % some == 0) sum += std::exchange(sum_of_some, 0);
    });
  }
  return sum + sum_of_some;
}

/// The gradient sums of the channels of a block, chunk by chunk, whatever the kind of block: from Scalar sums of a
/// shifted dz about the rounded mean to double sums of dz about the mean.
template <class Element, std::size_t N, class Weights, class Forward>
class BlockGradients {
  using Scalar = statistics_t<Element>;
  using Shift = GradientShift<Element, N, Weights, Forward>;
  using Table = ColumnTable<Scalar, GradientConstants>;

 public:
  /// `whole`: whether the mean is that of all values of x, whose distances then add up to 0.
  BlockGradients(const ColumnShape& block, const Views<const Element, N>& inputs, const Weights& weights,
                 const Forward& forward, bool whole)
      : block_(block), forward_(forward) {
    constants_.compute(block, Make{forward});
    Shift(inputs, weights, forward).complete(constants_, block.first_channel, block.channels, whole);
    const auto &inverse_units = constants_.row(0), &shifts = Shift::shifts(constants_);
    for (Index c = 0; c < block.channels; c += Channels::size) {
      inverse_unit_.store(c, Channels::load(inverse_units.values + c));
      dz_shift_.store(c, Channels::load(shifts.values + c));
    }
    constants_.spread(block);
    so_far_.set_zero(block.channels);
  }

  /// What chunks are summed with.
  const Table& constants() const { return constants_; }

  /// Takes the sums of a chunk of values of weight n, made with dz times a scale. Returns with which scale they are to
  /// be made again, 0 if they are good.
  Scalar take(const ChannelSums& sums, double n, Scalar scale) {
    if (scale != 1) return rescue(sums, n, scale);
    if (is_any_in_need(sums)) {
      rescued_ = sums;
      return rescue(sums, n, scale);
    }
    add(sums, n);
    return 0;
  }

  /// Into those of all channels.
  EIGEN_DONT_INLINE void store(GradientSums& total) const {
    const Index first = block_.first_channel;
    for_each_overlapping_packet<double>(block_.channels, [&](Index c, auto lanes) {
      const Channels unit = inverse_unit_.packet(c), s1 = so_far_.s1.packet(c), shift = dz_shift_.packet(c);
      const Channels mean_in_unit = forward_.mean(first + c, lanes) * unit;
      const Channels s2 = (so_far_.s2.packet(c) - residual<Scalar>(mean_in_unit) * s1) / unit;
      lanes.store(total.dy.data() + first + c, s1 + shift * all_channels(count_));
      lanes.store(total.dy_x.data() + first + c, s2);
    });
  }

  /// Where distances from the mean do not add up to 0: what the shift of dz has left out.
  EIGEN_DONT_INLINE void add_distances(const Block& block, const ChannelView<const Element>& x, const Weights& weights,
                                       GradientSums& total) const {
    const Index first = block_.first_channel;
    for (Index c = 0; c < block_.channels; ++c) {
      if (dz_shift_[c] == 0) continue;
      double mean[Channels::size];
      forward_.mean(first + c, PartialPacket<double>{1}).store(mean);
      for (Index k = 0; k < block.chunks(); ++k) {
        total.dy_x[first + c] +=
            dz_shift_[c] * sum_of_distances(block.part(k), x, weights, forward_, first + c, mean[0]);
      }
    }
  }

 private:
  struct Make {
    const Forward& forward;

    GradientConstants<Channels> operator()(Index c, auto lanes) const {
      const Channels zero = all_channels(0);
      if constexpr (Forward::needs_z) {
        const ScaledNormalizer<Channels> normalizer = forward.scaled(c, lanes);
        return {normalizer.inverse_unit, normalizer.shift, normalizer.scale, normalizer.offset, zero};
      } else {
        const Channels mean = forward.mean(c, lanes),
                       unit = inverse_unit_for<Scalar>(forward.inv_spread(c, lanes), mean);
        return {unit, -(mean * unit), zero, zero, zero};
      }
    }
  };

  /// Sums beyond these are not finite, or so small that products may have lost digits.
  static constexpr double largest = 0x1p120, least = 0x1p-80;
  /// With these scales they are made again.
  static constexpr Scalar smaller = Scalar(0x1p-64), larger = Scalar(0x1p64);

  static bool is_in_need(const ChannelSums& sums, Index c, Scalar scale) {
    const double size = std::abs(sums.s1[c]) + std::abs(sums.s2[c]);
    return scale == smaller ? !(size <= largest) : size > 0 && size < least;
  }

  bool is_any_in_need(const ChannelSums& sums) const {
    if constexpr (std::same_as<Scalar, double>) return false;
    const Channels zero = all_channels(0), one = all_channels(1);
    Channels bad = zero;
    for_each_overlapping_packet<double>(block_.channels, [&](Index c, auto lanes) {
      const Channels size = abs(lanes.load(sums.s1.values + c, zero)) + abs(lanes.load(sums.s2.values + c, zero));
      const Channels good = select_less_equal(size, all_channels(largest), one, zero);
      const Channels tiny = select_less_equal(all_channels(least), size, zero, size);
      bad = bad + (one - select_less_equal(tiny, zero, good, zero));
    });
    return sum(bad) > 0;
  }

  /// Takes for the channels that are in need of this scale what was made with it; then the next scale's turn.
  EIGEN_DONT_INLINE Scalar rescue(const ChannelSums& sums, double n, Scalar scale) {
    for (Index c = 0; scale != 1 && c < block_.channels; ++c) {
      if (!is_in_need(rescued_, c, scale)) continue;
      rescued_.s1[c] = sums.s1[c] / static_cast<double>(scale);
      rescued_.s2[c] = sums.s2[c] / static_cast<double>(scale);
    }
    for (Scalar next = scale == 1 ? smaller : larger; next != scale; next = next == smaller ? larger : scale) {
      for (Index c = 0; c < block_.channels; ++c) {
        if (is_in_need(rescued_, c, next)) return next;
      }
    }
    add(rescued_, n);
    return 0;
  }

  void add(const ChannelSums& sums, double n) {
    for (Index c = 0; c < block_.channels; c += Channels::size) {
      so_far_.s1.store(c, so_far_.s1.packet(c) + sums.s1.packet(c));
      so_far_.s2.store(c, so_far_.s2.packet(c) + sums.s2.packet(c));
    }
    count_ += n;
  }

  ColumnShape block_;
  const Forward& forward_;
  ColumnBuffer<double, max_columns> inverse_unit_, dz_shift_;
  Table constants_;
  ChannelSums so_far_, rescued_;
  double count_ = 0;
};

/// The gradient sums of a block, into those of its channels.
template <class Element, std::size_t N, class Weights, class Forward>
void block_gradient_sums(const Block& block, const Views<const Element, N>& inputs, const Weights& weights,
                         const Forward& forward, bool whole, GradientSums& total) {
  using Scalar = statistics_t<Element>;
  BlockGradients<Element, N, Weights, Forward> result(block, inputs, weights, forward, whole);
  ChannelSums sums;
  for (Index k = 0; k < block.chunks(); ++k) {
    const PlaneChunk part = block.part(k);
    const double n = weights.total(part);
    if (weights.present(part) == 0) continue;
    Scalar dz_scale = 1;
    do {
      block.reduce(k, result.constants(), GradientTerms<Scalar, Weights, Forward>{dz_scale, weights, forward}, inputs,
                   sums);
      dz_scale = result.take(sums, n, dz_scale);
    } while (dz_scale != 0);
  }
  result.store(total);
  if (!whole) result.add_distances(block, inputs[0], weights, total);
}

/// Whether a forward pass is through the statistics of all of x, and not of a batch that x is a part of.
template <class Element, class Weights, class Forward>
bool is_whole_batch(const ChannelView<Element>& x, const Weights& weights, const Forward& forward) {
  return forward.statistics.count == weights.total(x);
}

/// The sums that all gradients are made of: sum dz and sum dz (x - mean) for each channel. What has no weight has no
/// part in them; weights that differ do not matter.
///
/// Shapes   inputs: the same outer x channels x inner; weights: outer x inner; those of forward, sums: [channels];
///          forward.statistics.count: values per channel that the mean is of, 0 if it is a constant
template <class Element, std::size_t N, class Forward, class Weights = Unweighted>
void gradient_sums(const Device& device, const Views<const Element, N>& all_inputs, const Forward& forward,
                   GradientSums& sums, const Weights& weights = {}) {
  const Index channels = all_inputs[0].channels;
  sums.set_zero(channels);
  if (channels == 0 || !(weights.total(all_inputs[0]) > 0)) return;
  const bool whole = is_whole_batch(all_inputs[0], weights, forward);
  const Views<const Element, N> inputs = as_planes_where_one(all_inputs, Views<Element, 0>{}).first;
  reduce_all(
      device, inputs, weights, sums, [&] { return GradientSums(channels); },
      [&](const Block& block, GradientSums& part) {
        block_gradient_sums(block, inputs, weights, forward, whole, part);
      },
      [&](const GradientSums& part, double) { sums.add(part); });
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
  return
      [&forward]<class V>(const auto& weight, const auto& gradient, const V& x, const V& dy, const auto&... residual) {
        const V position = forward.position(x), dz = forward.dz(gradient.forward(), position, dy, residual...);
        return gradients_of_inputs<M>(weight.keep(gradient(position, dz, weight)), weight.keep(dz));
      };
}

/// pass(make, function, inputs) with what writes dx through statistics that are constants, from the inputs that it
/// takes.
template <std::size_t M, class Element, std::size_t N, class Forward, class Weights, class Pass>
void through_constants(const Views<const Element, N>& inputs, const Forward& forward, const Weights& weights,
                       const Pass& pass) {
  using Scalar = statistics_t<Element>;
  if constexpr (Forward::dz_is_dy && !Weights::is_weighted) {
    // The linear part of what normalizes; x is not read.
    const Linear<Scalar> linear{forward.statistics.without_mean(), forward.affine.without_shift(), {}};
    pass(NormalizerOf{linear}, activated(linear.activation), Views<const Element, 1>{inputs[1]});
  } else {
    const auto gradients = [&forward]<class V>(const auto& weight, const auto& constants, const V& x, const V& dy,
                                               const auto&... residual) {
      const V dz = forward.dz(constants, forward.position(x), dy, residual...);
      return gradients_of_inputs<M>(weight.keep(constants.gradient(dz)), weight.keep(dz));
    };
    pass(NormalizerOf{forward}, weighted_function(gradients, weights), inputs);
  }
}

/// dx through statistics that are constants.
///
///   dx = dz * gamma * inv_std, 0 where x has no weight
///
/// Shapes   inputs, outputs: the same outer x channels x inner; weights: outer x inner; those of forward: [channels]
template <class Element, std::size_t N, std::size_t M, class Forward, class Weights = Unweighted>
void frozen_input_gradient(const Device& device, const Views<const Element, N>& inputs, const Forward& forward,
                           const Views<Element, M>& outputs, const Weights& weights = {}) {
  through_constants<M>(inputs, forward, weights, [&](const auto& make, const auto& function, const auto& read) {
    write_all<Normalizer>(device, Order::forwards, make, function, read, outputs);
  });
}

/// dx through batch statistics, or through constants if the count of values behind them is 0.
///
///   dx = gamma * inv_std * (dz - w (S1 + (x - mean) * inv_std^2 * S2) / count)        S1, S2: sums.dy, sums.dy_x
///
/// where w is the weight of x, and dx = 0 where that is 0. Through constants the sums are not looked at.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3, the chain rule with its terms collected.
/// Shapes   inputs, outputs: the same outer x channels x inner; weights: outer x inner; those of forward, sums:
///          [channels]; forward.statistics.count: values per channel in the sums
template <class Element, std::size_t N, std::size_t M, class Forward, class Weights = Unweighted>
void input_gradient(const Device& device, const Views<const Element, N>& inputs, const Forward& forward,
                    const GradientSums& sums, const Views<Element, M>& outputs, const Weights& weights = {}) {
  if (forward.statistics.count == 0) return frozen_input_gradient(device, inputs, forward, outputs, weights);
  write_all<InputGradient>(device, Order::backwards, InputGradientOf<statistics_t<Element>, Forward>{forward, sums},
                           weighted_function(through_statistics<M>(forward), weights), inputs, outputs);
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
template <class Element, std::size_t N, std::size_t M, class Forward, class Weights = Unweighted>
void sums_and_input_gradient(const Device& device, const Views<const Element, N>& inputs, const Forward& forward,
                             GradientSums& sums, const Views<Element, M>& outputs, const Weights& weights = {}) {
  sums.set_zero(inputs[0].channels);
  if (inputs[0].size() == 0) return;
  const Blocks blocks = blocks_for(Pass::reduces, inputs, outputs, Weights::is_weighted);
  const bool is_whole = is_whole_batch(inputs[0], weights, forward), is_constant = forward.statistics.count == 0;
  const bool has_sums = is_constant ? weights.total(inputs[0]) > 0 : is_whole;
  if (is_one_plane(inputs[0]) || !has_sums || !blocks.may_be_fused()) {
    gradient_sums(device, inputs, forward, sums, weights);
    input_gradient(device, inputs, forward, sums, outputs, weights);
    return;
  }
  const auto reduce = [&](const Block& block) { block_gradient_sums(block, inputs, weights, forward, is_whole, sums); };
  if (is_constant) {
    through_constants<M>(inputs, forward, weights, [&](const auto& make, const auto& function, const auto& read) {
      reduce_and_write<Normalizer>(device, blocks, reduce, make, function, read, outputs);
    });
  } else {
    reduce_and_write<InputGradient>(device, blocks, reduce,
                                    InputGradientOf<statistics_t<Element>, Forward>{forward, sums},
                                    weighted_function(through_statistics<M>(forward), weights), inputs, outputs);
  }
}

/// A whole backward pass: the sums, which are merged with those of other ranks where these meet, the outputs, then
/// dgamma and dbeta if `gradients` is not null. On running statistics, which are constants, nothing but the parameters
/// needs the sums.
///
/// Shapes   inputs, outputs: the same outer x channels x inner; weights: outer x inner; those of forward, sums,
///          gradients: [channels]; forward.statistics.count: values per channel behind batch statistics
template <class Element, std::size_t N, std::size_t M, class Forward, class Weights = Unweighted>
void backward(const Device& device, const Views<const Element, N>& inputs, const Forward& forward, GradientSums& sums,
              Gradients<statistics_t<Element>>* gradients, const Views<Element, M>& outputs,
              const Weights& weights = {}, Meeting* ranks = nullptr) {
  const double count = forward.statistics.count;
  if (ranks && *ranks) {
    gradient_sums(device, inputs, forward, sums, weights);
    ranks->merge(sums, count);
    input_gradient(device, inputs, forward, sums, outputs, weights);
  } else if (count > 0 || gradients) {
    sums_and_input_gradient(device, inputs, forward, sums, outputs, weights);
  } else {
    frozen_input_gradient(device, inputs, forward, outputs, weights);
  }
  if (gradients) parameter_gradients(sums, forward, *gradients);
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
