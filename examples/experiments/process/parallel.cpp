#include "experiments/process/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <batchnorm/base/denormals.hpp>
#include <future>
#include <thread>
#include <vector>

#include "experiments/process/interrupt.hpp"

namespace process {

void for_each_in_parallel(std::size_t count, const std::function<void(std::size_t)>& body) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    const batchnorm::FlushDenormals guard;
    try {
      for (std::size_t i = next++; i < count && !interrupted(); i = next++) body(i);
    } catch (...) {
      next = count;
      throw;
    }
  };
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::future<void>> threads;
  for (std::size_t i = 0; i < std::min(count, cores); ++i) threads.push_back(std::async(std::launch::async, work));
  for (auto& thread : threads) thread.wait();
  for (auto& thread : threads) thread.get();
}

}  // namespace process
