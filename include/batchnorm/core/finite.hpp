/// \file
/// NaN and infinity told by their bits: compilers that are told that there are none (-ffast-math) fold std::isfinite to
/// true.
#pragma once

#include <batchnorm/core/abi.hpp>

#include <bit>
#include <cstdint>
#include <cstring>

namespace batchnorm::inline BATCHNORM_ABI::detail {

inline constexpr std::uint64_t sign_bit = 0x8000000000000000u, exponent_bits = 0x7ff0000000000000u,
                               lowest_exponent_bit = 0x0010000000000000u;

/// Neither NaN nor infinite.
constexpr bool is_finite(double value) {
  return (std::bit_cast<std::uint64_t>(value) & exponent_bits) != exponent_bits;
}
constexpr bool is_finite(float value) { return (std::bit_cast<std::uint32_t>(value) & 0x7f800000u) != 0x7f800000u; }

/// Finite and not below zero.
constexpr bool is_variance(double value) {
  return is_finite(value) && std::bit_cast<std::uint64_t>(value) <= sign_bit;  // that of -0
}

/// Whether mark(bits) leaves the sign bit unset for all values. Four values at a time, spelled in registers of 16 bytes
/// that every instruction set has: at -O2 compilers do not find them.
template <class Mark>
bool none_marked(const double* values, Eigen::Index size, const Mark& mark) {
  typedef std::uint64_t Two __attribute__((vector_size(16)));
  Two even = {}, odd = {};
  Eigen::Index i = 0;
  for (; i + 4 <= size; i += 4) {
    Two a, b;
    std::memcpy(&a, values + i, sizeof(a));
    std::memcpy(&b, values + i + 2, sizeof(b));
    even |= mark(a);
    odd |= mark(b);
  }
  std::uint64_t marked = even[0] | even[1] | odd[0] | odd[1];
  for (; i < size; ++i) marked |= mark(std::bit_cast<std::uint64_t>(values[i]));
  return (marked & sign_bit) == 0;
}

/// Whether an array or matrix of doubles has neither NaN nor infinity. An exponent of all ones, and no other, carries
/// into the sign when one is added.
template <class Values>
bool all_finite(const Eigen::PlainObjectBase<Values>& values) {
  return none_marked(values.data(), values.size(),
                     [](auto bits) { return (bits & exponent_bits) + lowest_exponent_bit; });
}

/// Whether all are finite, and none has a sign: -0 fails, though it is_variance.
template <class Values>
bool all_finite_without_sign(const Eigen::PlainObjectBase<Values>& values) {
  return none_marked(values.data(), values.size(),
                     [](auto bits) { return bits | ((bits & exponent_bits) + lowest_exponent_bit); });
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
