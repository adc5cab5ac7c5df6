#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/training/results.hpp"

namespace training {

// What there is to see in a program's figures, as its last line says it: computed from its results, and empty where
// those do not say anything. Where there is a value for each seed, numbers are means and standard deviations over the
// seeds.

/// When a network is as good as another one ever gets, seed by seed; NamedRuns::word is how it is called:
///
///     with BN reaches without BN's best, 0.9727, after 6,000 steps instead of 38,000
std::string reaching_the_best(const NamedRuns& network, const NamedRuns& reference);

/// The same for the network that gets there soonest: of those that do so on the most seeds, the one with the fewest
/// steps.
std::string soonest_at_the_best(const std::vector<NamedRuns>& networks, const NamedRuns& reference);

/// Which network has the best test, in the mean over the seeds, and what it is.
std::string best_of(const std::vector<NamedRuns>& networks);

/// How many accuracies, one for each cell of a grid, are as large as `target` with and without batch normalization.
std::string cells_that_reach(double target, const std::vector<double>& with, const std::vector<double>& without);

/// What is gained by a change, for each seed, in per cent.
struct Gain {
  std::string change;
  std::vector<double> values;
};

/// Which of the changes gains most, and how many gain or lose more than chance explains.
std::string largest_gain(const std::vector<Gain>& gains);

/// The errors of an ensemble against the mean of its members', in per cent.
std::string errors_saved(const std::vector<double>& alone, const std::vector<double>& together);

/// How many of the singular values of the layers' Jacobians are near 1 after a step, as shares, with batch
/// normalization and without.
std::string singular_values_near_one(std::int64_t step, const std::vector<double>& with,
                                     const std::vector<double>& without);

/// How many times as long something takes as batch normalization does, over all sizes; as many times of each.
std::string times_as_long(const std::string& slow, const std::vector<double>& slow_times,
                          const std::vector<double>& batch_norm_times);

}  // namespace training
