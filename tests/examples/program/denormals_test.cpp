#include "program/denormals.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

namespace {

TEST(Denormals, AreZeroInTheThreadThatAskedForIt) {
#if defined(__SSE2__) || defined(__aarch64__)
  volatile float smallest = std::numeric_limits<float>::min(), result = 0;
  std::thread([&] {
    program::flush_denormals();
    result = smallest / 2;
  }).join();
  EXPECT_EQ(result, 0.0f);
  result = smallest / 2;
  EXPECT_GT(result, 0.0f) << "this thread did not ask";
#else
  GTEST_SKIP() << "nothing is set on this machine";
#endif
}

}  // namespace
