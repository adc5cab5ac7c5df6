/// \file
/// How a wrong call is reported.
#pragma once

#include <batchnorm/core/abi.hpp>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// False, but not before there are Ts: for a static_assert that refuses whoever comes.
template <class... Ts>
inline constexpr bool never = false;

/// Throws std::invalid_argument("batchnorm: " followed by the parts); where exceptions are off, prints that and aborts.
template <class... Parts>
[[noreturn]] EIGEN_DONT_INLINE void fail(const Parts&... parts) {
  std::ostringstream message;
  message << "batchnorm: ";
  (message << ... << parts);
#if defined(__cpp_exceptions)
  throw std::invalid_argument(message.str());
#else
  std::fputs((message.str() + "\n").c_str(), stderr);
  std::abort();
#endif
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
