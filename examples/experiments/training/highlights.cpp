#include "experiments/training/highlights.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "experiments/report/seeds.hpp"
#include "experiments/report/text.hpp"

namespace training {
namespace {

std::string count_of(std::ptrdiff_t part, std::ptrdiff_t whole) {
  return report::grouped(part) + " of " + report::grouped(whole);
}

/// How a network compares with another one's best, on the seeds on which that has one.
struct Comparison {
  std::vector<double> bests;          ///< the other one's
  std::vector<double> steps, others;  ///< of both to that, on the seeds on which the network comes so far
};

Comparison compare(const NamedRuns& network, const NamedRuns& reference) {
  Comparison comparison;
  for (std::size_t i = 0; i < std::min(network.runs->size(), reference.runs->size()); ++i) {
    const Run &run = (*network.runs)[i], &other = (*reference.runs)[i];
    const double best = best_accuracy(other), steps = steps_to(run, best);
    if (!std::isfinite(best)) continue;
    comparison.bests.push_back(best);
    if (!std::isfinite(steps)) continue;
    comparison.steps.push_back(steps);
    comparison.others.push_back(steps_to(other, best));
  }
  return comparison;
}

}  // namespace

std::string reaching_the_best(const NamedRuns& network, const NamedRuns& reference) {
  const Comparison found = compare(network, reference);
  if (found.bests.empty()) return "";
  const std::string best = reference.word + "'s best, " + report::mean_over_seeds(found.bests, 4) + ",";
  if (found.steps.empty()) return network.word + " does not reach " + best + " on any of its tests";
  const std::string where = found.steps.size() < found.bests.size()
                                ? " on " + count_of(std::ssize(found.steps), std::ssize(found.bests)) + " seeds"
                                : "";
  const std::string steps = report::over_seeds(found.steps, 0), others = report::over_seeds(found.others, 0);
  return network.word + " reaches " + best + where + " after " + steps + " steps" +
         (report::mean(found.steps) < report::mean(found.others)
              ? " instead of " + others
              : ", no sooner than " + reference.word + " (" + others + ")");
}

std::string soonest_at_the_best(const std::vector<NamedRuns>& networks, const NamedRuns& reference) {
  const NamedRuns* soonest = nullptr;
  Comparison shown;
  for (const NamedRuns& network : networks) {
    const Comparison found = compare(network, reference);
    const auto seeds = found.steps.size(), most = shown.steps.size();
    if (!soonest || seeds > most ||
        (seeds == most && seeds > 0 && report::mean(found.steps) < report::mean(shown.steps))) {
      soonest = &network;
      shown = found;
    }
  }
  return soonest ? reaching_the_best(*soonest, reference) : "";
}

std::string best_of(const std::vector<NamedRuns>& networks) {
  const NamedRuns* best = nullptr;
  std::vector<double> accuracies;
  for (const NamedRuns& network : networks) {
    std::vector<double> own;
    for (const Run& run : *network.runs) own.push_back(best_accuracy(run));
    if (!std::isfinite(report::mean(own)) || (best && report::mean(own) <= report::mean(accuracies))) continue;
    best = &network;
    accuracies = own;
  }
  return best ? best->word + " has the best test, " + report::over_seeds(accuracies, 4) : "";
}

std::string cells_that_reach(double target, const std::vector<double>& with, const std::vector<double>& without) {
  const auto has_none = [](double accuracy) { return std::isnan(accuracy); };
  if (std::ranges::any_of(with, has_none) || std::ranges::any_of(without, has_none)) return "";
  const auto counted = [target](const std::vector<double>& accuracies) {
    const auto reach = std::ranges::count_if(accuracies, [target](double accuracy) { return accuracy >= target; });
    return count_of(reach, std::ssize(accuracies));
  };
  return counted(with) + " cells are at " + report::fixed(target, 2) + " or above with batch normalization, " +
         counted(without) + " without";
}

std::string largest_gain(const std::vector<Gain>& gains) {
  const Gain* largest = nullptr;
  std::ptrdiff_t beyond = 0;
  for (const Gain& gain : gains) {
    if (!std::isfinite(report::mean(gain.values))) continue;
    beyond += report::is_beyond_noise(gain.values);
    if (!largest || report::mean(gain.values) > report::mean(largest->values)) largest = &gain;
  }
  if (!largest) return "";
  return "\"" + largest->change + "\" gains most, " + report::with_standard_error(largest->values, 2) + " %; " +
         (largest->values.size() > 1 ? count_of(beyond, std::ssize(gains)) + " beyond noise"
                                     : "one seed does not tell gains from noise");
}

std::string errors_saved(const std::vector<double>& alone, const std::vector<double>& together) {
  if (!std::isfinite(report::mean(alone)) || !std::isfinite(report::mean(together))) return "";
  std::vector<double> saved;
  for (std::size_t i = 0; i < alone.size(); ++i) saved.push_back(alone[i] > 0 ? 100 * (1 - together[i] / alone[i]) : 0);
  return "together they err on " + report::over_seeds(together, 2) + " % of the images, one by itself on " +
         report::over_seeds(alone, 2) + " %: " + report::over_seeds(saved, 0) + " % fewer errors";
}

std::string singular_values_near_one(std::int64_t step, const std::vector<double>& with,
                                     const std::vector<double>& without) {
  if (!std::isfinite(report::mean(with)) || !std::isfinite(report::mean(without))) return "";
  const auto percent = [](std::vector<double> shares) {
    for (double& share : shares) share *= 100;
    return report::over_seeds(shares, 1) + " %";
  };
  return "after " + report::grouped(step) + " steps " + percent(with) +
         " of the singular values are from 1/2 to 2 with batch normalization, " + percent(without) + " without";
}

std::string times_as_long(const std::string& slow, const std::vector<double>& slow_times,
                          const std::vector<double>& batch_norm_times) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < slow_times.size(); ++i) ratios.push_back(slow_times[i] / batch_norm_times[i]);
  if (ratios.empty()) return "";
  const auto [least, most] = std::ranges::minmax(ratios);
  const std::string from = report::grouped(std::lround(least)), to = report::grouped(std::lround(most));
  return slow + " takes " + (from == to ? "" : from + " to ") + to + " times as long as batch normalization";
}

}  // namespace training
