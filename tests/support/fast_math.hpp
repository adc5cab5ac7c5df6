/// \file
/// NaN and infinity by their bits, for tests that are built with -ffast-math: compilers take it there that there is
/// neither, in the tests too.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

namespace testing_support {

#if !__FINITE_MATH_ONLY__
#error "this test is to be built with -ffast-math"
#endif

template <class T>
using bits_t = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

template <class T>
constexpr bits_t<T> infinite_bits = sizeof(T) == 4 ? bits_t<T>(0x7f800000u) : bits_t<T>(0x7ff0000000000000u);

/// Read from memory that the compiler knows nothing of.
template <class T>
T from_bits(bits_t<T> bits) {
  volatile bits_t<T> hidden = bits;
  return std::bit_cast<T>(bits_t<T>(hidden));
}
template <class T>
T infinity() {
  return from_bits<T>(infinite_bits<T>);
}
/// A quiet NaN with or without its sign, as x86 and ARM make them.
template <class T>
T nan(bool sign = false) {
  return from_bits<T>(infinite_bits<T> | infinite_bits<T> >> 1 | (sign ? bits_t<T>(1) << (sizeof(T) * 8 - 1) : 0));
}

template <class T>
bits_t<T> magnitude(T value) {
  volatile T hidden = value;
  return std::bit_cast<bits_t<T>>(T(hidden)) & (~bits_t<T>(0) >> 1);
}
template <class T>
bool is_nan(T value) {
  return magnitude(value) > infinite_bits<T>;
}
template <class T>
bool is_finite(T value) {
  return magnitude(value) < infinite_bits<T>;
}
template <class T>
bool has_sign(T value) {
  volatile T hidden = value;
  return std::bit_cast<bits_t<T>>(T(hidden)) >> (sizeof(T) * 8 - 1) != 0;
}

}  // namespace testing_support
