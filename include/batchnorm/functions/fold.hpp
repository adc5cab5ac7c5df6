/// \file
/// Inference folded into one multiplication and one addition.
#pragma once

#include <batchnorm/functions/statistics.hpp>
#include <batchnorm/kernels/normalize.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// y = scale * x + shift for each channel.
///
/// Shapes   scale, shift: [C]
template <class Scalar>
struct ScaleShift {
  /// What x is multiplied by.
  ChannelArray<Scalar> scale;
  /// What is added then.
  ChannelArray<Scalar> shift;
};

/// Folds statistics and parameters into two numbers per channel.
///
///   scale = gamma inv_std        shift = beta - mean scale
///
/// Where |mean| is much larger than std, y loses about log2(|mean| / std) bits against normalize, which is centered.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2, step 11.
/// Shapes   gamma, beta: [C] or empty; statistics: [C]
/// Throws   std::invalid_argument if sizes differ, or if scale or shift of finite statistics and parameters are beyond
///          the largest Scalar: normalize, which subtracts the mean first, may have room for them
template <class Scalar>
ScaleShift<Scalar> fold(const AffineParameters<Scalar>& affine, const Statistics& statistics) {
  const Index channels = statistics.channels();
  const detail::Call<samples_in_rows> call{"fold"};
  call.check_statistics(statistics, channels);
  call.check_affine(affine, channels);

  const detail::AffineView<Scalar> parameters{affine};
  const detail::StatisticsView source{statistics};
  ScaleShift<Scalar> folded{ChannelArray<Scalar>(channels), ChannelArray<Scalar>(channels)};
  detail::for_each_overlapping_packet<double>(channels, [&](Index c, auto lanes) {
    const auto scale = parameters.gamma(c, lanes) * source.inv_std(c, lanes);
    lanes.store(folded.scale.data() + c, scale);
    lanes.store(folded.shift.data() + c, parameters.beta(c, lanes) - source.mean(c, lanes) * scale);
  });
  for (Index c = 0; c < channels; ++c) {
    if (detail::is_infinite(folded.scale[c]) || detail::is_infinite(folded.shift[c])) {
      detail::fail("fold: expected a scale and a shift that are representable, got ", folded.scale[c], " and ",
                   folded.shift[c], " in channel ", c, "; use normalize or infer, which subtract the mean first");
    }
  }
  return folded;
}

/// Applies a folded normalization. An empty x is a no-op.
///
///   y = scale * x + shift
///
/// Shapes   x, y: the same extents, rank >= 2; folded: [C]
/// Aliasing y may be x
/// Cost     reads x once and writes y once
/// Throws   std::invalid_argument if extents or sizes differ, or if y overlaps a part of x
/// Threads  safe if no two calls write the same y; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class X, class Scalar, class Y>
void scale_shift(const X& x, const ScaleShift<Scalar>& folded, Y&& y, const CallOptions& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, activations::identity, 0>(detail::Reads<X>(), detail::Writes<Y>())) {
    const detail::Call<Layout> call{"scale_shift"};
    const auto in = call.inputs(folded.scale.size(), detail::Named{"x", x});
    call.check_size("folded.shift", folded.shift.size(), in[0].view.channels);
    const auto out = call.output(detail::Named{"y", y}, in);
    detail::scale_shift(options.device, in[0].view, folded.scale, folded.shift, out.view);
  }
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
