#include "experiments/training/results.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/report/csv.hpp"
#include "experiments/report/text.hpp"

namespace training {

bool is_complete(const Run& run) { return run.divergence || run.steps_made == run.steps_asked; }

double accuracy_at(const Run& run, std::int64_t step) {
  const auto found = std::ranges::find(run.steps, step);
  if (found != run.steps.end()) return run.accuracy[static_cast<std::size_t>(found - run.steps.begin())];
  return run.divergence && step >= run.divergence->step && step <= run.steps_asked ? report::diverged : report::none;
}

double best_accuracy(const Run& run) {
  if (run.accuracy.empty()) return run.divergence ? report::diverged : report::none;
  return std::ranges::max(run.accuracy);
}

std::vector<double> best_percents(const std::vector<Run>& runs) {
  std::vector<double> values;
  for (const Run& run : runs) values.push_back(100 * best_accuracy(run));
  return values;
}

double steps_to(const Run& run, double target) {
  if (!std::isfinite(target)) return report::none;  // of a network that diverged before its first test
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    if (run.accuracy[i] >= target) return static_cast<double>(run.steps[i]);
  }
  return report::none;
}

Run smoothed(const Run& run) {
  Run result;
  for (std::size_t i = 2; i < run.steps.size(); ++i) {
    result.steps.push_back(run.steps[i]);
    result.accuracy.push_back((run.accuracy[i - 2] + run.accuracy[i - 1] + run.accuracy[i]) / 3);
  }
  return result;
}

std::vector<std::uint64_t> seeds_of(const std::vector<Run>& runs) {
  std::vector<std::uint64_t> seeds;
  for (const Run& run : runs) seeds.push_back(run.seed);
  return seeds;
}

double diverged_at(const Run& run) { return run.divergence ? static_cast<double>(run.divergence->step) : report::none; }

std::vector<std::pair<std::int64_t, double>> tests_of(const Run& run) {
  std::vector<std::pair<std::int64_t, double>> tests;
  for (std::size_t i = 0; i < run.steps.size(); ++i) tests.emplace_back(run.steps[i], run.accuracy[i]);
  if (run.divergence) tests.emplace_back(run.divergence->step, report::diverged);
  return tests;
}

void write_runs(const std::filesystem::path& path, const std::vector<NamedRuns>& networks) {
  report::Csv csv(path, {"network", "seed", "step", "accuracy"});
  for (const auto& [word, runs] : networks) {
    for (const Run& run : *runs) {
      for (const auto& [step, accuracy] : tests_of(run))
        csv.add({word}, {static_cast<double>(run.seed), static_cast<double>(step), accuracy});
    }
  }
  csv.close();
}

}  // namespace training
