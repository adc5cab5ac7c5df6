/// \file
/// Inference folded into one multiplication and one addition.
#pragma once

#include <batchnorm/base/device.hpp>
#include <batchnorm/core/arguments.hpp>
#include <batchnorm/kernels/normalize.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// y = scale * x + shift for each channel.
///
/// Shapes   scale, shift: [C]
template <class Scalar>
struct ScaleShift {
  ChannelArray<Scalar> scale, shift;
};

/// Folds statistics and parameters into two numbers per channel.
///
///   scale = gamma / sqrt(running.variance + epsilon)        shift = beta - running.mean * scale
///
/// Where |mean| is much larger than std, y loses about log2(|mean| / std) bits against normalize, which is centerd.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2, step 11.
/// Shapes   gamma, beta: [C] or empty; running: [C]
/// Throws   std::invalid_argument if sizes differ, if epsilon is not positive, or if scale or shift of finite statistics
///          and parameters are beyond the largest Scalar: normalize has no such limit
template <class Scalar>
ScaleShift<Scalar> fold(const AffineParameters<Scalar>& affine, const RunningStatistics& running, double epsilon) {
  const Index channels = running.mean.size();
  const detail::Call<samples_in_rows, Scalar> call{"fold"};
  call.check_running(running, channels);
  call.check_affine(affine, channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);

  const detail::AffineView<Scalar> parameters{affine};
  const detail::RunningView statistics{running, epsilon};
  ScaleShift<Scalar> folded{ChannelArray<Scalar>(channels), ChannelArray<Scalar>(channels)};
  detail::for_each_overlapping_packet<double>(channels, [&](Index c, auto lanes) {
    const auto scale = parameters.gamma(c, lanes) * statistics.inv_std(c, lanes);
    lanes.store(folded.scale.data() + c, scale);
    lanes.store(folded.shift.data() + c, parameters.beta(c, lanes) - statistics.mean(c, lanes) * scale);
  });
  for (Index c = 0; c < channels; ++c) {
    if (!std::isinf(folded.scale[c]) && !std::isinf(folded.shift[c])) continue;
    detail::fail("fold: expected a scale and a shift that are representable, got ", folded.scale[c], " and ",
                 folded.shift[c], " in channel ", c, "; use normalize or infer, which have no such limit");
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
/// Threads  safe if no two calls write the same y
template <class Layout = samples_in_rows, Device D, class X, class Scalar, class Y>
void scale_shift(const D& device, const X& x, const ScaleShift<Scalar>& folded, Y&& y) {
  detail::check_outputs<Y>();
  const detail::Call<Layout, Scalar> call{"scale_shift"};
  const auto in = call.input("x", x, folded.scale.size());
  call.check_size("folded.shift", folded.shift.size(), in.view.channels);
  const auto out = call.output("y", y, in);
  detail::scale_shift(detail::executor(device), detail::views(in)[0], folded.scale, folded.shift, out.view);
}

/// scale_shift on the calling thread.
template <class Layout = samples_in_rows, class X, class Scalar, class Y>
void scale_shift(const X& x, const ScaleShift<Scalar>& folded, Y&& y) {
  detail::check_outputs<Y>();
  scale_shift<Layout>(detail::CallingThread{}, x, folded, y);
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
