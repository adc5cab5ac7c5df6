/// \file
/// Threads for our own candidates.
#pragma once

#include <map>
#include <unsupported/Eigen/CXX11/Tensor>

namespace benchmarks {

/// A pool of this many threads, made when it is first asked for.
inline const Eigen::ThreadPoolDevice& pool_device(int threads) {
  struct Pool {
    explicit Pool(int size) : pool(size), device(&pool, size) {}
    Eigen::ThreadPool pool;
    Eigen::ThreadPoolDevice device;
  };
  static std::map<int, Pool> pools;
  return pools.try_emplace(threads, threads).first->second.device;
}

}  // namespace benchmarks
