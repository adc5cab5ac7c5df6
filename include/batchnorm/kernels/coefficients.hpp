/// \file
/// The constants of a channel: computed in double from statistics and parameters, rounded once, and hoisted out of all
/// loops.
#pragma once

#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/running_statistics.hpp>
#include <batchnorm/core/saved.hpp>
#include <batchnorm/kernels/lanes.hpp>
#include <batchnorm/kernels/partition.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <utility>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// Mean and 1/sqrt(variance + epsilon) of a batch.
template <class Scalar>
struct BatchStatistics {
  const Moments<Scalar>& moments;
  double epsilon;

  double mean(Index c) const { return moments.mean[c]; }
  double inv_std(Index c) const {
    return 1.0 / std::sqrt(moments.m2[c] / static_cast<double>(moments.count) + epsilon);
  }
};

/// The same of running statistics.
template <class Scalar>
struct RunningView {
  const RunningStatistics<Scalar>& running;
  double epsilon;

  double mean(Index c) const { return static_cast<double>(running.mean[c]); }
  double inv_std(Index c) const { return 1.0 / std::sqrt(static_cast<double>(running.variance[c]) + epsilon); }
};

/// The same as a forward pass saved them.
template <class Scalar>
struct SavedStatistics {
  const Saved<Scalar>& saved;

  double mean(Index c) const { return saved.mean[c]; }
  double inv_std(Index c) const { return saved.inv_std[c]; }
};

/// gamma and beta as doubles, 1 and 0 where a layer has none.
template <class Scalar>
struct AffineView {
  const ChannelArray<Scalar>& gammas;
  const ChannelArray<Scalar>& betas;

  double gamma(Index c) const { return gammas.size() == 0 ? 1.0 : static_cast<double>(gammas[c]); }
  double beta(Index c) const { return betas.size() == 0 ? 0.0 : static_cast<double>(betas[c]); }
};

/// mean - round(mean): what the value that the kernels subtract leaves over. Without it backward loses digits where
/// |mean| >> std.
template <class Scalar, class Statistics>
double mean_residual(const Statistics& statistics, Index c) {
  const double mean = statistics.mean(c);
  return mean - static_cast<double>(static_cast<Scalar>(mean));
}

/// z = (x - centre) * scale + offset, for one channel (V = Scalar) or a packet of them.
///
///   centre = round(mean)        scale = gamma * inv_std        offset = beta - (mean - centre) * scale
///
/// The mean is never folded into the offset: x * scale + (beta - mean * scale) loses log2(|mean| / std) bits.
template <class V>
struct Normaliser {
  V centre, scale, offset;

  EIGEN_STRONG_INLINE V operator()(const V& x) const { return multiply_add(x - centre, scale, offset); }
};

template <class Scalar, class Statistics>
Normaliser<Scalar> normaliser(Index c, const Statistics& statistics, const AffineView<Scalar>& affine) {
  const double scale = affine.gamma(c) * statistics.inv_std(c);
  const double offset = affine.beta(c) - mean_residual<Scalar>(statistics, c) * scale;
  return {static_cast<Scalar>(statistics.mean(c)), static_cast<Scalar>(scale), static_cast<Scalar>(offset)};
}

/// dx = dz * scale + ((x - centre) * slope + offset): the gradient through batch statistics, where with S1 = sum dz and
/// S2 = sum dz (x - mean) over the `count` values of the channel
///
///   slope = -scale * inv_std^2 * S2 / count        offset = -scale * S1 / count - slope * (mean - centre)
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

template <class Scalar, class Statistics>
InputGradient<Scalar> input_gradient(Index c, const Statistics& statistics, const AffineView<Scalar>& affine,
                                     double sum_dz, double sum_dz_x, double count) {
  const double inv_std = statistics.inv_std(c);
  const double scale = affine.gamma(c) * inv_std;
  const double slope = -scale * inv_std * inv_std * sum_dz_x / count;
  const double offset = -scale * sum_dz / count - slope * mean_residual<Scalar>(statistics, c);
  const Normaliser<Scalar> forward = normaliser(c, statistics, affine);
  return {forward.centre, forward.scale, forward.offset, static_cast<Scalar>(slope), static_cast<Scalar>(offset)};
}

/// The constants of one channel in every lane of a packet.
template <template <class> class Coefficients, class Scalar>
EIGEN_STRONG_INLINE Coefficients<Packet<Scalar>> spread(const Coefficients<Scalar>& values) {
  const auto value = std::bit_cast<std::array<Scalar, sizeof(values) / sizeof(Scalar)>>(values);
  return [&]<std::size_t... K>(std::index_sequence<K...>) {
    return Coefficients<Packet<Scalar>>{Packet<Scalar>::broadcast(value[K])...};
  }
  (std::make_index_sequence<sizeof(values) / sizeof(Scalar)>{});
}

/// The constants of up to group_channels channels: one row of memory for each member of Coefficients<V>, read a packet
/// at a time.
template <class Scalar, template <class> class Coefficients>
class CoefficientTable {
 public:
  /// Column k becomes coefficients(first + k), for `channels` columns; the last packet is filled up with zeros.
  template <class Make>
  void fill(Index first, Index channels, const Make& coefficients) {
    for (Index c = 0; c < channels; ++c) set(c, coefficients(first + c));
    for (Index c = channels; c % Packet<Scalar>::size != 0; ++c) set(c, {});
  }

  /// The columns [c, c + packet_size).
  EIGEN_STRONG_INLINE Coefficients<Packet<Scalar>> packet(Index c) const {
    return [&]<std::size_t... K>(std::index_sequence<K...>) {
      return Coefficients<Packet<Scalar>>{rows_[K].packet(c)...};
    }
    (std::make_index_sequence<members>{});
  }

 private:
  static constexpr std::size_t members = sizeof(Coefficients<Scalar>) / sizeof(Scalar);

  void set(Index c, const Coefficients<Scalar>& values) {
    const auto value = std::bit_cast<std::array<Scalar, members>>(values);
    for (std::size_t k = 0; k < members; ++k) rows_[k][c] = value[k];
  }

  std::array<ChannelBuffer<Scalar, group_channels>, members> rows_;
};

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
