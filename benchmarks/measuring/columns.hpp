/// \file
/// From times of candidates to the columns of a table.
#pragma once

#include <string>
#include <vector>

#include "candidates/candidate.hpp"
#include "measuring/rounds.hpp"

namespace benchmarks {

/// Times that are compared with ours, round by round.
struct Column {
  std::string title;
  Times times;
};

/// The limit, added up from its parts in each round: the move with the lowest median, and the read with the lowest one
/// for each reading but the last. Empty if no parts were timed.
Times limit_of(const std::vector<Candidate>& candidates, const std::vector<Times>& times, int readings);

/// One column for each other library; for one that names its forms two: the problem's own, and the one with the lowest
/// median.
std::vector<Column> peers_of(const std::vector<Candidate>& candidates, const std::vector<Times>& times);

}  // namespace benchmarks
