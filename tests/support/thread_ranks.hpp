/// \file
/// Ranks that are threads of this program.
#pragma once

#include <algorithm>
#include <batchnorm/core/reducer.hpp>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace testing_support {

/// Where the threads meet. A rank that the others wait for in vain is an error, after some time.
class MeetingPlace {
 public:
  explicit MeetingPlace(int ranks) : ranks_(std::size_t(ranks)) {}

  void gather(std::size_t rank, std::span<const double> mine, std::span<double> all) {
    std::unique_lock lock(mutex_);
    if (came_ == 0) coming_.assign(ranks_ * mine.size(), 0);
    if (coming_.size() != ranks_ * mine.size() || all.size() != coming_.size()) {
      throw std::runtime_error("rank " + std::to_string(rank) + " came with " + std::to_string(mine.size()) +
                               " numbers, others with " + std::to_string(coming_.size() / ranks_));
    }
    std::ranges::copy(mine, coming_.begin() + std::ptrdiff_t(rank * mine.size()));
    sizes.push_back(mine.size());
    const auto turn = turn_;
    if (++came_ == ranks_) {
      came_ = 0;
      ++turn_;
      complete_.swap(coming_);
      changed_.notify_all();
    } else if (!changed_.wait_for(lock, std::chrono::seconds(30), [&] { return turn_ != turn; })) {
      throw std::runtime_error("rank " + std::to_string(rank) + " has waited in vain for the others");
    }
    std::ranges::copy(complete_, all.begin());
  }

  /// How many numbers each rank brought, each time.
  std::vector<std::size_t> sizes;

 private:
  const std::size_t ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t came_ = 0;
  long turn_ = 0;
  /// Of this meeting, and of the last one: some may have come here again while others still read that.
  std::vector<double> coming_, complete_;
};

/// One of the threads.
class ThreadRank final : public batchnorm::Reducer {
 public:
  ThreadRank(MeetingPlace& place, int which, int ranks) : Reducer(ranks), rank(which), place_(place) {}

  void gather(std::span<const double> mine, std::span<double> all) const override {
    place_.gather(std::size_t(rank), mine, all);
  }

  const int rank;

 private:
  MeetingPlace& place_;
};

/// Runs body(rank) on as many threads, and returns what each threw: a text, empty if nothing. `sizes`: of all messages.
template <class Body>
std::vector<std::string> on_ranks(int ranks, const Body& body, std::vector<std::size_t>* sizes = nullptr) {
  MeetingPlace place(ranks);
  std::vector<std::string> errors(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        body(ThreadRank(place, rank, ranks));
      } catch (const std::exception& error) {
        errors[std::size_t(rank)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (sizes) *sizes = place.sizes;
  return errors;
}

}  // namespace testing_support
