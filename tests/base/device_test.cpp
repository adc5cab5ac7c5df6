#include <gtest/gtest.h>

#define EIGEN_USE_THREADS
#include <algorithm>
#include <atomic>
#include <batchnorm/base/device.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unsupported/Eigen/CXX11/Tensor>
#include <utility>
#include <vector>

namespace device_test {

namespace bn = batchnorm;
using Eigen::Index;

constexpr Index much = Index(1) << 30;

/// How often each of the blocks was run.
std::vector<int> runs_of_each_block(const bn::Device& device, Index blocks, Index bytes) {
  std::vector<std::atomic<int>> runs(static_cast<std::size_t>(blocks));
  device.for_each_block(blocks, bytes, [&](Index block) { ++runs[static_cast<std::size_t>(block)]; });
  return {runs.begin(), runs.end()};
}

static_assert(std::is_convertible_v<Eigen::DefaultDevice, bn::Device>);
static_assert(std::is_convertible_v<Eigen::ThreadPoolDevice, bn::Device>);
static_assert(std::is_convertible_v<const Eigen::ThreadPoolDevice&, bn::Device>);

TEST(Device, RunsEveryBlockOnceInOrderWithoutAPool) {
  std::vector<Index> order;
  bn::Device(Eigen::DefaultDevice{}).for_each_block(5, much, [&](Index block) { order.push_back(block); });
  EXPECT_EQ(order, (std::vector<Index>{0, 1, 2, 3, 4}));
}

TEST(Device, RunsEveryBlockOnceOnAPoolOfAnySize) {
  for (const int threads : {1, 2, 3, 8}) {
    Eigen::ThreadPool pool(threads);
    const Eigen::ThreadPoolDevice device(&pool, threads);
    for (const Index blocks : {0, 1, 2, 3, 100}) {
      EXPECT_EQ(runs_of_each_block(bn::Device(device), blocks, much), std::vector<int>(std::size_t(blocks), 1));
    }
  }
}

TEST(Device, HandsNeighboringBlocksOverTogether) {
  const auto parts_of = [](const bn::Device& device, Index bytes) {
    std::mutex mutex;
    std::vector<std::pair<Index, Index>> parts;
    device.for_each_part(100, bytes, [&](Index first, Index last) {
      const std::lock_guard lock(mutex);
      parts.emplace_back(first, last);
    });
    std::sort(parts.begin(), parts.end());
    return parts;
  };
  using Parts = std::vector<std::pair<Index, Index>>;
  Eigen::ThreadPool pool(2);
  const Eigen::ThreadPoolDevice device(&pool, 3);
  EXPECT_EQ(parts_of(bn::Device(), much), (Parts{{0, 100}}));
  EXPECT_EQ(parts_of(bn::Device(device), 1000), (Parts{{0, 100}}));
  // Whoever claims, the parts are the same: a sixth of what is left.
  const Parts parts = parts_of(bn::Device(device), much);
  EXPECT_EQ(parts.front(), std::pair(Index(0), Index(16)));
  EXPECT_EQ(parts.back(), std::pair(Index(99), Index(100)));
  for (std::size_t k = 1; k < parts.size(); ++k) EXPECT_EQ(parts[k].first, parts[k - 1].second);
}

TEST(Device, StaysOnTheCallingThreadForLittleWork) {
  Eigen::ThreadPool pool(4);
  const Eigen::ThreadPoolDevice device(&pool, 4);
  const auto caller = std::this_thread::get_id();
  Index elsewhere = 0;
  bn::Device(device).for_each_block(50, 1000, [&](Index) { elsewhere += std::this_thread::get_id() != caller; });
  EXPECT_EQ(elsewhere, 0);
}

TEST(Device, GivesBlocksToOtherThreads) {
  Eigen::ThreadPool pool(3);
  const Eigen::ThreadPoolDevice device(&pool, 4);
  std::atomic<int> inside{0};
  std::atomic<bool> met{false};
  // Each block waits until two threads are inside blocks at the same time: with one thread only, this would never be.
  bn::Device(device).for_each_block(4, much, [&](Index) {
    if (++inside >= 2) met = true;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!met && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    --inside;
  });
  EXPECT_TRUE(met);
}

TEST(Device, WaitsForTheBlocksThatOtherThreadsHaveBegun) {
  Eigen::ThreadPool pool(2);
  const Eigen::ThreadPoolDevice device(&pool, 2);
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> helper_has_begun{false};
  std::atomic<int> complete{0};
  bn::Device(device).for_each_block(2, much, [&](Index) {
    if (std::this_thread::get_id() == caller) {
      const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (!helper_has_begun && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    } else {
      helper_has_begun = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    ++complete;
  });
  EXPECT_EQ(complete, 2);
}

// The pool's only thread makes the call: no other thread will ever come to help.
TEST(Device, EndsWhenCalledFromATaskOfTheSamePool) {
  Eigen::ThreadPool pool(1);
  const Eigen::ThreadPoolDevice device(&pool, 4);
  Eigen::Notification done;
  std::vector<int> runs;
  pool.Schedule([&] {
    runs = runs_of_each_block(bn::Device(device), 20, much);
    done.Notify();
  });
  done.Wait();
  EXPECT_EQ(runs, std::vector<int>(20, 1));
}

TEST(Device, EndsWhenAllThreadsOfThePoolCallAtOnce) {
  Eigen::ThreadPool pool(3);
  const Eigen::ThreadPoolDevice device(&pool, 3);
  Eigen::Barrier done(6);
  std::atomic<int> complete{0};
  for (int task = 0; task < 6; ++task) {
    pool.Schedule([&] {
      complete += runs_of_each_block(bn::Device(device), 20, much) == std::vector<int>(20, 1);
      done.Notify();
    });
  }
  done.Wait();
  EXPECT_EQ(complete, 6);
}

// A thread that wakes late must not touch what the caller has already taken down.
TEST(Device, LeavesLateThreadsNothingToTouch) {
  for (int repetition = 0; repetition < 200; ++repetition) {
    Eigen::ThreadPool pool(4);
    const Eigen::ThreadPoolDevice device(&pool, 4);
    auto sum = std::make_unique<std::atomic<Index>>(0);
    bn::Device(device).for_each_block(3, much, [&](Index block) { *sum += block; });
    ASSERT_EQ(*sum, 3);
    sum.reset();
  }
}

TEST(Device, ThrowsWhatABlockThrewWhenNoneIsRunningAnyMore) {
  for (const int threads : {1, 2, 4}) {
    Eigen::ThreadPool pool(threads);
    const Eigen::ThreadPoolDevice device(&pool, threads);
    for (const Index bad : {0, 7, 49}) {
      std::atomic<int> inside{0};
      const auto call = [&] {
        bn::Device(device).for_each_block(50, much, [&](Index block) {
          ++inside;
          if (block == bad) {
            --inside;
            throw std::runtime_error(std::to_string(block));
          }
          std::this_thread::sleep_for(std::chrono::microseconds(200));
          --inside;
        });
      };
      try {
        call();
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(), std::to_string(bad));
      }
      EXPECT_EQ(inside, 0);
      EXPECT_EQ(runs_of_each_block(bn::Device(device), 20, much), std::vector<int>(20, 1));
    }
  }
}

TEST(Device, ThrowsOneOfManyExceptions) {
  Eigen::ThreadPool pool(4);
  const Eigen::ThreadPoolDevice device(&pool, 4);
  EXPECT_THROW(bn::Device(device).for_each_block(100, much, [](Index) { throw std::bad_alloc(); }), std::bad_alloc);
}

// A pool that takes one task and then has no memory for another.
TEST(Device, DoesWithoutThreadsThatCannotBeAsked) {
  struct Pool {
    int tasks = 0;
    std::vector<std::function<void()>> taken;
    void Schedule(std::function<void()> task) {
      if (++tasks > 1) throw std::bad_alloc();
      taken.push_back(std::move(task));
    }
  };
  struct PoolDevice {
    Pool* pool;
    int numThreads() const { return 4; }
    Pool* getPool() const { return pool; }
  };
  Pool pool;
  EXPECT_EQ(runs_of_each_block(bn::Device(PoolDevice{&pool}), 20, much), std::vector<int>(20, 1));
  EXPECT_EQ(pool.tasks, 2);
  pool.taken.front()();
}

}  // namespace device_test
