/// \file
/// NaN and infinity told by their bits: compilers that are told that there are none (-ffast-math) fold std::isfinite to
/// true.
#pragma once

#include <batchnorm/base/abi.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

inline constexpr std::uint64_t sign_bit = 0x8000000000000000u, exponent_bits = 0x7ff0000000000000u,
                               lowest_exponent_bit = 0x0010000000000000u;

/// Neither NaN nor infinite.
constexpr bool is_finite(double value) {
  return (std::bit_cast<std::uint64_t>(value) & exponent_bits) != exponent_bits;
}
constexpr bool is_finite(float value) { return (std::bit_cast<std::uint32_t>(value) & 0x7f800000u) != 0x7f800000u; }

/// Infinite, of either sign.
constexpr bool is_infinite(double value) { return (std::bit_cast<std::uint64_t>(value) & ~sign_bit) == exponent_bits; }
constexpr bool is_infinite(float value) { return (std::bit_cast<std::uint32_t>(value) & 0x7fffffffu) == 0x7f800000u; }

/// Finite and not below zero.
constexpr bool is_variance(double value) {
  return is_finite(value) && std::bit_cast<std::uint64_t>(value) <= sign_bit;  // that of -0
}

/// Bits in a register of the instruction set: compilers at -O2 leave a loop over integers as it is.
inline constexpr std::size_t register_bytes = sizeof(typename Eigen::internal::packet_traits<double>::type);
typedef std::uint64_t RegisterOfBits __attribute__((vector_size(register_bytes < 16 ? 16 : register_bytes)));

/// Whether mark(bits...) leaves the sign bit unset for all places of some arrays of doubles.
template <class Mark, class... Doubles>
bool none_marked(Eigen::Index size, const Mark& mark, const Doubles*... values) {
  constexpr Eigen::Index width = sizeof(RegisterOfBits) / sizeof(std::uint64_t);
  const auto load = [](const double* from) {
    RegisterOfBits bits;
    std::memcpy(&bits, from, sizeof(bits));
    return bits;
  };
  const auto marks = [&](Eigen::Index i) { return mark(load(values + i)...); };
  RegisterOfBits even = {}, odd = {};
  std::uint64_t marked = 0;
  Eigen::Index i = 0;
  for (; i + 2 * width <= size; i += 2 * width) {
    even |= marks(i);
    odd |= marks(i + width);
  }
  if (size >= width) {
    if (i + width < size) odd |= marks(i);
    even |= marks(size - width);
  } else {
    for (; i < size; ++i) marked |= mark(std::bit_cast<std::uint64_t>(values[i])...);
  }
  even |= odd;
  for (Eigen::Index k = 0; k < width; ++k) marked |= even[k];
  return (marked & sign_bit) == 0;
}

/// The sign bit of what is not finite: an exponent of all ones, and no other, carries when one is added.
constexpr auto not_finite = [](auto bits) { return (bits & exponent_bits) + lowest_exponent_bit; };

/// Whether an array or matrix of doubles has neither NaN nor infinity.
template <class Values>
bool all_finite(const Eigen::PlainObjectBase<Values>& values) {
  return none_marked(values.size(), not_finite, values.data());
}

/// Whether all means are finite, and all variances too and without a sign: -0 fails, though it is_variance.
inline bool all_finite_without_sign(const Eigen::ArrayXd& means, const Eigen::ArrayXd& variances) {
  const auto mark = [](auto mean, auto variance) {
    return not_finite(mean) | variance | (variance + lowest_exponent_bit);
  };
  return none_marked(means.size(), mark, means.data(), variances.data());
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
