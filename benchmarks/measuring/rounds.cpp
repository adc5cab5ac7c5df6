#include "measuring/rounds.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

#include "measuring/statistics.hpp"

namespace benchmarks {
namespace {

/// The clock's own cost and an interrupt are small against this.
constexpr double turn_seconds = 0.5e-3;
/// What a longer call finds in the caches at its beginning is little of what it reads.
constexpr double long_call_seconds = 5e-3;
constexpr double far_slower = 20;
constexpr int rounds_of_the_slow = 2;
constexpr int fewest_rounds = 3;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double time_calls(const Candidate& candidate, int calls) {
  const double start = now();
  for (int i = 0; i < calls; ++i) candidate.run();
  return (now() - start) / calls;
}

/// One candidate's turns.
class Turns {
 public:
  /// The warm-up: a call for the caches, one that says roughly how many make a turn, and a turn that says it better.
  explicit Turns(const Candidate& candidate) : candidate_(&candidate) {
    candidate.run();
    for (int i = 0; i < 2 && estimate_ < turn_seconds; ++i) {
      estimate_ = time_calls(candidate, calls_);
      calls_ = static_cast<int>(std::clamp(std::ceil(turn_seconds / estimate_), 1.0, 1e5));
    }
  }

  double estimate() const { return estimate_; }

  /// Seconds of one call. A call that is not timed comes first: what the candidate before has left in the caches is not
  /// to be measured, nor the waking of threads.
  double take(double pause) const {
    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    if (estimate_ < long_call_seconds || pause > 0) candidate_->run();
    return time_calls(*candidate_, calls_);
  }

 private:
  const Candidate* candidate_;
  double estimate_ = 0;
  int calls_ = 1;
};

}  // namespace

std::vector<Times> time_in_rounds(const std::vector<Candidate>& candidates, const Schedule& schedule) {
  const std::vector<Turns> turns(candidates.begin(), candidates.end());
  std::vector<Times> times(candidates.size());
  std::vector<std::size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), std::size_t(0));
  std::minstd_rand random(1);

  const double start = now();
  for (int round = 0; round < schedule.rounds; ++round) {
    if (round >= fewest_rounds && now() - start > schedule.seconds) break;
    std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t i : order) {
      const bool slow = turns[i].estimate() > far_slower * turns[0].estimate();
      times[i].push_back(slow && round >= rounds_of_the_slow ? not_measured : turns[i].take(schedule.pause));
    }
  }
  return times;
}

}  // namespace benchmarks
