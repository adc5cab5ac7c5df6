/// \file
/// The caches of the machine that measures, and which of them a pass can live in.
#pragma once

#include <unistd.h>

#include <cstddef>

namespace benchmarks {

/// A core's second cache; 2 MiB where the system does not say.
inline std::ptrdiff_t l2_bytes() {
  const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return size > 0 ? size : std::ptrdiff_t(2) << 20;
}

/// Where a pass finds its tensors when it is called again and again.
enum class Home { l2, cache, memory };

/// The home of so many bytes of inputs and outputs. Of a last cache, which others use as well, nobody can count on more
/// than 32 MiB.
inline Home home_of(std::ptrdiff_t bytes) {
  constexpr std::ptrdiff_t last_cache = std::ptrdiff_t(32) << 20;
  if (bytes <= l2_bytes()) return Home::l2;
  return bytes < last_cache ? Home::cache : Home::memory;
}

constexpr const char* name_of(Home home) {
  switch (home) {
    case Home::l2: return "L2";
    case Home::cache: return "cache";
    case Home::memory: return "memory";
  }
  return "";
}

}  // namespace benchmarks
