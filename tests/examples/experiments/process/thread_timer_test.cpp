#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "experiments/process/thread_timer.hpp"

namespace thread_timer_test {

TEST(ThreadTimer, CountsWorkBetweenStartAndStopOnly) {
  process::ThreadTimer timer;
  EXPECT_EQ(timer.seconds(), 0.0);
  volatile double work = 0;
  const auto spin = [&] {
    for (int i = 0; i < 1'000'000; ++i) work = work + 1;
  };
  timer.start();
  spin();
  timer.stop();
  const double once = timer.seconds();
  EXPECT_GT(once, 0.0);
  spin();
  EXPECT_EQ(timer.seconds(), once);
  timer.start();
  spin();
  timer.stop();
  EXPECT_GT(timer.seconds(), once);
}

TEST(ThreadTimer, DoesNotCountSleep) {
  process::ThreadTimer timer;
  timer.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  timer.stop();
  EXPECT_LT(timer.seconds(), 0.04);
}

}  // namespace thread_timer_test
