// Figures 2 and 3 of "Batch Normalization" (Ioffe & Szegedy, 2015), in small: how many steps an Inception network takes
// with and without batch normalization, and at which learning rates.
//
// The paper trains on ImageNet for weeks. Here a network of 22,000 weights reads MNIST at 14x14; its depth of 11 layers
// is trained without batch normalization with less trouble than the paper's, so the ratios of steps are smaller.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "program/command_line.hpp"
#include "program/csv.hpp"
#include "program/experiment.hpp"
#include "program/inception_network.hpp"
#include "program/parallel.hpp"
#include "program/progress.hpp"
#include "program/results.hpp"
#include "program/table.hpp"
#include "program/text.hpp"

namespace {

using program::Run;
using Activation = nn::Unit::Activation;

/// A network of section 4.2.2, and what the paper says of it.
struct Variant {
  std::string word, name;
  nn::Unit unit;
  double learning_rate;  ///< in units of Inception's
  std::string paper_steps, paper_accuracy;
};

const std::vector<Variant> all_variants = {
    {"inception", "Inception", {false, Activation::relu}, 1, "31.0M", "72.2"},
    {"baseline", "BN-Baseline", {true, Activation::relu}, 1, "13.3M", "72.7"},
    {"x5", "BN-x5", {true, Activation::relu}, 5, "2.1M", "73.0"},
    {"x30", "BN-x30", {true, Activation::relu}, 30, "2.7M", "74.8"},
    {"x5-sigmoid", "BN-x5-Sigmoid", {true, Activation::sigmoid}, 5, "-", "69.8"},
    {"sigmoid", "Sigmoid without BN", {false, Activation::sigmoid}, 1, "-", "chance"},
};

struct Options {
  program::CommonOptions common = {.data = {}, .seeds = {0, 1, 2}};
  program::Protocol protocol = {.steps = 3'000,
                                .batch = 32,
                                .learning_rate = {.initial = 0.1, .half_life = 1'000},
                                .input = data::Input::halved,
                                .every = 100,
                                .probe = 1,
                                .population_batches = 100};
  double dropout = 0;
  std::vector<std::string> words;
};

/// A variant and its runs, one for each seed.
struct Result {
  Variant variant;
  std::vector<Run> runs;
};

void add_options(CLI::App& app, Options& options) {
  auto& protocol = options.protocol;
  for (const Variant& variant : all_variants) options.words.push_back(variant.word);
  program::add_common_options(app, options.common);
  program::add_protocol_options(app, protocol);
  app.add_option("--variants", options.words, "which networks")
      ->delimiter(',')
      ->check(CLI::IsMember(options.words))
      ->type_name("WORD,...")
      ->default_str("all");
  program::add_number(app, "--lr", protocol.learning_rate.initial, "Inception's learning rate", program::positive());
  program::add_number(app, "--half-life", protocol.learning_rate.half_life, "steps in which it halves; 0: never",
                      program::not_negative());
  program::add_number(app, "--momentum", protocol.momentum, "momentum", program::not_negative());
  program::add_number(app, "--weight-decay", protocol.weight_decay, "weight decay", program::not_negative());
  program::add_number(app, "--dropout", options.dropout, "part that is dropped in front of the classifier",
                      CLI::Range(0.0, 0.99));
}

/// Trains all networks, as many at a time as there are cores, one seed after the other.
std::vector<Result> train(const Options& options, const program::Experiment& experiment) {
  const auto& seeds = options.common.seeds;
  std::vector<Result> results;
  for (const Variant& variant : all_variants) {
    if (std::ranges::count(options.words, variant.word) > 0)
      results.push_back({variant, std::vector<Run>(seeds.size())});
  }
  std::vector<std::string> labels;
  for (const std::uint64_t seed : seeds) {
    for (const Result& result : results) labels.push_back("seed " + std::to_string(seed) + " " + result.variant.name);
  }
  program::Progress progress(labels, options.protocol.steps, program::is_terminal(stderr));
  program::for_each_in_parallel(labels.size(), [&](std::size_t i) {
    Result& result = results[i % results.size()];
    const std::uint64_t seed = seeds[i / results.size()];
    program::Protocol protocol = options.protocol;
    protocol.learning_rate.initial *= result.variant.learning_rate;
    result.runs[i / results.size()] = experiment.train(
        protocol, seed,
        program::make_inception({.unit = result.variant.unit, .dropout = options.dropout, .seed = seed}),
        [&](std::int64_t step, double accuracy) { progress.update(i, step, accuracy); });
  });
  return results;
}

// --- What is reported

template <class Quantity>
std::vector<double> collect(const Result& result, const Quantity& quantity) {
  std::vector<double> values;
  for (std::size_t i = 0; i < result.runs.size(); ++i) values.push_back(quantity(result.runs[i], i));
  return values;
}

/// The best accuracy of the network without batch normalization, with the same seed: what the others have to reach.
double target(const std::vector<Result>& results, std::size_t seed, bool smooth) {
  for (const Result& result : results) {
    if (result.variant.word != "inception") continue;
    const Run& run = result.runs[seed];
    return program::best_accuracy(smooth ? program::smoothed(run) : run);
  }
  return program::none;
}

std::vector<double> steps_to_target(const std::vector<Result>& results, const Result& result, bool smooth) {
  return collect(result, [&](const Run& run, std::size_t seed) {
    return program::steps_to(smooth ? program::smoothed(run) : run, target(results, seed, smooth));
  });
}

/// How many times fewer steps than Inception, for each seed.
std::vector<double> speedup(const std::vector<Result>& results, const Result& result, bool smooth) {
  std::vector<double> ratios = steps_to_target(results, result, smooth);
  const auto inception =
      std::ranges::find(results, "inception", [](const Result& other) { return other.variant.word; });
  if (inception == results.end()) return ratios;  // all of them none
  const std::vector<double> steps = steps_to_target(results, *inception, smooth);
  for (std::size_t i = 0; i < ratios.size(); ++i) ratios[i] = steps[i] / ratios[i];
  return ratios;
}

std::vector<double> best_accuracies(const Result& result) {
  return collect(result, [](const Run& run, std::size_t) { return 100 * program::best_accuracy(run); });
}

void print_steps(const std::vector<Result>& results) {
  program::Table table({"", "steps to Inception's best", "times fewer", "kept*", "paper"});
  for (const Result& result : results) {
    table.add({result.variant.name, program::over_seeds(steps_to_target(results, result, false), 0),
               program::over_seeds(speedup(results, result, false), 1),
               program::over_seeds(speedup(results, result, true), 1), result.variant.paper_steps});
  }
  std::cout << '\n'
            << table
            << "* the same for the mean of three tests in a row. '-': on one seed at least, never\n"
               "  The paper's ratios are up to 14: its Inception needs millions of steps, this one\n"
               "  is small enough to train tolerably without batch normalization.\n";
}

void print_accuracies(const std::vector<Result>& results) {
  program::Table table({"test accuracy, %", "maximum", "at the end", "population", "paper's maximum"});
  for (const Result& result : results) {
    const auto end = collect(result, [](const Run& run, std::size_t) { return 100 * run.running_accuracy; });
    const auto population = collect(result, [](const Run& run, std::size_t) { return 100 * run.population_accuracy; });
    table.add({result.variant.name, program::over_seeds(best_accuracies(result), 2), program::over_seeds(end, 2),
               program::over_seeds(population, 2), result.variant.paper_accuracy});
  }
  std::cout << '\n' << table << "\nprocessor time a step:";
  for (const Result& result : results) {
    const auto time = collect(result, [](const Run& run, std::size_t) { return 1e3 * run.seconds_per_step; });
    std::cout << (&result == results.data() ? " " : ", ") << result.variant.word << ' '
              << program::fixed(program::mean(time), 1);
  }
  std::cout << " ms\n";
}

// --- What is written

void write_curves(const std::filesystem::path& folder, const std::vector<Result>& results) {
  std::vector<std::string> columns = {"step"};
  for (const Result& result : results) columns.push_back(result.variant.word);
  program::Csv csv(folder / "inception.csv", columns);
  std::vector<std::int64_t> steps;
  for (const Result& result : results) {
    if (result.runs.front().steps.size() > steps.size()) steps = result.runs.front().steps;
  }
  for (const std::int64_t step : steps) {
    std::vector<double> row = {static_cast<double>(step)};
    for (const Result& result : results)
      row.push_back(
          program::mean(collect(result, [&](const Run& run, std::size_t) { return program::accuracy_at(run, step); })));
    csv.add(row);
  }
  csv.close();
}

void write_runs(const std::filesystem::path& folder, const std::vector<Result>& results) {
  program::Csv csv(folder / "inception_runs.csv", {"network", "seed", "step", "accuracy"});
  for (const Result& result : results) {
    for (const Run& run : result.runs) {
      for (std::size_t i = 0; i < run.steps.size(); ++i)
        csv.add({result.variant.word},
                {static_cast<double>(run.seed), static_cast<double>(run.steps[i]), run.accuracy[i]});
    }
  }
  csv.close();
}

void write_summary(const std::filesystem::path& folder, const std::vector<Result>& results) {
  program::Csv csv(folder / "inception_summary.csv",
                   {"network", "seed", "steps", "steps_to_inceptions_best", "times_fewer", "times_fewer_kept",
                    "best_accuracy", "final_running", "final_population", "seconds_per_step"});
  for (const Result& result : results) {
    const auto steps = steps_to_target(results, result, false);
    const auto ratio = speedup(results, result, false), kept = speedup(results, result, true);
    for (std::size_t i = 0; i < result.runs.size(); ++i) {
      const Run& run = result.runs[i];
      csv.add({result.variant.word},
              {static_cast<double>(run.seed), static_cast<double>(run.steps_made), steps[i], ratio[i], kept[i],
               program::best_accuracy(run), run.running_accuracy, run.population_accuracy, run.seconds_per_step});
    }
  }
  csv.close();
}

/// The curves, from the accuracy at which they part if all networks that learn anything come so far.
program::Figure make_figure(const std::vector<Result>& results, const std::string& data) {
  double lowest = 1;
  std::int64_t last = 0;
  std::string plot;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Result& result = results[i];
    const double end = result.runs.front().running_accuracy;
    if (end > 0.5) lowest = std::min(lowest, end);
    last = std::max(last, result.runs.front().steps_made);
    plot += (i == 0 ? "'inception.csv'" : ", ''") + std::string(" using 1:") + std::to_string(i + 2) +
            " with lines lw 2 lc " + std::to_string(i + 1) + (result.variant.unit.batch_norm ? "" : " dt (12,6)") +
            " title '" + result.variant.name + "'";
  }
  return {"inception",
          "Inception in small: test accuracy, " +
              program::grouped(static_cast<std::int64_t>(results.front().runs.size())) +
              (results.front().runs.size() > 1 ? " seeds\n" : " seed\n") + data + " at 14x14",
          program::axes_over_steps(last) + "set ylabel 'test accuracy'\nset key bottom right\nset yrange [" +
              (lowest > 0.95 ? "0.9" : "0") + ":1]\n",
          plot};
}

int inception(const Options& options) {
  const auto& protocol = options.protocol;
  const auto& folder = options.common.output;
  const program::Experiment experiment(options.common, protocol,
                                       "Figures 2 and 3 in small: " + program::grouped(protocol.steps) + " steps of " +
                                           std::to_string(protocol.batch) + ", learning rate " +
                                           program::shortest(protocol.learning_rate.initial) + ", halved every " +
                                           program::shortest(protocol.learning_rate.half_life) + " steps");
  const std::vector<Result> results = train(options, experiment);

  program::report_interrupt();
  print_steps(results);
  print_accuracies(results);
  write_curves(folder, results);
  write_runs(folder, results);
  write_summary(folder, results);
  return experiment.finish({make_figure(results, experiment.dataset().description)},
                           {"inception_runs", "inception_summary"});
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Figures 2 and 3 in small: Inception with and without batch normalization.", "inception");
  Options options;
  add_options(app, options);
  return program::run(app, argc, argv, [&] { return inception(options); });
}
