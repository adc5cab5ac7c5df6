#include "measuring/verify.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace benchmarks {
namespace {

/// Loose: mistakes are larger, and the rounding of plain sums over many values is smaller.
constexpr float tolerance = 1e-3F;

std::string title(const Problem& problem, const Candidate& candidate) {
  const Task& task = problem.task;
  std::string text = candidate.library;
  if (!candidate.form.empty()) text += " (" + candidate.form + ")";
  return text + ", " + name_of(task.pass) + ", " + name_of(task.layout) + ", " + name_of(task.activation) + ", " +
         task.shape.name;
}

/// `scale`: what errors are measured by where the values themselves are smaller.
void compare(const std::string& what, const std::vector<float>& values, const std::vector<float>& expected,
             float scale) {
  for (std::size_t k = 0; k < values.size(); ++k) {
    const float error = std::abs(values[k] - expected[k]);
    if (error <= tolerance * std::max(scale, std::abs(expected[k]))) continue;  // not for a NaN
    std::ostringstream message;
    message << what << "[" << k << "]: expected " << expected[k] << ", got " << values[k];
    throw std::runtime_error(message.str());
  }
}

float largest(const std::vector<float>& values) {
  float result = 0;
  for (const float value : values) result = std::max(result, std::abs(value));
  return result;
}

}  // namespace

Result result_of(Problem& problem, const Candidate& candidate) {
  // NaN stays where a candidate does not write.
  std::fill(problem.out.begin(), problem.out.end(), NAN);
  std::fill(problem.dgamma.begin(), problem.dgamma.end(), NAN);
  std::fill(problem.dbeta.begin(), problem.dbeta.end(), NAN);
  candidate.run();
  candidate.fetch();
  Result result{{problem.out.begin(), problem.out.end()}, {}, {}};
  if (problem.task.pass == Pass::backward) {
    result.dgamma = problem.dgamma;
    result.dbeta = problem.dbeta;
  }
  return result;
}

void verify(Problem& problem, const std::vector<Candidate>& candidates) {
  const Task& task = problem.task;
  const Result expected = result_of(problem, candidates.front());
  const float scale = task.pass == Pass::backward ? largest(expected.out) : 1;
  for (const Candidate& candidate : candidates) {
    if (candidate.work != Work::pass) continue;
    const Result result = result_of(problem, candidate);
    const std::string name = title(problem, candidate);
    compare(name + ": out", result.out, expected.out, scale);
    compare(name + ": dgamma", result.dgamma, expected.dgamma, largest(expected.dgamma));
    compare(name + ": dbeta", result.dbeta, expected.dbeta, largest(expected.dbeta));
  }
}

}  // namespace benchmarks
