/// \file
/// The constants of a channel: computed in double from statistics and parameters, rounded once, and hoisted out of all
/// loops.
#pragma once

#include <batchnorm/core/activation.hpp>
#include <batchnorm/core/gradient_sums.hpp>
#include <batchnorm/core/parameters.hpp>
#include <batchnorm/core/saved.hpp>
#include <batchnorm/core/statistics.hpp>
#include <batchnorm/walk/columns.hpp>

#include <limits>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// Makes room for the statistics of so many channels.
EIGEN_DONT_INLINE inline void resize(Statistics& statistics, Index channels, double count) {
  statistics.mean.resize(channels);
  statistics.inv_std.resize(channels);
  statistics.count = count;
}

/// Copies the statistics of the channels [first, first + channels), with the bits that a pass on the view computes
/// with.
EIGEN_DONT_INLINE inline void assign_channels(Statistics& statistics, const StatisticsView& from, Index first,
                                              Index channels) {
  for_each_overlapping_packet<double>(channels, [&](Index k, auto lanes) {
    const Index c = first + k;
    lanes.store(statistics.mean.data() + c, from.mean(c, lanes));
    lanes.store(statistics.inv_std.data() + c, from.inv_std(c, lanes));
  });
}

/// The same of all channels.
inline void assign(Statistics& statistics, const StatisticsView& from, Index channels) {
  resize(statistics, channels, from.count);
  assign_channels(statistics, from, 0, channels);
}

/// gamma and beta as doubles, 1 and 0 where a layer has none.
template <class Scalar>
struct AffineView {
  const ChannelArray<Scalar>& gammas;
  /// Null: a layer without, too.
  const ChannelArray<Scalar>* betas;

  AffineView(const AffineParameters<Scalar>& affine) : gammas(affine.gamma), betas(&affine.beta) {}
  AffineView(const Saved<Scalar>& saved) : gammas(saved.gamma), betas(&saved.beta) {}

  /// The same gammas with betas of 0.
  AffineView without_shift() const {
    AffineView result = *this;
    result.betas = nullptr;
    return result;
  }

  Channels gamma(Index c, auto lanes) const {
    return gammas.size() == 0 ? all_channels(1) : channels_of(gammas, c, lanes);
  }
  Channels beta(Index c, auto lanes) const {
    return !betas || betas->size() == 0 ? all_channels(0) : channels_of(*betas, c, lanes);
  }
};

/// mean - round(mean): what the value that the kernels subtract leaves over. Without it backward loses digits where
/// |mean| >> std. The statement without an instruction hides from g++ 12 that the same numbers come back: from -O2 on
/// it drops the conversions of a vector from double to float and back as if nothing were rounded.
template <class Scalar>
EIGEN_STRONG_INLINE Channels residual(const Channels& mean) {
  Scalar rounded[Channels::size];
  mean.store(rounded);
#if defined(__GNUC__)
  asm("" : "+m"(rounded));
#endif
  return mean - Channels::load(rounded);
}

/// z = (x - center) * scale + offset, for one channel or a packet of them.
///
///   center = round(mean)        scale = gamma * inv_std        offset = beta - (mean - center) * scale
///
/// The mean is never folded into the offset: x * scale + (beta - mean * scale) loses log2(|mean| / std) bits.
template <class V>
struct Normalizer {
  V center, scale, offset;

  EIGEN_STRONG_INLINE V operator()(const V& x) const { return multiply_add(x - center, scale, offset); }
  /// dx through statistics that are constants.
  EIGEN_STRONG_INLINE V gradient(const V& dz) const { return dz * scale; }
};

/// The same in a unit of the data's own, 1 / inverse_unit, which is a power of two near the standard deviation: the
/// same bits where the Normalizer's numbers neither over- nor underflow, and no such limit.
///
///   d = x * inverse_unit + shift        z = d * scale + offset
///   shift = -round(mean * inverse_unit)        scale = gamma * inv_std / inverse_unit
template <class V>
struct ScaledNormalizer {
  V inverse_unit, shift, scale, offset;

  EIGEN_STRONG_INLINE V distance(const V& x) const { return multiply_add(x, inverse_unit, shift); }
  EIGEN_STRONG_INLINE V operator()(const V& x) const { return multiply_add(distance(x), scale, offset); }
};

/// ScaledNormalizer and gamma * inv_std, which turns dz into dx, in two factors of like size: so what is between lies
/// between dz and dx.
template <class V>
struct ScaledForward {
  ScaledNormalizer<V> normalizer;
  V dx_unit, dx_scale;

  EIGEN_STRONG_INLINE V operator()(const V& x) const { return normalizer(x); }
  EIGEN_STRONG_INLINE V gradient(const V& dz) const { return dz * dx_unit * dx_scale; }
};

/// dx = (dz - w dz_center) * scale + w ((x - center) * slope + offset): the gradient through batch statistics, where
/// with S1 = sum dz and S2 = sum dz (x - mean) over the values of the channel, of which x counts w, and all of them
/// `count`
///
///   slope = -scale * inv_spread^2 * S2 / count        dz_center = round(S1 / count)
///   offset = -scale * (S1 / count - dz_center) - slope * (mean - center)
///
/// center, scale and forward_offset are the Normalizer's. dz is centered as x is: where it is large beside its spread,
/// dx is what is left of it.
template <class V>
struct InputGradient {
  V center, scale, forward_offset, slope, offset, dz_center;

  EIGEN_STRONG_INLINE Normalizer<V> forward() const { return {center, scale, forward_offset}; }
  EIGEN_STRONG_INLINE V operator()(const V& x, const V& dz, const auto& weight) const {
    return multiply_add(dz - weight.times(dz_center), scale, weight.times(multiply_add(x - center, slope, offset)));
  }
};

/// The same in a unit of the data's own:
///
///   dx = ((dz - w dz_center) + w (d * slope + offset)) * dx_unit * dx_scale
template <class V>
struct ScaledInputGradient {
  ScaledForward<V> scaled;
  V slope, offset, dz_center;

  EIGEN_STRONG_INLINE const ScaledNormalizer<V>& forward() const { return scaled.normalizer; }
  EIGEN_STRONG_INLINE V operator()(const V& x, const V& dz, const auto& weight) const {
    const V in_unit = multiply_add(forward().distance(x), slope, offset);
    return scaled.gradient((dz - weight.times(dz_center)) + weight.times(in_unit));
  }
};

/// Whether 1 / std lies in bounds within which Scalar has room for what is made of it. Where it does not, the constants
/// are marked by an infinite one: such a channel is an extreme, see ColumnTable.
template <class Scalar>
Channels mark_extreme(const Channels& constant, const Channels& inv_std, double bound) {
  if constexpr (std::same_as<Scalar, float>) {
    const Channels infinite = all_channels(std::numeric_limits<double>::infinity());
    const Channels marked = select_less_equal(inv_std, all_channels(1 / bound), infinite, constant);
    return select_less_equal(all_channels(bound), inv_std, infinite, marked);
  } else {
    return constant;
  }
}
/// The same of a channel whose factor of what is centered is a denormal Scalar and not 0, while 1 / inv_spread is so
/// large that the product needs the digits it has lost.
template <class Scalar>
Channels mark_extreme_factor(const Channels& constant, const Channels& factor, const Channels& inv_spread) {
  if constexpr (std::same_as<Scalar, float>) {
    const Channels infinite = all_channels(std::numeric_limits<double>::infinity());
    const Channels size = abs(factor), marked = select_less_equal(size, all_channels(0), constant, infinite);
    const Channels of_large = select_less_equal(abs(inv_spread), all_channels(0x1p-8), marked, constant);
    return select_less_equal(size, all_channels(0x1p-126), of_large, constant);
  } else {
    return constant;
  }
}
/// A Normalizer multiplies by 1 / std, an InputGradient by its square.
inline constexpr double forward_bound = 0x1p100, gradient_bound = 0x1p50;

/// The power of two next to 1 / std, as far as the mean in this unit is a Scalar.
template <class Scalar>
Channels inverse_unit_for(const Channels& inv_spread, const Channels& mean) {
  constexpr double most = std::same_as<Scalar, float> ? 0x1p120 : 0x1p500;
  const Channels unit = max(all_channels(1 / most), min(power_of_two(inv_spread), all_channels(most)));
  if constexpr (std::same_as<Scalar, float>) {
    return min(unit, power_of_two(all_channels(0x1p120) / max(abs(mean), all_channels(1))));
  } else {
    return unit;
  }
}

/// A number of any size as one that Scalar has.
template <class Scalar>
Channels clamped(const Channels& value) {
  constexpr double most = static_cast<double>(std::numeric_limits<Scalar>::max());
  return max(all_channels(-most), min(value, all_channels(most)));
}

template <class Scalar>
ScaledNormalizer<Channels> scaled_normalizer(const Channels& mean, const Channels& inv_spread, const Channels& scale,
                                             const Channels& offset) {
  const Channels unit = inverse_unit_for<Scalar>(inv_spread, mean), scale_in_unit = clamped<Scalar>(scale / unit);
  return {unit, -(mean * unit), scale_in_unit, offset - residual<Scalar>(mean * unit) * scale_in_unit};
}

template <class Forward>
ScaledForward<Channels> scaled_forward(Index c, auto lanes, const Forward& forward) {
  const Channels scale = forward.gamma(c, lanes) * forward.inv_std(c, lanes);
  const Channels unit = power_of_two(sqrt(max(abs(scale), all_channels(std::numeric_limits<double>::min()))));
  return {forward.scaled(c, lanes), unit, scale / unit};
}

/// What a forward pass computed, and a backward pass computes again from x:
///
///   z = (x - mean) * gamma * inv_std + beta        y = activation(z)
template <class Scalar, class Activation>
struct Normalization {
  StatisticsView statistics;
  AffineView<Scalar> affine;
  Activation activation;

  Normalizer<Channels> normalizer(Index c, auto lanes) const {
    const Channels mean = statistics.mean(c, lanes), inv_std = statistics.inv_std(c, lanes),
                   scale = affine.gamma(c, lanes) * inv_std;
    return {mark_extreme_factor<Scalar>(mark_extreme<Scalar>(mean, inv_std, forward_bound), scale, inv_std), scale,
            affine.beta(c, lanes) - residual<Scalar>(mean) * scale};
  }
  ScaledNormalizer<Channels> scaled(Index c, auto lanes) const {
    const Channels inv_std = statistics.inv_std(c, lanes);
    return scaled_normalizer<Scalar>(statistics.mean(c, lanes), inv_std, affine.gamma(c, lanes) * inv_std,
                                     affine.beta(c, lanes));
  }
  /// What is normalized: its mean, and 1 / its standard deviation.
  Channels mean(Index c, auto lanes) const { return statistics.mean(c, lanes); }
  Channels inv_spread(Index c, auto lanes) const { return statistics.inv_std(c, lanes); }
  Channels inv_std(Index c, auto lanes) const { return statistics.inv_std(c, lanes); }
  Channels gamma(Index c, auto lanes) const { return affine.gamma(c, lanes); }

  /// Whether dz is dy, whatever the position.
  static constexpr bool dz_is_dy = std::same_as<Activation, activations::identity>;
  /// Whether dz depends on z.
  static constexpr bool needs_z = !dz_is_dy;

  /// What is normalized, from what is at hand.
  template <class V>
  EIGEN_STRONG_INLINE const V& position(const V& x) const {
    return x;
  }
  /// dz = dy * activation'(z), the gradient at a position.
  template <class V>
  EIGEN_STRONG_INLINE V dz(const auto& normalizer, const V& x, const V& dy, const auto&... residual) const {
    if constexpr (std::same_as<Activation, activations::identity>) {
      return dy;
    } else {
      return activation.backward(normalizer(x), residual..., dy);
    }
  }
};

/// The normalization alone, without an activation.
template <class Scalar>
using Linear = Normalization<Scalar, activations::identity>;

/// A forward pass that y is at hand of and not x: z = activation^-1(y) is normalized by beta and gamma,
///
///   x_hat = (z - beta) / gamma
///
/// and dz / dx is still gamma * inv_std.
template <class Scalar, class Activation>
struct Recovery {
  StatisticsView statistics;
  AffineView<Scalar> affine;
  Activation activation;

  Normalizer<Channels> normalizer(Index c, auto lanes) const {
    const Channels inv_std = statistics.inv_std(c, lanes);
    return {mark_extreme<Scalar>(affine.beta(c, lanes), inv_std, forward_bound), affine.gamma(c, lanes) * inv_std,
            all_channels(0)};
  }
  ScaledNormalizer<Channels> scaled(Index c, auto lanes) const {
    return scaled_normalizer<Scalar>(affine.beta(c, lanes), inv_spread(c, lanes), all_channels(0), all_channels(0));
  }
  Channels mean(Index c, auto lanes) const { return affine.beta(c, lanes); }
  Channels inv_spread(Index c, auto lanes) const { return all_channels(1) / affine.gamma(c, lanes); }
  Channels inv_std(Index c, auto lanes) const { return statistics.inv_std(c, lanes); }
  Channels gamma(Index c, auto lanes) const { return affine.gamma(c, lanes); }

  /// Whether dz is dy, whatever the position.
  static constexpr bool dz_is_dy = std::same_as<Activation, activations::identity>;
  /// Whether dz depends on what a normalizer gives.
  static constexpr bool needs_z = false;

  template <class V>
  EIGEN_STRONG_INLINE V position(const V& y) const {
    return activation.inverse(y);
  }
  template <class V>
  EIGEN_STRONG_INLINE V dz(const auto&, const V& z, const V& dy) const {
    return activation.backward(z, dy);
  }
};

/// The constants of a pass that normalizes.
template <class Forward>
struct NormalizerOf {
  const Forward& forward;

  Normalizer<Channels> operator()(Index c, auto lanes) const { return forward.normalizer(c, lanes); }
  ScaledForward<Channels> scaled(Index c, auto lanes) const { return scaled_forward(c, lanes, forward); }
};
template <class Forward>
NormalizerOf(const Forward&) -> NormalizerOf<Forward>;

/// The constants of a pass that writes dx through batch statistics. No product of two factors that are large together,
/// or small, comes on the way to another.
template <class Scalar, class Forward>
struct InputGradientOf {
  const Forward& forward;
  const GradientSums& sums;

  InputGradient<Channels> operator()(Index c, auto lanes) const {
    const Normalizer<Channels> z = forward.normalizer(c, lanes);
    const Channels mean = forward.mean(c, lanes), dz_mean = this->dz_mean(c, lanes);
    const Channels slope = correlation(c, lanes) * z.scale * forward.inv_spread(c, lanes);
    const Channels offset = -(residual<Scalar>(dz_mean) * z.scale) - slope * residual<Scalar>(mean);
    const Channels center = mark_extreme<Scalar>(z.center, forward.inv_std(c, lanes), gradient_bound);
    return {mark_extreme_factor<Scalar>(center, slope, forward.inv_spread(c, lanes)),
            z.scale,
            z.offset,
            slope,
            offset,
            dz_mean};
  }
  ScaledInputGradient<Channels> scaled(Index c, auto lanes) const {
    const ScaledForward<Channels> z = scaled_forward(c, lanes, forward);
    const Channels mean = forward.mean(c, lanes), dz_mean = this->dz_mean(c, lanes), unit = z.normalizer.inverse_unit;
    const Channels slope = correlation(c, lanes) * (forward.inv_spread(c, lanes) / unit);
    const Channels offset = -residual<Scalar>(dz_mean) - slope * residual<Scalar>(mean * unit);
    return {z, slope, offset, dz_mean};
  }

 private:
  Channels dz_mean(Index c, auto lanes) const {
    return channels_of(sums.dy, c, lanes) * all_channels(1 / forward.statistics.count);
  }
  /// -sum dz x_hat / count.
  Channels correlation(Index c, auto lanes) const {
    return channels_of(sums.dy_x, c, lanes) * forward.inv_spread(c, lanes) *
           all_channels(-1 / forward.statistics.count);
  }
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
