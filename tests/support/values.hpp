/// \file
/// What all comparisons are made on: a batch as a table with one row per value and one column per channel.
///
/// A tensor is read into the table, and written from it, through its own operator() with the indices a user would
/// write, and the tests say by number which axis holds the channels. So nothing here knows where the library believes
/// an element to lie.
#pragma once

#include <Eigen/Core>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "random.hpp"

namespace testing_support {

using Eigen::Index;

/// 64 bits of mantissa on x86, so that a reference computed in it can judge results in double.
using Real = long double;
/// One row per value, one column per channel.
using Values = Eigen::Array<Real, Eigen::Dynamic, Eigen::Dynamic>;
/// One number per channel.
using PerChannel = Eigen::Array<Real, Eigen::Dynamic, 1>;

template <std::size_t Rank>
using Extents = std::array<Index, Rank>;

template <class T>
concept DenseObject = requires(const T& t) {
  t.rows();
  t.cols();
};

template <DenseObject T>
Extents<2> extents_of(const T& t) {
  return {t.rows(), t.cols()};
}

template <class T>
auto extents_of(const T& tensor) {
  // Constants for the axes, since Eigen's kinds of dimensions disagree about the sign of an index.
  return [&]<std::size_t... Axis>(std::index_sequence<Axis...>) {
    return Extents<sizeof...(Axis)>{tensor.dimensions()[Axis]...};
  }
  (std::make_index_sequence<std::size_t(T::NumDimensions)>{});
}

template <DenseObject T>
decltype(auto) element(T& t, const Extents<2>& index) {
  return t(index[0], index[1]);
}

template <class T, std::size_t Rank>
decltype(auto) element(T& tensor, const Extents<Rank>& index) {
  return tensor(index);
}

/// Values per channel when the channels are on axis `axis`.
template <std::size_t Rank>
Index count_of(const Extents<Rank>& extents, int axis) {
  Index count = 1;
  for (std::size_t k = 0; k < Rank; ++k) count *= int(k) == axis ? 1 : extents[k];
  return count;
}

/// Calls visit(row, channel, index) for every element: rows count the indices of the other axes in the order they are
/// written, so NCHW and NHWC tensors with the same contents give the same table.
template <std::size_t Rank, class Visit>
void for_each_index(const Extents<Rank>& extents, int axis, Visit&& visit) {
  const Index rows = count_of(extents, axis);
  for (Index row = 0; row < rows; ++row) {
    Extents<Rank> index{};
    Index rest = row;
    for (std::size_t k = Rank; k-- > 0;) {
      if (int(k) == axis) continue;
      index[k] = rest % extents[k];
      rest /= extents[k];
    }
    for (Index channel = 0; channel < extents[std::size_t(axis)]; ++channel) {
      index[std::size_t(axis)] = channel;
      visit(row, channel, index);
    }
  }
}

template <class T>
Values values_of(const T& tensor, int axis) {
  const auto extents = extents_of(tensor);
  Values values(count_of(extents, axis), extents[std::size_t(axis)]);
  for_each_index(extents, axis,
                 [&](Index row, Index c, const auto& index) { values(row, c) = Real(element(tensor, index)); });
  return values;
}

template <class T>
void assign(const Values& values, T&& tensor, int axis) {
  for_each_index(extents_of(tensor), axis, [&](Index row, Index c, const auto& index) {
    auto& target = element(tensor, index);
    target = static_cast<std::remove_reference_t<decltype(target)>>(values(row, c));
  });
}

/// The table as it is after a round trip through Scalar: what the library really gets to see.
template <class Scalar>
Values rounded_to(const Values& values) {
  return values.cast<Scalar>().template cast<Real>();
}

/// Every channel has its own mean and spread, so that a swapped or shifted channel axis cannot pass. The spread is
/// exact also for a count of two, so that no channel is badly conditioned by accident: the hard data are in
/// hard_data.hpp.
Values random_values(Index count, Index channels, Random& random);

/// Independent normal values: incoming gradients and cotangents.
Values normal_values(Index count, Index channels, Random& random);

/// One number per channel, between low and high.
PerChannel random_per_channel(Index channels, double low, double high, Random& random);

/// The largest magnitude, of a difference that must be small: infinite if a value is NaN, which Eigen's maxCoeff() may
/// pass over, or if there are none.
Real max_abs(const Values& values);

template <class Derived>
Real max_abs(const Eigen::DenseBase<Derived>& values) {
  return max_abs(Values(values.derived().array().template cast<Real>()));
}

/// Equal bit for bit: tells +0 from -0, and a NaN equals itself. (A long double has padding, which is left out of it.)
template <class Scalar>
bool same_bits(Scalar a, Scalar b) {
  if constexpr (std::is_same_v<Scalar, long double>) {
    return (a == b && std::signbit(a) == std::signbit(b)) || (std::isnan(a) && std::isnan(b));
  } else {
    return std::memcmp(&a, &b, sizeof(Scalar)) == 0;
  }
}

}  // namespace testing_support
