/// \file
/// y = activation((x - mean) * gamma * inv_std + beta): the pass that writes a forward result, and the folded form of
/// it.
#pragma once

#include <batchnorm/core/activation.hpp>
#include <batchnorm/kernels/map.hpp>
#include <batchnorm/kernels/moments.hpp>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// The function that forward passes map over x.
template <class Activation>
auto activated(const Activation& activation) {
  return [&activation]<class V>(const auto& constants, const V& x) { return activation.forward(constants(x)); };
}

/// Normalises with given statistics.
///
///   y = activation((x - mean) * gamma * inv_std + beta)
///
/// Shapes   x, y: the same outer x channels x inner; statistics, affine: [channels]
template <class Scalar, class Statistics, class Activation>
void normalise(const Executor& executor, const ChannelView<const Scalar>& x, const AffineView<Scalar>& affine,
               const Statistics& statistics, const Activation& activation, const ChannelView<Scalar>& y) {
  map_channels<Normaliser>(
      executor, [&](Index c) { return normaliser(c, statistics, affine); }, activated(activation), y, x);
}

/// Normalises a batch with its own statistics: batch_moments and normalise with the same bits, but a group of planes is
/// normalised while its values are still in cache.
///
/// Shapes   x, y: the same outer x channels x inner, count >= 1; affine, moments: [channels]
template <class Scalar, class Activation>
void train_forward(const Executor& executor, const ChannelView<const Scalar>& x, const AffineView<Scalar>& affine,
                   double epsilon, const Activation& activation, const ChannelView<Scalar>& y,
                   Moments<Scalar>& moments) {
  const BatchStatistics<Scalar> statistics{moments, epsilon};
  if (is_one_plane(x) || x.has_rows()) {
    batch_moments(executor, x, moments);
    normalise(executor, x, affine, statistics, activation, y);
    return;
  }
  resize(moments, x);
  const Cut blocks = cut_channels(x.channels, x.count(), sizeof(Scalar));
  executor.for_each_block(blocks.parts(), bytes_of(x) + bytes_of(y), [&](Index block) {
    for (Index c = blocks.begin(block); c < blocks.end(block); ++c) {
      store(plane_moments(x, c), c, moments);
      map_planes(c, spread(normaliser(c, statistics, affine)), activated(activation), y, x);
    }
  });
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
template <class Scalar>
void scale_shift(const Executor& executor, const ChannelView<const Scalar>& x, const ChannelArray<Scalar>& scale,
                 const ChannelArray<Scalar>& shift, const ChannelView<Scalar>& y) {
  constexpr identity unchanged;
  map_channels<FoldedNormaliser>(
      executor,
      [&](Index c) {
        return FoldedNormaliser<Scalar>{scale[c], shift[c]};
      },
      activated(unchanged), y, x);
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
