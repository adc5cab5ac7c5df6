/// \file
/// The caches of the machine that measures, and which of them a pass can live in.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <string>

namespace benchmarks {

/// A core's cache of level 1 (for data), 2 or 3; 0 where neither the C library nor Linux says.
inline std::ptrdiff_t cache_bytes(int level) {
#ifdef _SC_LEVEL2_CACHE_SIZE
  const long size = sysconf(level == 1   ? _SC_LEVEL1_DCACHE_SIZE
                            : level == 2 ? _SC_LEVEL2_CACHE_SIZE
                                         : _SC_LEVEL3_CACHE_SIZE);
  if (size > 0) return size;
#endif
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(level == 1 ? 0 : level) + "/size");
  std::ptrdiff_t kibibytes = 0;
  return file >> kibibytes ? kibibytes * 1024 : 0;
}

/// A core's second cache; 2 MiB where nobody says.
inline std::ptrdiff_t l2_bytes() {
  const std::ptrdiff_t size = cache_bytes(2);
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
