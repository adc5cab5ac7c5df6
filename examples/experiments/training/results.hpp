#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "experiments/training/training.hpp"

namespace training {

/// Whether a run came to its end, which may be that it diverged: not so after Ctrl-C.
bool is_complete(const Run& run);

/// The accuracy of a test after this step; `diverged` at a step that the network was to make after it had diverged, or
/// none.
double accuracy_at(const Run& run, std::int64_t step);

/// The best of all tests, those before it diverged if it did; `diverged` or none if there was no test.
double best_accuracy(const Run& run);

/// The same of each run, in percent.
std::vector<double> best_percents(const std::vector<Run>& runs);

/// The first tested step at which a run was at least as good as `target`, or none.
double steps_to(const Run& run, double target);

/// The run with the mean of three tests in a row for the accuracy of each, beginning with the third: a target that is
/// met by a single lucky test is not kept.
Run smoothed(const Run& run);

/// The runs of one network, a seed each.
struct NamedRuns {
  std::string word;
  const std::vector<Run>* runs;
};

/// The seed of each run.
std::vector<std::uint64_t> seeds_of(const std::vector<Run>& runs);

/// The step at which a run diverged, or none.
double diverged_at(const Run& run);

/// A run test by test, as the rows of CSV files: the step and the accuracy. If it diverged, the step of that is the
/// last row, and the accuracy is `diverged`, an empty cell.
std::vector<std::pair<std::int64_t, double>> tests_of(const Run& run);

/// Writes every test of every run into a CSV file: network, seed, step, accuracy; see tests_of().
void write_runs(const std::filesystem::path& path, const std::vector<NamedRuns>& networks);

}  // namespace training
