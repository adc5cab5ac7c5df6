#include "experiments/process/interrupt.hpp"

#include <atomic>
#include <csignal>

namespace process {
namespace {

std::atomic<bool> requested = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may touch nothing else");

void handle(int signal) {
  requested = true;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupt() { std::signal(SIGINT, handle); }

bool interrupted() { return requested.load(std::memory_order_relaxed); }

}  // namespace process
