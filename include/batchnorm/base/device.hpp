/// \file
/// Devices: where a call runs. The library starts no threads of its own; it takes Eigen's devices as it finds them.
#pragma once

#include <batchnorm/base/error.hpp>
#include <batchnorm/base/tensor.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

namespace Eigen {
struct DefaultDevice;
struct GpuDevice;
struct SyclDevice;
struct ThreadPoolDevice;
}  // namespace Eigen

namespace batchnorm {
inline namespace BATCHNORM_ABI {

namespace detail {

/// Eigen::ThreadPoolDevice, or whatever has its members.
template <class T>
concept PoolDevice = requires(const T& device) {
  device.numThreads();
  device.getPool()->Schedule(std::function<void()>{});
};

/// Eigen::ThreadPool, or whatever a task can be given to: what a device is made from.
template <class T>
concept BarePool = !PoolDevice<T> && requires(T & pool) {
  pool.Schedule(std::function<void()>{});
};

/// Eigen's device where its header has only named it.
template <class T>
concept UndefinedDevice = !PoolDevice<T> && std::same_as<T, Eigen::ThreadPoolDevice>;

/// What f() threw; nothing where exceptions are off.
template <class F>
std::exception_ptr exception_of(const F& f) noexcept {
#if defined(__cpp_exceptions)
  try {
    f();
  } catch (...) {
    return std::current_exception();
  }
#else
  f();
#endif
  return nullptr;
}

/// What is done with the blocks [first, last), seen without its type: the code around it is there once.
struct BlockBody {
  const void* body;
  void (*call)(const void* body, Index first, Index last);
};
template <class Body>
void call_for_part(const void* body, Index first, Index last) {
  (*static_cast<const Body*>(body))(first, last);
}
template <class Body>
void call_for_blocks(const void* body, Index first, Index last) {
  for (Index block = first; block < last; ++block) (*static_cast<const Body*>(body))(block);
}

/// The work of one call, cut into blocks that threads claim from a counter, several at first and one at a time in the
/// end.
class BlockQueue {
 public:
  BlockQueue(int blocks, int threads, const BlockBody& body) : blocks_(blocks), threads_(threads), body_(body) {}

  /// Runs blocks until none is left to claim, or claims them only, once one has thrown. A thread that comes late claims
  /// nothing and never touches the body.
  void work() noexcept {
    for (int first = next_; first < blocks_; first = next_) {
      const int claimed = std::max(1, (blocks_ - first) / (2 * threads_));
      if (!next_.compare_exchange_strong(first, first + claimed)) continue;
      if (!failed_) run(first, first + claimed);
      if (finished_.fetch_add(claimed) + claimed == blocks_) finished_.notify_all();
    }
  }

  /// Returns when no thread is in a block any more and none is left; throws what the first block that threw did, and
  /// keeps none of it: a thread that comes late has nothing to free while the caller looks.
  void wait() {
    for (int finished = finished_.load(); finished != blocks_; finished = finished_.load()) finished_.wait(finished);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  void run(int first, int last) noexcept {
    // A thread may not be left by an exception, nor may the caller go while others work on what it owns.
    const std::exception_ptr error = exception_of([&] { body_.call(body_.body, first, last); });
    if (error && !failed_.exchange(true)) error_ = error;
  }

  const int blocks_, threads_;
  const BlockBody body_;
  std::atomic<int> next_{0}, finished_{0};
  std::atomic<bool> failed_{false};
  /// Written before finished_ reaches blocks_, and read after.
  std::exception_ptr error_;
};

}  // namespace detail

/// Where a call runs: on the calling thread, which the threads of an Eigen::ThreadPoolDevice may help.
///
/// Made from an Eigen device where one is asked for: `norm.forward(x, y, {.device = pool})`. It keeps the device's
/// pool, which must outlive the call. The number of threads changes no bit of any result.
class Device {
 public:
  /// The calling thread alone.
  Device() = default;

  /// From Eigen::DefaultDevice, Eigen::ThreadPoolDevice, or whatever has the latter's members.
  template <class EigenDevice>
  requires(!std::same_as<EigenDevice, Device>) Device(const EigenDevice& device) {
    if constexpr (detail::BarePool<EigenDevice>) {
      static_assert(detail::always_false<EigenDevice>,
                    "batchnorm: a thread pool is not a device: make one of it, Eigen::ThreadPoolDevice device(&pool, "
                    "threads), and pass that");
    } else if constexpr (detail::UndefinedDevice<EigenDevice>) {
      static_assert(detail::always_false<EigenDevice>,
                    "batchnorm: Eigen::ThreadPoolDevice has no members here: define EIGEN_USE_THREADS before the first "
                    "#include of unsupported/Eigen/CXX11/Tensor");
    } else if constexpr (!std::same_as<EigenDevice, Eigen::DefaultDevice> && !detail::PoolDevice<EigenDevice>) {
      static_assert(detail::always_false<EigenDevice>,
                    "batchnorm: runs on the CPU only: pass an Eigen::DefaultDevice or Eigen::ThreadPoolDevice");
    } else if constexpr (detail::PoolDevice<EigenDevice>) {
      threads_ = static_cast<int>(device.numThreads());
      pool_ = device.getPool();
      schedule_ = [](void* pool, std::function<void()> task) {
        static_cast<decltype(device.getPool())>(pool)->Schedule(std::move(task));
      };
    }
  }

  /// Calls body(block) once for each block in [0, blocks), in any order, on as many threads as `bytes` of memory
  /// traffic keep busy.
  ///
  /// The caller works too, and waits only for blocks that a running thread has begun: a call from inside a task of the
  /// same pool ends even if no other thread of it ever comes. What a block throws is thrown here, when no thread is in
  /// a block any more; the blocks behind it may not have been run then.
  template <class Body>
  void for_each_block(Index blocks, Index bytes, const Body& body) const {
    run(blocks, bytes, {&body, detail::call_for_blocks<Body>});
  }

  /// The same for what neighboring blocks have in common: calls body(first, last) for parts of [0, blocks), once for
  /// all of it where one thread is kept busy.
  template <class Body>
  void for_each_part(Index blocks, Index bytes, const Body& body) const {
    run(blocks, bytes, {&body, detail::call_for_part<Body>});
  }

 private:
  /// A sleeping thread takes about 0.1 ms to wake: none is woken for less memory traffic than this, and for more as
  /// many as have so much each.
  static constexpr Index least_bytes = Index(2) << 20, bytes_per_thread = Index(512) << 10;

  void run(Index blocks, Index bytes, const detail::BlockBody& body) const {
    const Index busy = bytes < least_bytes ? 1 : bytes / bytes_per_thread;
    const Index threads = std::min({static_cast<Index>(threads_), blocks, busy});
    if (threads <= 1) {
      body.call(body.body, 0, blocks);
    } else {
      run_on(threads, blocks, body);
    }
  }

  EIGEN_DONT_INLINE void run_on(Index threads, Index blocks, const detail::BlockBody& body) const {
    const auto queue = std::make_shared<detail::BlockQueue>(static_cast<int>(blocks), static_cast<int>(threads), body);
    // Helpers that have been asked use the body, so nothing may be thrown past it: who cannot be asked does not help.
    detail::exception_of([&] {
      for (Index helper = 1; helper < threads; ++helper) schedule_(pool_, [queue] { queue->work(); });
    });
    queue->work();
    queue->wait();
  }

  int threads_ = 1;
  void* pool_ = nullptr;
  void (*schedule_)(void*, std::function<void()>) = nullptr;
};

/// How a call runs; new fields come at the end.
struct CallOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
