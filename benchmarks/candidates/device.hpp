/// \file
/// Threads for our own candidates.
#pragma once

#include <unsupported/Eigen/CXX11/Tensor>

namespace benchmarks {

/// A pool of this many threads. It is made once: at most one number of threads is asked for in one run.
inline const Eigen::ThreadPoolDevice& pool_device(int threads) {
  static Eigen::ThreadPool pool(threads);
  static const Eigen::ThreadPoolDevice device(&pool, threads);
  return device;
}

}  // namespace benchmarks
