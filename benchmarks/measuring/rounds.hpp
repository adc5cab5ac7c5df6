/// \file
/// The clock: candidates take turns, since this minute's machine is not the next one's.
#pragma once

#include <vector>

#include "candidates/candidate.hpp"

namespace benchmarks {

struct Schedule {
  int rounds = 21;
  /// Begins no round after this many seconds, once there are three.
  double seconds = 10;
  /// Seconds to wait before each turn: threads of an OpenMP runtime spin on for some milliseconds after a call, and
  /// would take a core from the candidate that comes next.
  double pause = 0;
};

/// Seconds of one call, one value for each round; NaN where a candidate sat the round out.
using Times = std::vector<double>;

/// After a warm-up, each round times every candidate once, in an order of its own. A candidate that is far slower than
/// the first one takes part in two rounds only.
std::vector<Times> time_in_rounds(const std::vector<Candidate>& candidates, const Schedule& schedule);

}  // namespace benchmarks
