/// \file
/// Some samples of some channels as matrices in double, for what is made of products of matrices.
#pragma once

#include <batchnorm/base/layout.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// Samples in double, one in each row.
using SampleRows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Channels [first, first + size).
struct ChannelRange {
  Index first, size;
};

/// Sees `samples` samples, from sample `first` on, as matrices with a sample in each row: one matrix if there are rows of
/// channels, one for each plane that is met otherwise. Calls body(row of its first sample, matrix).
///
/// Shapes   sample s = (o, i) with s = o * inner + i
template <class Element, class Body>
void for_each_matrix(const ChannelView<Element>& view, const ChannelRange& channels, Index first, Index samples,
                     const Body& body) {
  using Strides = Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>;
  using Matrix = Eigen::Matrix<std::remove_const_t<Element>, Eigen::Dynamic, Eigen::Dynamic>;
  using Map = Eigen::Map<std::conditional_t<std::is_const_v<Element>, const Matrix, Matrix>, 0, Strides>;
  for (Index row = 0; row < samples;) {
    const Index o = (first + row) / view.inner, i = (first + row) % view.inner;
    const Index rows = view.inner == 1 ? samples : std::min(samples - row, view.inner - i);
    const Strides strides(view.channel_stride, view.inner == 1 ? view.outer_stride : 1);
    body(row, Map(view.plane(o, channels.first) + i, rows, channels.size, strides));
    row += rows;
  }
}

/// rows = x - mean, for as many samples from `first` on as there are rows.
template <class Element, class Mean, class Rows>
void read_samples(const ChannelView<const Element>& x, const ChannelRange& channels, Index first, const Mean& mean,
                  Rows&& rows) {
  for_each_matrix(x, channels, first, rows.rows(), [&](Index row, const auto& samples) {
    rows.middleRows(row, samples.rows()) = samples.template cast<double>().rowwise() - mean.transpose();
  });
}

/// y = rows, rounded to y's type.
template <class Element, class Rows>
void write_samples(const Rows& rows, const ChannelView<Element>& y, const ChannelRange& channels, Index first) {
  for_each_matrix(y, channels, first, rows.rows(), [&](Index row, auto samples) {
    samples = rows.middleRows(row, samples.rows()).template cast<Element>();
  });
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
