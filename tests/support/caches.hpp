/// \file
/// What the library takes the caches for.
#pragma once

#include <Eigen/Core>
#include <cstddef>

namespace testing_support {

/// While it lives, the caches are of these bytes, whatever this machine has.
class CacheSizes {
 public:
  CacheSizes(std::ptrdiff_t l2, std::ptrdiff_t l3) { Eigen::setCpuCacheSizes(l1_, l2, l3); }
  ~CacheSizes() { Eigen::setCpuCacheSizes(l1_, l2_, l3_); }
  CacheSizes(const CacheSizes&) = delete;
  CacheSizes& operator=(const CacheSizes&) = delete;

 private:
  const std::ptrdiff_t l1_ = Eigen::l1CacheSize(), l2_ = Eigen::l2CacheSize(), l3_ = Eigen::l3CacheSize();
};

/// While it lives, passes over more than 4 MiB go past the caches: as where L2 is 2 MiB.
class EarlyStreaming {
  const CacheSizes sizes_{std::ptrdiff_t(2) << 20, std::ptrdiff_t(32) << 20};
};

}  // namespace testing_support
