/// \file
/// What goes through an array of a few at compile time: the tensors of a call, the packets of a step.
#pragma once

#include <batchnorm/base/tensor.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// f(values[0], values[1], ...). Not std::apply, each call of which costs a compiler a dozen instantiations, nor a
/// lambda of indices, through whose captures g++ 12 makes slower code: short planes take 1.03 to 1.08 times as long.
template <class T, std::size_t N, class F, std::size_t... i>
EIGEN_STRONG_INLINE auto unpack(const std::array<T, N>& values, const F& f, std::index_sequence<i...>) {
  return f(values[i]...);
}
template <class T, std::size_t N, class F>
EIGEN_STRONG_INLINE auto unpack(const std::array<T, N>& values, const F& f) {
  return unpack(values, f, std::make_index_sequence<N>());
}

/// f of each.
template <class T, std::size_t N, class F, std::size_t... i>
EIGEN_STRONG_INLINE auto each(const std::array<T, N>& values, const F& f, std::index_sequence<i...>) {
  return std::array<decltype(f(values[0])), N>{f(values[i])...};
}
template <class T, std::size_t N, class F>
EIGEN_STRONG_INLINE auto each(const std::array<T, N>& values, const F& f) {
  return each(values, f, std::make_index_sequence<N>());
}

/// Those of one and then those of another.
template <class T, std::size_t N>
EIGEN_STRONG_INLINE std::array<T, 2 * N> joined(const std::array<T, N>& a, const std::array<T, N>& b) {
  return unpack(a, [&](const auto&... first) {
    return unpack(b, [&](const auto&... second) { return std::array<T, 2 * N>{first..., second...}; });
  });
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
