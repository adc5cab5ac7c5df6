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

/// Sees `samples` samples, from sample `first` on, as matrices with a sample in each row: one matrix if there are rows
/// of channels, one for each plane that is met otherwise. Calls body(row of its first sample, matrix).
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

/// A view whose element type is known elsewhere.
template <class Void, class Element>
ChannelView<Void> untyped(const ChannelView<Element>& v) {
  return {v.data, v.outer, v.channels, v.inner, v.outer_stride, v.channel_stride};
}
template <class Element, class Void>
ChannelView<Element> typed(const ChannelView<Void>& v) {
  return {static_cast<Element*>(v.data), v.outer, v.channels, v.inner, v.outer_stride, v.channel_stride};
}

using Means = Eigen::Ref<const Eigen::VectorXd>;

/// A tensor that is read as samples in double, whatever its elements are: so that what is done to samples is no
/// template.
class SampleReader {
 public:
  template <class Element>
  SampleReader(const ChannelView<Element>& x)
      : view_(untyped<const void>(x)),
        read_([](const ChannelView<const void>& view, const ChannelRange& channels, Index first, const Means& mean,
                 Eigen::Ref<SampleRows> rows) {
          for_each_matrix(
              typed<const Element>(view), channels, first, rows.rows(), [&](Index row, const auto& samples) {
                rows.middleRows(row, samples.rows()) = samples.template cast<double>().rowwise() - mean.transpose();
              });
        }) {}

  Index count() const { return view_.outer * view_.inner; }
  Index channels() const { return view_.channels; }

  /// rows = x - mean, for as many samples from `first` on as there are rows.
  void read(const ChannelRange& channels, Index first, const Means& mean, Eigen::Ref<SampleRows> rows) const {
    read_(view_, channels, first, mean, rows);
  }

 private:
  ChannelView<const void> view_;
  void (*read_)(const ChannelView<const void>&, const ChannelRange&, Index, const Means&, Eigen::Ref<SampleRows>);
};

/// The same for a tensor that is written.
class SampleWriter {
 public:
  template <class Element>
  SampleWriter(const ChannelView<Element>& y)
      : view_(untyped<void>(y)),
        write_([](const ChannelView<void>& view, const ChannelRange& channels, Index first,
                  const Eigen::Ref<const SampleRows>& rows) {
          for_each_matrix(typed<Element>(view), channels, first, rows.rows(), [&](Index row, auto samples) {
            samples = rows.middleRows(row, samples.rows()).template cast<Element>();
          });
        }) {}

  /// y = rows, rounded to y's type.
  void write(const Eigen::Ref<const SampleRows>& rows, const ChannelRange& channels, Index first) const {
    write_(view_, channels, first, rows);
  }

 private:
  ChannelView<void> view_;
  void (*write_)(const ChannelView<void>&, const ChannelRange&, Index, const Eigen::Ref<const SampleRows>&);
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
