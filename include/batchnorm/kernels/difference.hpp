/// \file
/// How far two tensors lie apart, channel by channel.
#pragma once

#include <batchnorm/base/layout.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// The largest |a - b| of each channel, of finite values; 0 of none.
///
/// Shapes   a, b: the same outer x channels x inner; result: [channels]
template <class Element>
Eigen::ArrayXd largest_difference(const ChannelView<const Element>& a, const ChannelView<const Element>& b) {
  // A slice of the view: a column for each channel.
  using Slice = Eigen::Map<const Eigen::Array<Element, Eigen::Dynamic, Eigen::Dynamic>, 0, Eigen::OuterStride<>>;
  const auto slice = [](const ChannelView<const Element>& of, Index o) {
    return Slice(of.plane(o, 0), of.inner, of.channels, Eigen::OuterStride<>(of.channel_stride))
        .template cast<double>();
  };
  Eigen::ArrayXd largest = Eigen::ArrayXd::Zero(a.channels);
  if (a.size() == 0) return largest;
  for (Index o = 0; o < a.outer; ++o) {
    largest = largest.max((slice(a, o) - slice(b, o)).abs().colwise().maxCoeff().transpose());
  }
  return largest;
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
