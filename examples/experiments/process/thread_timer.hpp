#pragma once

#include <ctime>

namespace process {

/// Adds up the CPU time that the calling thread spends between start() and stop().
class ThreadTimer {
 public:
  void start() { start_ = now(); }
  void stop() { seconds_ += now() - start_; }
  double seconds() const { return seconds_; }

 private:
  static double now() {
    std::timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  double start_ = 0, seconds_ = 0;
};

}  // namespace process
