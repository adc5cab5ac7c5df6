/// \file
/// The constants of a channel: computed in double from statistics and parameters, rounded once, and hoisted out of all
/// loops. The statistics come from a batch, a running average, or what a forward pass saved: each gives, for the packet
/// of channels c, c + 1, ..., the mean and 1 / sqrt(variance + epsilon).
#pragma once

#include <batchnorm/core/activation.hpp>
#include <batchnorm/core/gradient_sums.hpp>
#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/parameters.hpp>
#include <batchnorm/core/running_statistics.hpp>
#include <batchnorm/core/saved.hpp>
#include <batchnorm/kernels/columns.hpp>
#include <type_traits>

namespace batchnorm::inline BATCHNORM_ABI::detail {

EIGEN_STRONG_INLINE Channels inverse_root(const Channels& variance, double epsilon) {
  return all_channels(1) / sqrt(variance + all_channels(epsilon));
}

/// Mean and 1/sqrt(variance + epsilon) of a batch.
struct BatchStatistics {
  const Moments& moments;
  double epsilon;

  Channels mean(Index c, auto lanes) const { return channels_of(moments.mean, c, lanes); }
  Channels inv_std(Index c, auto lanes) const {
    return inverse_root(channels_of(moments.m2, c, lanes) / all_channels(static_cast<double>(moments.count)), epsilon);
  }
};

/// The same of running statistics.
struct RunningView {
  const RunningStatistics& running;
  double epsilon;

  Channels mean(Index c, auto lanes) const { return channels_of(running.mean, c, lanes); }
  Channels inv_std(Index c, auto lanes) const { return inverse_root(channels_of(running.variance, c, lanes), epsilon); }
};

/// The same as a forward pass saved them.
template <class Scalar>
struct SavedStatistics {
  const Saved<Scalar>& saved;

  Channels mean(Index c, auto lanes) const { return channels_of(saved.mean, c, lanes); }
  Channels inv_std(Index c, auto lanes) const { return channels_of(saved.inv_std, c, lanes); }
};

/// gamma and beta as doubles, 1 and 0 where a layer has none.
template <class Scalar>
struct AffineView {
  const ChannelArray<Scalar>& gammas;
  const ChannelArray<Scalar>& betas;

  AffineView(const AffineParameters<Scalar>& affine) : gammas(affine.gamma), betas(affine.beta) {}
  AffineView(const Saved<Scalar>& saved) : gammas(saved.gamma), betas(saved.beta) {}

  Channels gamma(Index c, auto lanes) const {
    return gammas.size() == 0 ? all_channels(1) : channels_of(gammas, c, lanes);
  }
  Channels beta(Index c, auto lanes) const {
    return betas.size() == 0 ? all_channels(0) : channels_of(betas, c, lanes);
  }
};

/// mean - round(mean): what the value that the kernels subtract leaves over. Without it backward loses digits where
/// |mean| >> std. The statement without an instruction hides from g++ 12 that the same numbers come back: from -O2 on it
/// drops the conversions of a vector from double to float and back as if nothing were rounded.
template <class Scalar>
Channels residual(const Channels& mean) {
  Scalar rounded[Channels::size];
  mean.store(rounded);
#if defined(__GNUC__)
  asm("" : "+m"(rounded));
#endif
  return mean - Channels::load(rounded);
}

/// z = (x - centre) * scale + offset, for one channel or a packet of them.
///
///   centre = round(mean)        scale = gamma * inv_std        offset = beta - (mean - centre) * scale
///
/// The mean is never folded into the offset: x * scale + (beta - mean * scale) loses log2(|mean| / std) bits.
template <class V>
struct Normaliser {
  V centre, scale, offset;

  EIGEN_STRONG_INLINE V operator()(const V& x) const { return multiply_add(x - centre, scale, offset); }
};

/// dx = dz * scale + ((x - centre) * slope + offset): the gradient through batch statistics, where with S1 = sum dz and
/// S2 = sum dz (x - mean) over the `count` values of the channel
///
///   slope = -scale * inv_spread^2 * S2 / count        offset = -scale * S1 / count - slope * (mean - centre)
///
/// centre, scale and forward_offset are the Normaliser's.
template <class V>
struct InputGradient {
  V centre, scale, forward_offset, slope, offset;

  EIGEN_STRONG_INLINE Normaliser<V> forward() const { return {centre, scale, forward_offset}; }
  EIGEN_STRONG_INLINE V operator()(const V& x, const V& dz) const {
    return multiply_add(dz, scale, multiply_add(x - centre, slope, offset));
  }
};

/// What a forward pass computed, and a backward pass computes again from x:
///
///   z = (x - mean) * gamma * inv_std + beta        y = activation(z)
template <class Scalar, class Statistics, class Activation>
struct Normalisation {
  Statistics statistics;
  AffineView<Scalar> affine;
  Activation activation;

  Normaliser<Channels> normaliser(Index c, auto lanes) const {
    const Channels mean = statistics.mean(c, lanes), scale = affine.gamma(c, lanes) * statistics.inv_std(c, lanes);
    return {mean, scale, affine.beta(c, lanes) - residual<Scalar>(mean) * scale};
  }
  /// 1 / std of what is normalised.
  Channels inv_spread(Index c, auto lanes) const { return statistics.inv_std(c, lanes); }

  /// What is normalised, from what is at hand.
  template <class V>
  EIGEN_STRONG_INLINE const V& position(const V& x) const {
    return x;
  }
  /// dz = dy * activation'(z), the gradient at a position.
  template <class V>
  EIGEN_STRONG_INLINE V dz(const Normaliser<V>& normaliser, const V& x, const V& dy, const auto&... residual) const {
    if constexpr (std::same_as<Activation, activations::identity>) {
      return dy;
    } else {
      return activation.backward(normaliser(x), residual..., dy);
    }
  }
};

template <class Scalar, class Statistics, class Activation>
Normalisation<Scalar, Statistics, Activation> normalisation(const Statistics& statistics,
                                                            const AffineView<Scalar>& affine,
                                                            const Activation& activation) {
  return {statistics, affine, activation};
}

/// The same where y is at hand and not x: z = activation^-1(y) is normalised by beta and gamma,
///
///   x_hat = (z - beta) / gamma
///
/// and dz / dx is still gamma * inv_std.
template <class Scalar, class Statistics, class Activation>
struct Recovery {
  Statistics statistics;
  AffineView<Scalar> affine;
  Activation activation;

  Normaliser<Channels> normaliser(Index c, auto lanes) const {
    return {affine.beta(c, lanes), affine.gamma(c, lanes) * statistics.inv_std(c, lanes), all_channels(0)};
  }
  Channels inv_spread(Index c, auto lanes) const { return all_channels(1) / affine.gamma(c, lanes); }

  template <class V>
  EIGEN_STRONG_INLINE V position(const V& y) const {
    return activation.inverse(y);
  }
  template <class V>
  EIGEN_STRONG_INLINE V dz(const Normaliser<V>&, const V& z, const V& dy) const {
    return activation.backward(z, dy);
  }
};

template <class Scalar, class Statistics, class Activation>
Recovery<Scalar, Statistics, Activation> recovery(const Statistics& statistics, const AffineView<Scalar>& affine,
                                                  const Activation& activation) {
  return {statistics, affine, activation};
}

template <class Scalar, class Source>
InputGradient<Channels> input_gradient(Index c, auto lanes, const Source& source, const GradientSums& sums,
                                       Index count) {
  const Normaliser<Channels> forward = source.normaliser(c, lanes);
  const Channels inv_spread = source.inv_spread(c, lanes);
  const Channels share = forward.scale / all_channels(-static_cast<double>(count));
  const Channels slope = share * inv_spread * inv_spread * channels_of(sums.dy_x, c, lanes);
  const Channels offset = share * channels_of(sums.dy, c, lanes) - slope * residual<Scalar>(forward.centre);
  return {forward.centre, forward.scale, forward.offset, slope, offset};
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
