#include "experiments/process/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace parallel_test {

TEST(ForEachInParallel, CallsEachOnce) {
  std::vector<std::atomic<int>> calls(100);
  process::for_each_in_parallel(calls.size(), [&](std::size_t i) { ++calls[i]; });
  for (const auto& count : calls) EXPECT_EQ(count, 1);
  process::for_each_in_parallel(0, [](std::size_t) { FAIL(); });
}

TEST(ForEachInParallel, ThrowsWhatABodyThrows) {
  std::atomic<int> calls = 0;
  const auto body = [&](std::size_t) {
    ++calls;
    throw std::runtime_error("no");
  };
  EXPECT_THROW(process::for_each_in_parallel(10'000, body), std::runtime_error);
  EXPECT_LT(calls, 10'000) << "the others are not begun then";
}

}  // namespace parallel_test
