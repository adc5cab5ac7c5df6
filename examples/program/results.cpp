#include "program/results.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "program/text.hpp"

namespace program {

double accuracy_at(const Run& run, std::int64_t step) {
  const auto found = std::ranges::find(run.steps, step);
  return found == run.steps.end() ? none : run.accuracy[static_cast<std::size_t>(found - run.steps.begin())];
}

double best_accuracy(const Run& run) { return run.accuracy.empty() ? none : std::ranges::max(run.accuracy); }

double steps_to(const Run& run, double target) {
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    if (run.accuracy[i] >= target) return static_cast<double>(run.steps[i]);
  }
  return none;
}

Run smoothed(const Run& run) {
  Run result;
  for (std::size_t i = 2; i < run.steps.size(); ++i) {
    result.steps.push_back(run.steps[i]);
    result.accuracy.push_back((run.accuracy[i - 2] + run.accuracy[i - 1] + run.accuracy[i]) / 3);
  }
  return result;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::string over_seeds(const std::vector<double>& values, int decimals) {
  const auto text = [&](double value) {
    return decimals > 0 || std::isnan(value) ? fixed(value, decimals) : grouped(std::lround(value));
  };
  const double middle = mean(values);
  if (values.size() < 2 || std::isnan(middle)) return text(middle);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  return text(middle) + " +-" + text(std::sqrt(squares / static_cast<double>(values.size() - 1)));
}

}  // namespace program
