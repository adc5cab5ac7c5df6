/// \file
/// One idea for every layout: a dense tensor of any rank and storage order, with its channel axis anywhere, lies in
/// memory as outer x channels x inner. Layout tags say which axis holds the channels; ChannelView is what the kernels
/// see.
#pragma once

#include <batchnorm/base/error.hpp>
#include <batchnorm/base/tensor.hpp>

#include <algorithm>
#include <cstdint>
#include <string>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// A matrix with one sample in each row and one channel in each column: axis 1. The default.
struct samples_in_rows {
  /// The axis of the channels in a tensor of this rank.
  template <int Rank>
  static consteval int axis() {
    static_assert(Rank == 2,
                  "batchnorm: samples_in_rows, the default layout, is for matrices: for rank 3 and more say "
                  "channel_first or channel_last");
    return 1;
  }
  /// As it is written.
  static std::string name() { return "samples_in_rows"; }
};

/// A matrix with one sample in each column and one channel in each row: axis 0.
struct samples_in_columns {
  /// The axis of the channels in a tensor of this rank.
  template <int Rank>
  static consteval int axis() {
    static_assert(Rank == 2,
                  "batchnorm: samples_in_columns is for matrices: for rank 3 and more say channel_first or "
                  "channel_last");
    return 0;
  }
  /// As it is written.
  static std::string name() { return "samples_in_columns"; }
};

/// Tensors of rank 3 and more with the channels on axis 1, as in NCHW.
struct channel_first {
  /// The axis of the channels in a tensor of this rank.
  template <int Rank>
  static consteval int axis() {
    static_assert(Rank >= 3,
                  "batchnorm: channel_first is for rank 3 and more: for a matrix say samples_in_rows or "
                  "samples_in_columns");
    return 1;
  }
  /// As it is written.
  static std::string name() { return "channel_first"; }
};

/// The channels on the last axis, as in NHWC.
struct channel_last {
  /// The axis of the channels in a tensor of this rank.
  template <int Rank>
  static consteval int axis() {
    return Rank - 1;
  }
  /// As it is written.
  static std::string name() { return "channel_last"; }
};

/// The channels on axis K, counted from 0 as the tensor is written.
template <int K>
struct channel_axis {
  /// The axis of the channels in a tensor of this rank.
  template <int Rank>
  static consteval int axis() {
    static_assert(0 <= K && K < Rank, "batchnorm: channel_axis<k> needs 0 <= k < rank");
    return K;
  }
  /// As it is written.
  static std::string name() { return "channel_axis<" + std::to_string(K) + ">"; }
};

namespace detail {

template <class T>
concept LayoutTag = requires {
  { T::template axis<3>() } -> std::same_as<int>;
};

}  // namespace detail

/// Elements in memory as outer x channels x inner: element (o, c, i) lies at `o * outer_stride + c * channel_stride +
/// i`.
///
/// | tensor                                                                  | outer | inner |
/// |-------------------------------------------------------------------------|-------|-------|
/// | row-major [N, C]; column-major matrix with one sample per column, C x N | N     | 1     |
/// | column-major matrix with one sample per row, N x C                      | 1     | N     |
/// | row-major NHWC                                                          | N*H*W | 1     |
/// | row-major NCHW                                                          | N     | H*W   |
/// | column-major tensor [N, C, H, W]                                        | H*W   | N     |
template <class Element>
struct ChannelView {
  /// Element (0, 0, 0).
  Element* data;
  /// Slices.
  Index outer;
  /// Channels in each slice.
  Index channels;
  /// Consecutive elements of one channel in one slice.
  Index inner;
  /// From a slice to the next, in elements.
  Index outer_stride;
  /// From a channel to the next, in elements.
  Index channel_stride;

  /// Values per channel.
  constexpr Index count() const noexcept { return outer * inner; }
  /// All values.
  constexpr Index size() const noexcept { return count() * channels; }
  /// The first of the `inner` consecutive elements of channel c in slice o.
  constexpr Element* plane(Index o, Index c) const noexcept { return data + o * outer_stride + c * channel_stride; }

  /// The same elements, read only.
  constexpr operator ChannelView<const Element>() const noexcept requires(!std::is_const_v<Element>) {
    return {data, outer, channels, inner, outer_stride, channel_stride};
  }
};

namespace detail {

/// The view of dense memory in which the channel axis has `channels` elements, `outer` of whatever precedes it and
/// `inner` follow it.
template <class Element>
constexpr ChannelView<Element> dense_view(Element* data, Index outer, Index channels, Index inner) {
  return {data, outer, channels, inner, channels * inner, inner};
}

template <int Axis, TensorInMemory T>
ChannelView<element_t<T>> view_of_tensor(T& t) {
  const auto extents = extents_of(t);
  Index before = 1, after = 1;
  for (std::size_t axis = 0; axis < extents.size(); ++axis) {
    if (axis < std::size_t(Axis)) before *= extents[axis];
    if (axis > std::size_t(Axis)) after *= extents[axis];
  }
  if constexpr (!is_row_major<T>()) std::swap(before, after);
  return dense_view<element_t<T>>(t.data(), before, extents[Axis], after);
}

/// An element at another address than a multiple of its alignment must not be read at all.
inline void check_alignment(std::uintptr_t address, std::size_t alignment, const char* name) {
  if (address % alignment == 0) return;
  fail(name, ": expected elements at addresses that are multiples of ", alignment, ", got a remainder of ",
       address % alignment, "; copy the bytes into memory of its own first, for example a Matrix");
}

/// A matrix has one contiguous axis, named by its storage order. The stride along an axis of extent 1 is never used.
template <int Axis, DenseInMemory T>
ChannelView<element_t<T>> view_of_matrix(T& t, const char* name) {
  const Index channels = Axis == 1 ? t.cols() : t.rows();
  const Index samples = Axis == 1 ? t.rows() : t.cols();
  const Index channel_stride = Axis == 1 ? t.colStride() : t.rowStride();
  const Index sample_stride = Axis == 1 ? t.rowStride() : t.colStride();
  constexpr bool channels_contiguous = is_row_major<T>() == (Axis == 1);

  const Index inner_extent = channels_contiguous ? channels : samples;
  const Index inner_stride = channels_contiguous ? channel_stride : sample_stride;
  if (inner_stride != 1 && inner_extent > 1) {
    fail(name, ": expected consecutive elements along axis ", channels_contiguous ? Axis : 1 - Axis,
         ", got an inner stride of ", inner_stride, "; copy it first, for example into a Matrix; ", name, " is ",
         ShapeText<2>{extents_of(t), is_row_major<T>()});
  }
  const Index outer_extent = channels_contiguous ? samples : channels;
  const Index outer_stride = channels_contiguous ? sample_stride : channel_stride;
  if (outer_stride < inner_extent && outer_extent > 1) {
    fail(name, ": expected an outer stride of at least ", inner_extent, ", got ", outer_stride, "; ", name, " is ",
         ShapeText<2>{extents_of(t), is_row_major<T>()});
  }
  if constexpr (channels_contiguous) {
    return {t.data(), samples, channels, 1, samples > 1 ? outer_stride : channels, 1};
  } else {
    return {t.data(), 1, channels, samples, channels * samples, channels > 1 ? outer_stride : samples};
  }
}

}  // namespace detail

/// Some channels of a larger tensor, where they lie: an argument of calls as a tensor is. Made by channel_slice.
template <class Element, int Rank, int StorageOrder, int Axis>
class ChannelSlice {
 public:
  /// Its rank, as Eigen spells it.
  static constexpr int NumDimensions = Rank;
  /// Its storage order, as Eigen spells it.
  static constexpr int Layout = StorageOrder;
  /// The type of an extent, as Eigen spells it.
  using Index = batchnorm::Index;

  /// `view`: of these channels alone.
  ChannelSlice(const ChannelView<Element>& view, const std::array<Index, std::size_t(Rank)>& dimensions)
      : view_(view), dimensions_(dimensions) {}

  /// The axis that the channels were taken of.
  static constexpr int axis = Axis;
  /// The first element.
  Element* data() const { return view_.data; }
  /// The extents, with `count` channels.
  const std::array<Index, std::size_t(Rank)>& dimensions() const { return dimensions_; }
  /// These channels as the kernels see them.
  const ChannelView<Element>& view() const { return view_; }

 private:
  ChannelView<Element> view_;
  std::array<Index, std::size_t(Rank)> dimensions_;
};

namespace detail {

template <class T>
inline constexpr bool is_channel_slice = false;
template <class Element, int Rank, int StorageOrder, int Axis>
inline constexpr bool is_channel_slice<ChannelSlice<Element, Rank, StorageOrder, Axis>> = true;

/// Whether channel_view takes a T, which is neither const nor a reference. If not, the compiler says why: in one
/// sentence, as the callers leave out what would not compile either.
template <class Layout, class T>
consteval bool has_channel_view() {
  if constexpr (is_tensor_ref<T>) {
    static_assert(!is_tensor_ref<T>,
                  "batchnorm: a TensorRef may have no memory of its own: evaluate it into a Tensor first");
    return false;
  } else if constexpr (!InMemory<T>) {
    static_assert(InMemory<T>,
                  "batchnorm: expected an Eigen matrix, array or tensor with memory of its own: evaluate an expression "
                  "first, for example x.eval()");
    return false;
  } else if constexpr (rank_of<T>() < 2) {
    static_assert(rank_of<T>() >= 2, "batchnorm: x needs a batch axis and a channel axis: rank 2 or more");
    return false;
  } else if constexpr (is_channel_slice<T>) {
    constexpr bool is_of_this_layout = T::axis == Layout::template axis<rank_of<T>()>();
    static_assert(is_of_this_layout,
                  "batchnorm: a channel_slice of another axis than that of the call: give both the same layout");
    return is_of_this_layout;
  } else if constexpr (Dense<T>) {
    constexpr bool is_matrix = !bool(T::IsVectorAtCompileTime);
    static_assert(is_matrix,
                  "batchnorm: a vector does not say which of its axes holds the channels: pass a matrix, for example "
                  "x.middleRows(i, 1), or v.reshaped(1, n)");
    return is_matrix && Layout::template axis<2>() >= 0;
  } else {
    return Layout::template axis<rank_of<T>()>() >= 0;
  }
}

}  // namespace detail

/// The outer x channels x inner view of a matrix or tensor whose channels lie where `Layout` says.
///
/// Shapes   t: rank >= 2, with memory of its own: Matrix, Array, Map, Ref, blocks and transposes of them, Tensor,
///          TensorFixedSize, TensorMap
/// Throws   std::invalid_argument if a matrix has an inner stride other than 1, and if the address of the elements is
///          no multiple of their alignment
template <class Layout, class T>
auto channel_view(T&& t, const char* name = "x") {
  if constexpr (detail::has_channel_view<Layout, std::remove_cvref_t<T>>()) {
    constexpr int axis = Layout::template axis<detail::rank_of<T>()>();
    detail::check_alignment(reinterpret_cast<std::uintptr_t>(t.data()), alignof(detail::scalar_t<T>), name);
    if constexpr (detail::is_channel_slice<std::remove_cvref_t<T>>) {
      return t.view();
    } else if constexpr (detail::Dense<T>) {
      return detail::view_of_matrix<axis>(t, name);
    } else {
      return detail::view_of_tensor<axis>(t);
    }
  } else {
    return ChannelView<float>{};
  }
}

/// Channels [first, first + count) of a tensor, where they lie: norm.forward(channel_slice<L>(x, 0, 64), y). Of
/// matrices, blocks do: x.leftCols(64).
///
/// Shapes   t: as for channel_view, rank >= 2; the result: t's, with `count` channels
/// Aliasing the result is of t's memory
/// Throws   std::invalid_argument unless 0 <= first, 0 <= count and first + count are within the channels of t
template <class Layout, class T>
auto channel_slice(T&& t, Index first, Index count) {
  using Plain = std::remove_cvref_t<T>;
  static_assert(detail::TensorInMemory<T>,
                "batchnorm: channel_slice is for tensors: of a matrix take a block, for example x.leftCols(64)");
  if constexpr (detail::TensorInMemory<T>) {
    constexpr int rank = detail::rank_of<T>(), axis = Layout::template axis<rank>();
    auto view = channel_view<Layout>(t, "channel_slice");
    auto dimensions = detail::extents_of(t);
    if (first < 0 || count < 0 || first + count > view.channels) {
      detail::fail("channel_slice(t, first, count): expected channels within the ", view.channels, " of t, got ", first,
                   " to ", first + count, "; t is ",
                   detail::ShapeText<std::size_t(rank)>{dimensions, detail::is_row_major<T>()});
    }
    view.data = view.plane(0, first);
    view.channels = count;
    dimensions[std::size_t(axis)] = count;
    return ChannelSlice<detail::element_t<T>, rank, int(Plain::Layout), axis>(view, dimensions);
  }
}

namespace detail {

/// The axis of the samples: the first that is not the channels'.
template <class Layout, int Rank>
consteval int sample_axis() {
  return Layout::template axis<Rank>() == 0 ? 1 : 0;
}

/// Samples [first, first + count) of the view of a tensor. In row-major storage they are the slowest axis of `outer`,
/// or of `inner` where the channels come first of all; in column-major storage the fastest.
///
/// Throws   std::invalid_argument where samples and another axis share `inner` or `outer` so that the rest is no view
template <class Layout, class T>
ChannelView<element_t<T>> slice_samples(T& t, Index first, Index count) {
  constexpr int rank = rank_of<T>();
  auto view = channel_view<Layout>(t);
  const Index samples = extents_of(t)[std::size_t(sample_axis<Layout, rank>())];
  if (samples == 0) return view;
  constexpr bool in_outer = is_row_major<T>() == (Layout::template axis<rank>() > 0);
  const Index in_a_sample = (in_outer ? view.outer : view.inner) / samples;
  if constexpr (is_row_major<T>() && in_outer) {
    view.data += first * in_a_sample * view.outer_stride;
    view.outer = count * in_a_sample;
  } else if constexpr (is_row_major<T>()) {
    view.data += first * in_a_sample;
    view.inner = count * in_a_sample;
  } else if (in_a_sample == 1 && in_outer) {
    view.data += first * view.outer_stride;
    view.outer = count;
  } else if (in_a_sample == 1) {
    view.data += first;
    view.inner = count;
  } else if (!in_outer && view.outer == 1) {
    view.data += first;
    view.outer = in_a_sample;
    view.outer_stride = samples;
    view.inner = count;
  } else {
    fail("slice_samples: expected samples that can be seen by themselves, got a column-major tensor of rank ", rank,
         " with its channels on axis ", Layout::template axis<rank>(),
         "; store it row-major, or with the channels on axis 1");
  }
  return view;
}

/// Calls visit(view) for parts of a tensor that together are indices [first, first + count) of the axis of `Along`,
/// seen by the channels of `Layout`, which lie on another axis. One part in most cases; where a third axis lies between
/// the two in memory, or around both, as many as that has indices.
template <class Layout, class Along, class T, class Visit>
void for_each_part(T& t, Index first, Index count, const Visit& visit) {
  constexpr int rank = rank_of<T>(), channels = Layout::template axis<rank>(), along = Along::template axis<rank>();
  static_assert(channels != along);
  const auto extents = extents_of(t);
  const auto whole = channel_view<Layout>(t);
  if (whole.size() == 0) return;
  Index between = 1;
  for (int axis = std::min(channels, along) + 1; axis < std::max(channels, along); ++axis) {
    between *= extents[std::size_t(axis)];
  }
  const Index length = extents[std::size_t(along)];
  auto part = whole;
  if constexpr (is_row_major<T>() == (along < channels)) {
    part.outer = count * between;
    for (Index o = 0; o < whole.outer; o += length * between) {
      part.data = whole.plane(o + first * between, 0);
      visit(part);
    }
  } else {
    const Index after = whole.inner / (length * between);
    part.inner = count * after;
    for (Index i = 0; i < between; ++i) {
      part.data = whole.data + (i * length + first) * after;
      visit(part);
    }
  }
}

/// The memory of a view as equal runs of consecutive elements, in equal groups: gaps between runs are those of matrices
/// with an outer stride or of channel slices, and between groups too those of some samples of a column-major tensor.
template <class Element>
struct Runs {
  const Element* data;
  Index groups = 1, group_stride = 0, runs = 1, stride = 0, length;

  explicit Runs(const ChannelView<Element>& v) : data(v.data), length(v.size()) {
    const bool gaps = v.channels > 1 && v.channel_stride != v.inner;
    const bool outer_gaps = v.outer > 1 && v.outer_stride != v.channels * v.inner;
    if (gaps) {
      groups = v.outer;
      group_stride = v.outer > 1 ? v.outer_stride : 0;
      runs = v.channels;
      stride = v.channel_stride;
      length = v.inner;
    } else if (outer_gaps) {
      runs = v.outer;
      stride = v.outer_stride;
      length = v.channels * v.inner;
    }
  }

  Index count() const { return groups * runs; }
  /// Where run k begins.
  Index begin_of(Index k) const { return groups == 1 ? k * stride : k / runs * group_stride + k % runs * stride; }
  /// How far from the first element the last one is.
  Index last() const { return begin_of(count() - 1) + length - 1; }

  std::uintptr_t begin() const { return reinterpret_cast<std::uintptr_t>(data); }
  std::uintptr_t end() const { return begin() + static_cast<std::uintptr_t>(last() + 1) * sizeof(Element); }
};

template <class Element>
bool same_memory(const ChannelView<Element>& a, const ChannelView<Element>& b) {
  return a.data == b.data && (a.outer <= 1 || a.outer_stride == b.outer_stride) &&
         (a.channels <= 1 || a.channel_stride == b.channel_stride);
}

/// Whether two views of the same extents have an element in common. Exact for two blocks of one matrix or tensor (equal
/// strides); views of different strides whose address ranges overlap count as meeting.
template <class Element>
bool views_meet(const ChannelView<Element>& first, const ChannelView<Element>& second) {
  if (first.size() == 0 || second.size() == 0) return false;
  Runs<Element> a(first), b(second);
  if (b.begin() < a.begin()) std::swap(a, b);
  if (a.end() <= b.begin()) return false;
  const std::uintptr_t bytes = b.begin() - a.begin();
  if (a.count() == 1 || bytes % sizeof(Element) != 0) return true;
  if (b.count() > 1 && (a.stride != b.stride || a.group_stride != b.group_stride)) return true;
  // The elements of a and b are the same where their distances in groups, runs and elements make up that of the two.
  const Index distance = static_cast<Index>(bytes / sizeof(Element));
  const auto are_so_far_apart = [](Index k, Index of_a, Index of_b) { return -of_b < k && k < of_a; };
  const auto group = [&](Index g) {
    const Index rest = distance - g * a.group_stride, run = (rest < 0 ? rest - a.stride + 1 : rest) / a.stride;
    const auto meets = [&](Index r) {
      return are_so_far_apart(r, a.runs, b.runs) && are_so_far_apart(rest - r * a.stride, a.length, b.length);
    };
    return are_so_far_apart(g, a.groups, b.groups) && (meets(run) || meets(run + 1));
  };
  const Index nearest = a.groups == 1 ? 0 : distance / a.group_stride;
  return group(nearest) || group(nearest + 1);
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
