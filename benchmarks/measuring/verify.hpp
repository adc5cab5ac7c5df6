/// \file
/// A benchmark that times something else is worthless: all candidates must come to the same results.
#pragma once

#include <vector>

#include "candidates/candidate.hpp"
#include "candidates/problem.hpp"

namespace benchmarks {

struct Result {
  std::vector<float> out, dgamma, dbeta;
};

/// Runs the candidate once.
Result result_of(Problem& problem, const Candidate& candidate);

/// Throws std::runtime_error, which names the candidate and the place, if a result differs from the first candidate's.
void verify(Problem& problem, const std::vector<Candidate>& candidates);

}  // namespace benchmarks
