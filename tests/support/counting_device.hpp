/// \file
/// A device whose threads are counted, not woken.
#pragma once

#include <functional>

namespace testing_support {

/// Counts what is scheduled, and runs it at once.
struct CountingPool {
  int scheduled = 0;
  void Schedule(const std::function<void()>& task) {
    ++scheduled;
    task();
  }
};

struct CountingDevice {
  CountingPool* pool;
  int numThreads() const { return 8; }
  CountingPool* getPool() const { return pool; }
};

}  // namespace testing_support
