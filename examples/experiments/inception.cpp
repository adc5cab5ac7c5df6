// Figures 2 and 3 of "Batch Normalization" (Ioffe & Szegedy, 2015), scaled down: how many steps an Inception network
// takes with and without batch normalization, and at which learning rates.
//
// The paper trains on ImageNet for weeks. Here a network of 22,000 weights reads MNIST at 14x14; its depth of 11 layers
// is trained without batch normalization with less trouble than the paper's, so the ratios of steps are smaller. The
// long protocol trains the networks without batch normalization until they are no longer getting better, as the paper
// did, and the ratios grow. The distorted protocol never shows an image twice, so that no network can learn its images
// by heart.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "experiments/networks/inception_network.hpp"
#include "experiments/process/command_line.hpp"
#include "experiments/report/csv.hpp"
#include "experiments/report/curves.hpp"
#include "experiments/report/seeds.hpp"
#include "experiments/report/table.hpp"
#include "experiments/report/text.hpp"
#include "experiments/training/accuracy_curves.hpp"
#include "experiments/training/experiment.hpp"
#include "experiments/training/highlights.hpp"
#include "experiments/training/inception_protocols.hpp"
#include "experiments/training/results.hpp"

namespace {

using training::InceptionVariant, training::Run;

/// Protocol and seeds begin as the chosen way of training has them.
struct Options {
  const training::InceptionProtocol* chosen = &training::short_inception;
  process::CommonOptions common = {.data = {}, .seeds = chosen->seeds};
  training::Protocol protocol = chosen->protocol;
  double dropout = 0;
  std::vector<std::string> words;
};

/// A variant and its runs, one for each seed.
struct Result {
  InceptionVariant variant;
  std::vector<Run> runs;
};

void add_options(process::CommandLine& command_line, Options& options) {
  auto& protocol = options.protocol;
  // The first of all options: it sets defaults for those that are read after it.
  command_line.add_choice("--protocol", options.chosen,
                          "long: 24,000 steps or fewer, one seed;\ndistorted: 16,000 or fewer, no image twice",
                          {{"short", &training::short_inception},
                           {"long", &training::long_inception},
                           {"distorted", &training::distorted_inception}},
                          [&] {
                            options.common.seeds = options.chosen->seeds;
                            protocol = options.chosen->protocol;
                          });
  process::add_common_options(command_line, options.common);
  training::add_protocol_options(command_line, protocol);
  command_line.add_words("--variants", options.words, "which networks", [&] {
    std::vector<std::string> words;
    for (const InceptionVariant& variant : options.chosen->variants) words.push_back(variant.word);
    return words;
  });
  command_line.add_choice("--input", protocol.input, "images of 14x14, or of 28x28: four times the time",
                          {{"halved", data::Input::halved}, {"gray", data::Input::gray}});
  command_line.add_number("--lr", protocol.learning_rate.initial, "Inception's learning rate", process::positive());
  command_line.add_number("--half-life", protocol.learning_rate.half_life, "steps in which it halves; 0: never",
                          process::not_negative());
  command_line.add_number("--momentum", protocol.momentum, "momentum", process::not_negative());
  command_line.add_number("--weight-decay", protocol.weight_decay, "weight decay; long: of those called l2",
                          process::not_negative());
  command_line.add_number("--dropout", options.dropout, "part that is dropped in front of the classifier",
                          process::between(0.0, 0.99));
}

/// The variants asked for, in the order of the paper's table.
std::vector<InceptionVariant> chosen(const Options& options) {
  if (options.words.empty()) return options.chosen->variants;
  std::vector<InceptionVariant> variants;
  for (const InceptionVariant& variant : options.chosen->variants) {
    if (std::ranges::count(options.words, variant.word) > 0) variants.push_back(variant);
  }
  return variants;
}

/// Refuses a weight decay that none of the chosen networks would have.
void check_weight_decay(const Options& options) {
  const std::vector<InceptionVariant> variants = chosen(options);
  const auto has_none = [](const InceptionVariant& variant) { return variant.weight_decay == 0; };
  if (options.protocol.weight_decay == options.chosen->protocol.weight_decay) return;
  if (!std::ranges::all_of(variants, has_none)) return;
  std::vector<std::string> words;
  for (const InceptionVariant& variant : options.chosen->variants) {
    if (!has_none(variant)) words.push_back(variant.word);
  }
  throw std::runtime_error("--weight-decay: expected a network that has it among --variants: " +
                           report::joined(words, ", "));
}

/// Trains all networks, one seed after the other.
std::vector<Result> train(const Options& options, const training::Experiment& experiment) {
  std::vector<Result> results;
  for (const InceptionVariant& variant : chosen(options)) results.push_back({variant, {}});
  std::vector<training::Job> jobs;
  for (const std::uint64_t seed : options.common.seeds) {
    for (const Result& result : results) {
      const networks::InceptionOptions network = {.unit = result.variant.unit,
                                                  .image = options.protocol.input == data::Input::halved ? 14 : 28,
                                                  .dropout = options.dropout,
                                                  .seed = seed};
      jobs.push_back({"seed " + std::to_string(seed) + " " + result.variant.name,
                      training::protocol_of(options.protocol, result.variant), seed,
                      [network] { return networks::make_inception(network); }});
    }
  }
  auto runs = training::runs_to_report(experiment.train(jobs), results.size());
  for (std::size_t i = 0; i < results.size(); ++i) results[i].runs = std::move(runs[i]);
  return results;
}

// --- What is reported

template <class Quantity>
std::vector<double> collect(const Result& result, const Quantity& quantity) {
  std::vector<double> values;
  for (std::size_t i = 0; i < result.runs.size(); ++i) values.push_back(quantity(result.runs[i], i));
  return values;
}

/// How a network is said to have come as far as another one.
enum class Measure {
  first,  ///< it was once as good as the other's best test
  kept,   ///< the same for the mean of three tests in a row
  near,   ///< it was once as good as that less 0.1 %
};

Run measured(const Run& run, Measure measure) { return measure == Measure::kept ? training::smoothed(run) : run; }

/// The steps that a network takes to what a reference of the same seed reaches.
std::vector<double> steps_to_best_of(const Result& reference, const Result& result, Measure measure) {
  return collect(result, [&](const Run& run, std::size_t seed) {
    const double best = training::best_accuracy(measured(reference.runs[seed], measure));
    return training::steps_to(measured(run, measure), best - (measure == Measure::near ? 0.001 : 0));
  });
}

/// How many times fewer steps than the reference takes, for each seed.
std::vector<double> speedup(const Result& reference, const Result& result, Measure measure) {
  std::vector<double> ratios = steps_to_best_of(reference, reference, measure);
  const std::vector<double> steps = steps_to_best_of(reference, result, measure);
  for (std::size_t i = 0; i < ratios.size(); ++i) ratios[i] /= steps[i];
  return ratios;
}

/// The networks without batch normalization that the others are compared with.
std::vector<const Result*> references(const std::vector<Result>& results) {
  std::vector<const Result*> found;
  for (const Result& result : results) {
    if (result.variant.word.starts_with("inception")) found.push_back(&result);
  }
  return found;
}

void print_steps(const Result& reference, const std::vector<Result>& results) {
  report::Table table({"best of " + reference.variant.name, "steps", "fewer", "kept*", "near**", "paper"});
  for (const Result& result : results) {
    const auto times = [&](Measure measure) { return report::over_seeds(speedup(reference, result, measure), 1); };
    table.add({result.variant.name, report::over_seeds(steps_to_best_of(reference, result, Measure::first), 0),
               times(Measure::first), times(Measure::kept), times(Measure::near), result.variant.paper_steps});
  }
  std::cout << '\n' << table;
}

void print_all_steps(const std::vector<Result>& results, const std::string& remark) {
  const auto compared = references(results);
  if (compared.empty()) return;
  for (const Result* reference : compared) print_steps(*reference, results);
  std::cout << "fewer: so many times fewer steps. '-': on one seed at least, never\n"
               "* for the mean of three tests in a row  ** to 0.1 % less than the best\n"
            << remark;
}

void print_accuracies(const std::vector<Result>& results) {
  report::Table table({"test accuracy, %", "maximum", "at the end", "population", "paper"});
  for (const Result& result : results) {
    const auto end = collect(result, [](const Run& run, std::size_t) { return 100 * run.running_accuracy; });
    const auto population = collect(result, [](const Run& run, std::size_t) { return 100 * run.population_accuracy; });
    table.add({result.variant.name, report::over_seeds(training::best_percents(result.runs), 2),
               report::over_seeds(end, 2), report::over_seeds(population, 2), result.variant.paper_accuracy});
  }
  std::cout << '\n' << table << "\nCPU time a step:";
  for (const Result& result : results) {
    const auto time = collect(result, [](const Run& run, std::size_t) { return 1e3 * run.seconds_per_step; });
    std::cout << (&result == results.data() ? " " : ", ") << result.variant.word << ' '
              << report::fixed(report::mean(time), 1);
  }
  std::cout << " ms\n";
}

// --- What is written

std::vector<report::Curve> write_curves(const std::filesystem::path& folder, const std::vector<Result>& results) {
  std::vector<training::DrawnRuns> networks;
  std::size_t numbers[] = {0, 0};  // of the networks without and with batch normalization so far
  for (const auto& [variant, runs] : results) {
    const bool batch_norm = variant.unit.batch_norm;
    networks.push_back({variant.word, variant.name, report::look(numbers[batch_norm]++, batch_norm), &runs});
  }
  return training::write_accuracy_curves(folder / "inception.csv", networks);
}

void write_summary(const std::filesystem::path& folder, const std::vector<Result>& results) {
  report::Csv csv(
      folder / "inception_summary.csv",
      {"network", "seed", "steps", "diverged_at", "steps_to_inceptions_best", "times_fewer", "times_fewer_kept",
       "times_fewer_near", "best_accuracy", "final_running", "final_population", "seconds_per_step"});
  for (const Result& result : results) {
    const auto compared = references(results);
    const auto ratios = [&](Measure measure) {
      return compared.empty() ? std::vector<double>(result.runs.size(), report::none)
                              : speedup(*compared.front(), result, measure);
    };
    const auto first = ratios(Measure::first), kept = ratios(Measure::kept), near = ratios(Measure::near);
    for (std::size_t i = 0; i < result.runs.size(); ++i) {
      const Run& run = result.runs[i];
      const double steps =
          compared.empty() ? report::none : steps_to_best_of(*compared.front(), result, Measure::first)[i];
      csv.add({result.variant.word},
              {static_cast<double>(run.seed), static_cast<double>(run.steps_made), training::diverged_at(run), steps,
               first[i], kept[i], near[i], training::best_accuracy(run), run.running_accuracy, run.population_accuracy,
               run.seconds_per_step});
    }
  }
  csv.close();
}

/// The curves, from the accuracy at which the networks that learn anything part. Those that learn nothing are below
/// that then: they are named above the picture, and not in the key.
report::Figure make_figure(const std::vector<Result>& results, const std::vector<report::Curve>& curves,
                           const std::string& data) {
  constexpr double good = 0.9, chance = 0.5;
  const auto best = [](const report::Curve& curve) {
    double largest = report::none;
    for (const double value : curve.values) {
      if (std::isfinite(value) && !(value <= largest)) largest = value;
    }
    return largest;
  };
  std::vector<report::Curve> learning;
  std::string below;
  for (const report::Curve& curve : curves) {
    if (best(curve) <= chance) {
      below += (below.empty() ? "\nbelow the axis: " : ", ") + curve.title + " (at most " +
               report::fixed(best(curve), 2) + curve.ending + ")";
    } else {
      learning.push_back(curve);
    }
  }
  const bool learns = std::ranges::any_of(learning, [&](const report::Curve& curve) { return best(curve) > chance; });
  const double parting = report::accuracy_axis_begin(learning, good);
  const bool is_cut = learns && parting > chance;
  const double begin = is_cut ? parting : report::accuracy_axis_begin(curves, good);

  std::int64_t first = std::numeric_limits<std::int64_t>::max(), last = 0;
  for (const Result& result : results) {
    for (const Run& run : result.runs) {
      if (!run.steps.empty()) first = std::min(first, run.steps.front());
      last = std::max(last, run.steps_made);
    }
  }
  return {"inception",
          "Inception scaled down: test accuracy\n" + report::of_seeds(training::seeds_of(results.front().runs)) + "\n" +
              data + (is_cut ? below : ""),
          report::axes_over_steps(last) + report::accuracy_axis(begin) +
              (last > 10'000 ? "set logscale x\nset xrange [" + std::to_string(first) + ":" + std::to_string(last) +
                                   "]\nset format x '%.0f'\n"
                             : ""),
          report::plot_of("inception.csv", is_cut ? learning : curves)};
}

/// The network that is soonest as good as Inception's best test; where there is nothing to compare, the one with the
/// best.
std::string highlight_of(const std::vector<Result>& results) {
  const auto compared = references(results);
  std::vector<training::NamedRuns> all, others;
  for (const Result& result : results) {
    all.push_back({result.variant.name, &result.runs});
    if (!compared.empty() && &result != compared.front()) others.push_back(all.back());
  }
  const std::string soonest =
      others.empty() ? ""
                     : training::soonest_at_the_best(others, {compared.front()->variant.name, &compared.front()->runs});
  return soonest.empty() ? training::best_of(all) : soonest;
}

int inception(const Options& options) {
  const auto& protocol = options.protocol;
  const auto& folder = options.common.output;
  check_weight_decay(options);
  const training::Experiment experiment(options.common, protocol,
                                        "Figures 2 and 3 scaled down:\n" + training::described(protocol));
  const std::vector<Result> results = train(options, experiment);

  print_all_steps(results, options.chosen->remark);
  print_accuracies(results);
  const std::vector<report::Curve> curves = write_curves(folder, results);
  std::vector<training::NamedRuns> runs;
  for (const Result& result : results) runs.push_back({result.variant.word, &result.runs});
  training::write_runs(folder / "inception_runs.csv", runs);
  write_summary(folder, results);
  const std::string images = std::string(protocol.input == data::Input::halved ? " at 14x14" : " at 28x28") +
                             (protocol.distortion == data::Distortion{} ? "" : ", each distorted anew in each step");
  return experiment.finish({make_figure(results, curves, experiment.dataset().description + images)},
                           {"inception_runs", "inception_summary"}, {"inception", highlight_of(results)});
}

}  // namespace

int main(int argc, char** argv) {
  process::CommandLine command_line("Figures 2 and 3 scaled down: Inception with and without batch normalization.",
                                    "inception");
  Options options;
  add_options(command_line, options);
  return command_line.run(argc, argv, [&] { return inception(options); });
}
