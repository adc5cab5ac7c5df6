#include "experiments/training/results.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "experiments/report/csv.hpp"
#include "experiments/report/text.hpp"

namespace program {
namespace {

double standard_deviation(const std::vector<double>& values) {
  if (values.size() < 2) return none;
  const double middle = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

std::string mean_and_error(const std::vector<double>& values, double error, int decimals) {
  const auto text = [&](double value) {
    return decimals > 0 || !std::isfinite(value) ? fixed(value, decimals) : grouped(std::lround(value));
  };
  const auto count = std::ranges::count(values, diverged);
  if (count > 0 && count < std::ssize(values))
    return std::to_string(count) + " of " + std::to_string(values.size()) + " diverged";
  return text(mean(values)) + (std::isnan(error) ? "" : " +-" + text(error));
}

}  // namespace

double accuracy_at(const Run& run, std::int64_t step) {
  const auto found = std::ranges::find(run.steps, step);
  if (found != run.steps.end()) return run.accuracy[static_cast<std::size_t>(found - run.steps.begin())];
  return run.divergence && step >= run.divergence->step && step <= run.steps_asked ? diverged : none;
}

double best_accuracy(const Run& run) {
  if (run.accuracy.empty()) return run.divergence ? diverged : none;
  return std::ranges::max(run.accuracy);
}

double steps_to(const Run& run, double target) {
  if (!std::isfinite(target)) return none;  // of a network that diverged before its first test
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

double diverged_at(const Run& run) { return run.divergence ? static_cast<double>(run.divergence->step) : none; }

std::vector<std::pair<std::int64_t, double>> tests_of(const Run& run) {
  std::vector<std::pair<std::int64_t, double>> tests;
  for (std::size_t i = 0; i < run.steps.size(); ++i) tests.emplace_back(run.steps[i], run.accuracy[i]);
  if (run.divergence) tests.emplace_back(run.divergence->step, diverged);
  return tests;
}

void write_runs(const std::filesystem::path& path, const std::vector<NamedRuns>& networks) {
  Csv csv(path, {"network", "seed", "step", "accuracy"});
  for (const auto& [word, runs] : networks) {
    for (const Run& run : *runs) {
      for (const auto& [step, accuracy] : tests_of(run))
        csv.add({word}, {static_cast<double>(run.seed), static_cast<double>(step), accuracy});
    }
  }
  csv.close();
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_error(const std::vector<double>& values) {
  return standard_deviation(values) / std::sqrt(static_cast<double>(values.size()));
}

bool is_beyond_noise(const std::vector<double>& values) {
  // What |mean| / standard error exceeds by chance once in twenty times, for 2, 3, ... values.
  constexpr double student[] = {12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26};
  if (values.size() < 2) return false;
  const double limit = student[std::min(values.size() - 2, std::size(student) - 1)];
  return std::abs(mean(values)) > limit * standard_error(values);
}

std::string with_standard_error(const std::vector<double>& values, int decimals) {
  return mean_and_error(values, standard_error(values), decimals);
}

std::string mean_over_seeds(const std::vector<double>& values, int decimals) {
  return mean_and_error(values, none, decimals);
}

std::string over_seeds(const std::vector<double>& values, int decimals) {
  return mean_and_error(values, standard_deviation(values), decimals);
}

}  // namespace program
