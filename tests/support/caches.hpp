/// \file
/// What the library takes the caches for.
#pragma once

#include <Eigen/Core>
#include <cstddef>

namespace testing_support {

/// While it lives, passes over more than 4 MiB go past the caches, whatever this machine has: as where L2 is 2 MiB.
class EarlyStreaming {
 public:
  EarlyStreaming() { Eigen::setCpuCacheSizes(l1_, std::ptrdiff_t(2) << 20, l3_); }
  ~EarlyStreaming() { Eigen::setCpuCacheSizes(l1_, l2_, l3_); }
  EarlyStreaming(const EarlyStreaming&) = delete;
  EarlyStreaming& operator=(const EarlyStreaming&) = delete;

 private:
  const std::ptrdiff_t l1_ = Eigen::l1CacheSize(), l2_ = Eigen::l2CacheSize(), l3_ = Eigen::l3CacheSize();
};

}  // namespace testing_support
