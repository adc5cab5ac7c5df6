/// \file
/// How much each sample, or each position of it, counts in the statistics of a batch; masks, where that is 0 or 1.
#pragma once

#include <batchnorm/base/error.hpp>
#include <batchnorm/base/finite.hpp>
#include <batchnorm/base/layout.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// A look at the weights of a call: `norm.forward(x, y, {.weights = mask})`. Made from a vector, matrix or tensor of
/// numbers or bools, which must outlive it.
///
///   n = sum_i w_i        mean_c = (1/n) sum_i w_i x_ci        variance_c = (1/n) sum_i w_i (x_ci - mean_c)^2
///
/// A weight of k counts as k equal values do, so n stands for the number of values wherever that is asked for. A weight
/// of 0 says that nothing is there: what x and dy hold there, NaN included, enters no sum; dx is 0 there, and y is what
/// the formula makes of x.
///
/// Shapes   [N], one for each sample, whose axis is the first that is not the channels'; or the extents of x without
///          its channels, one for each position. In any storage order
class Weights {
 public:
  /// From a vector, matrix, array, Map or Tensor with memory of its own.
  template <class T>
  requires(!std::same_as<T, Weights>) Weights(const T& weights) {
    static_assert(detail::InMemory<T>,
                  "batchnorm: weights are a vector, matrix or tensor with memory of its own: evaluate an expression "
                  "first, for example x.eval()");
    if constexpr (detail::InMemory<T>) view(weights);
  }

  /// How many axes they have.
  int rank() const { return rank_; }
  /// Of an axis.
  Index extent(int axis) const { return extents_[std::size_t(axis)]; }
  /// From an index of an axis to the next, in elements.
  Index stride(int axis) const { return strides_[std::size_t(axis)]; }
  /// Copies `count` of them, the first of which lies `offset` elements behind the first of all.
  void read(Index offset, Index stride, Index count, double* to) const { read_(data_, offset, stride, count, to); }
  /// Prints the extents, as `[8, 14, 14]`.
  friend std::ostream& operator<<(std::ostream& out, const Weights& weights) {
    const char* separator = "[";
    for (int axis = 0; axis < weights.rank(); ++axis) {
      out << separator << weights.extent(axis);
      separator = ", ";
    }
    return out << (weights.rank() > 0 ? "]" : "[]");
  }

 private:
  static constexpr int most_axes = 16;

  template <class T>
  void view(const T& weights) {
    using Element = detail::scalar_t<T>;
    data_ = weights.data();
    read_ = [](const void* data, Index offset, Index stride, Index count, double* to) {
      const Element* from = static_cast<const Element*>(data) + offset;
      for (Index k = 0; k < count; ++k) to[k] = static_cast<double>(from[k * stride]);
    };
    if constexpr (!detail::Dense<T>) {
      rank_ = detail::rank_of<T>();
      static_assert(detail::rank_of<T>() <= most_axes);
      const auto extents = detail::extents_of(weights);
      Index stride = 1;
      for (int k = 0; k < rank_; ++k) {
        const std::size_t axis = std::size_t(detail::is_row_major<T>() ? rank_ - 1 - k : k);
        extents_[axis] = extents[axis];
        strides_[axis] = stride;
        stride *= extents[axis];
      }
    } else if constexpr (bool(T::IsVectorAtCompileTime)) {
      rank_ = 1;
      extents_[0] = weights.size();
      strides_[0] = weights.innerStride();
    } else {
      rank_ = 2;
      extents_ = {weights.rows(), weights.cols()};
      strides_ = {weights.rowStride(), weights.colStride()};
    }
  }

  const void* data_ = nullptr;
  void (*read_)(const void*, Index, Index, Index, double*) = nullptr;
  int rank_ = 0;
  std::array<Index, most_axes> extents_{}, strides_{};
};

namespace detail {

/// The strides of weights along the axes of a tensor, 0 where all have the same; none if they do not fit it.
template <std::size_t Rank>
std::optional<Extents<Rank>> strides_along(const Weights& weights, const Extents<Rank>& extents,
                                           std::size_t channel_axis) {
  Extents<Rank> strides{};
  if (weights.rank() == 1) {
    const std::size_t samples = channel_axis == 0 ? 1 : 0;
    if (weights.extent(0) != extents[samples]) return {};
    strides[samples] = weights.stride(0);
  } else {
    if (weights.rank() + 1 != int(Rank)) return {};
    for (std::size_t axis = 0, from = 0; axis < Rank; ++axis) {
      if (axis == channel_axis) continue;
      if (weights.extent(int(from)) != extents[axis]) return {};
      strides[axis] = weights.stride(int(from++));
    }
  }
  return strides;
}

/// The index of the first weight that is not a finite Scalar >= 0, or `count`.
template <class Scalar>
Index find_bad_weight(const double* weights, Index count) {
  constexpr double most = static_cast<double>(std::numeric_limits<Scalar>::max());
  const auto mark = [most_bits = std::bit_cast<std::uint64_t>(most)](auto bits) { return bits | (most_bits - bits); };
  if (none_marked(count, mark, weights)) return count;
  Index k = 0;
  while (k < count && is_variance(weights[k]) && weights[k] <= most) ++k;
  return k;
}

/// One weight for each position of x, in the order in which x lies in memory.
///
/// Throws   std::invalid_argument unless their extents are those of x's samples or positions, and all are finite and
///          not negative
template <class Scalar, std::size_t Rank>
std::vector<Scalar> weights_by_position(const char* call, const Weights& weights, const ShapeText<Rank>& x,
                                        std::size_t channel_axis) {
  const auto& extents = x.extents;
  const auto strides = strides_along(weights, extents, channel_axis);
  if (!strides) {
    const Index samples = extents[channel_axis == 0 ? 1 : 0];
    fail(call, "(weights): expected one for each of the ", samples, " samples, [", samples,
         "], or one for each position, the extents of x without axis ", channel_axis, ", got ", weights, "; x is ", x);
  }

  // The other axes in the order of memory, the fastest first.
  std::array<std::size_t, Rank - 1> order{};
  Index positions = 1;
  for (std::size_t n = 0, k = 0; n < Rank; ++n) {
    const std::size_t axis = x.row_major ? Rank - 1 - n : n;
    if (axis == channel_axis) continue;
    order[k++] = axis;
    positions *= extents[axis];
  }
  std::vector<Scalar> result(static_cast<std::size_t>(positions));
  constexpr Index at_a_time = 256;
  double values[at_a_time];
  Extents<Rank> index{};
  const Index run = extents[order[0]], stride = (*strides)[order[0]];
  for (Index begin = 0, offset = 0; begin < positions; begin += run) {
    for (Index first = 0; first < run; first += at_a_time) {
      const Index count = std::min(at_a_time, run - first);
      weights.read(offset + first * stride, stride, count, values);
      if (const Index bad = find_bad_weight<Scalar>(values, count); bad < count) {
        fail(call, "(weights): expected finite weights >= 0, got ", values[bad], "; weights are ", weights, ", x is ",
             x);
      }
      std::transform(values, values + count, result.begin() + begin + first,
                     [](double value) { return static_cast<Scalar>(value); });
    }
    for (std::size_t k = 1; k < order.size(); ++k) {
      const std::size_t axis = order[k];
      offset += (*strides)[axis];
      if (++index[axis] < extents[axis]) break;
      offset -= (*strides)[axis] * extents[axis];
      index[axis] = 0;
    }
  }
  return result;
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
