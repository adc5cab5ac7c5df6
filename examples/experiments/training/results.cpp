#include "experiments/training/results.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <span>

#include "experiments/report/csv.hpp"
#include "experiments/report/text.hpp"

namespace training {

double accuracy_at(const Run& run, std::int64_t step) {
  const auto found = std::ranges::find(run.steps, step);
  if (found != run.steps.end()) return run.accuracy[static_cast<std::size_t>(found - run.steps.begin())];
  return run.divergence && step >= run.divergence->step && step <= run.steps_asked ? report::diverged : report::none;
}

double best_accuracy(const Run& run) {
  if (run.accuracy.empty()) return run.divergence ? report::diverged : report::none;
  return std::ranges::max(run.accuracy);
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

bool is_complete(const Run& run) { return run.divergence || run.steps_made == run.steps_asked; }

std::vector<Run> of_complete_seeds(std::vector<Run> runs, std::size_t networks) {
  std::vector<Run> complete;
  for (std::size_t i = 0; i + networks <= runs.size(); i += networks) {
    const auto seed = std::span(runs).subspan(i, networks);
    if (std::ranges::all_of(seed, is_complete)) complete.insert(complete.end(), seed.begin(), seed.end());
  }
  if (complete.size() == runs.size()) return runs;
  std::cout << "\nStopped early: what follows is ";
  if (complete.empty()) {
    std::cout << "what there is.\n";
    return runs;
  }
  std::cout << "of the " << complete.size() / networks << " of " << runs.size() / networks
            << " seeds that are complete.\n";
  return complete;
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
