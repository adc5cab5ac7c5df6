// Section 4.2.1 of "Batch Normalization" (Ioffe & Szegedy, 2015): what else the paper changed once its Inception
// network had batch normalization. Here each change is undone by itself, and all of them together, in BN-x5.
//
// Of MNIST only 5,000 images are used for training: on all 60,000 the network does not overfit, and neither dropout nor
// weight decay, distortions or the order of the data could matter.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "experiments/networks/inception_network.hpp"
#include "experiments/process/command_line.hpp"
#include "experiments/report/csv.hpp"
#include "experiments/report/curves.hpp"
#include "experiments/report/seeds.hpp"
#include "experiments/report/table.hpp"
#include "experiments/report/text.hpp"
#include "experiments/training/experiment.hpp"
#include "experiments/training/highlights.hpp"
#include "experiments/training/results.hpp"

namespace {

using training::Run;

/// A network and how it is trained.
struct Setup {
  training::Protocol protocol;
  networks::InceptionOptions network;
};

/// A change of section 4.2.1, and how it is undone: numbers are the paper's.
struct Change {
  std::string word, name;
  void (*undo)(Setup& setup, double dropout);
};

const std::vector<Change> all_changes = {
    {"lr", "higher learning rate", [](Setup& setup, double) { setup.protocol.learning_rate.initial /= 5; }},
    {"dropout", "no dropout", [](Setup& setup, double dropout) { setup.network.dropout = dropout; }},
    {"l2", "less weight decay", [](Setup& setup, double) { setup.protocol.weight_decay *= 5; }},
    {"decay", "faster decay", [](Setup& setup, double) { setup.protocol.learning_rate.half_life *= 6; }},
    {"lrn", "no response norm", [](Setup& setup, double) { setup.network.local_response_norm = true; }},
    {"order", "reshuffling", [](Setup& setup, double) { setup.protocol.order = data::Order::fixed; }},
    {"distortion", "weaker distortions",
     [](Setup& setup, double) {
       setup.protocol.distortion.shift *= 2;
       setup.protocol.distortion.rotation *= 2;
       setup.protocol.distortion.scale *= 2;
     }},
};

struct Options {
  process::CommonOptions common = {.data = {}, .seeds = {0, 1, 2, 3}};
  training::Protocol protocol = {.steps = 2'000,
                                 .batch = 32,
                                 .learning_rate = {.initial = 0.5, .half_life = 700},
                                 .weight_decay = 1e-4,
                                 .training_images = 5'000,
                                 .distortion = {.shift = 1, .rotation = 5, .scale = 0.05},
                                 .input = data::Input::halved,
                                 .every = 250,
                                 .probe = 1,
                                 .population_batches = 0};
  double dropout = 0.4;
  double target = 0.95;
  std::vector<std::string> words;
};

/// A network with one change undone, or none or all of them, and its runs, one for each seed.
struct Result {
  std::string word, name;
  Setup setup;
  std::vector<Run> runs = {};
};

void add_options(process::CommandLine& command_line, Options& options) {
  auto& protocol = options.protocol;
  std::vector<std::string> known;
  for (const Change& change : all_changes) known.push_back(change.word);
  options.words = known;
  process::add_common_options(command_line, options.common);
  training::add_protocol_options(command_line, protocol);
  command_line.add_words("--changes", options.words, "which changes are undone, one at a time",
                         [known] { return known; });
  command_line.add_number("--lr", protocol.learning_rate.initial, "learning rate of BN-x5", process::positive());
  command_line.add_number("--half-life", protocol.learning_rate.half_life, "steps in which it halves",
                          process::positive());
  command_line.add_number("--weight-decay", protocol.weight_decay, "weight decay of BN-x5", process::not_negative());
  command_line.add_number("--shift", protocol.distortion.shift, "pixels an image is shifted at most",
                          process::not_negative());
  command_line.add_number("--rotation", protocol.distortion.rotation, "degrees it is turned at most",
                          process::not_negative());
  command_line.add_number("--scale", protocol.distortion.scale, "part by which it grows or shrinks at most",
                          process::between(0.0, 0.4));
  command_line.add_number("--dropout", options.dropout, "dropout where it is not left out",
                          process::between(0.0, 0.99));
  command_line.add_number("--target", options.target, "accuracy to which steps are counted",
                          process::between(0.0, 1.0));
}

/// BN-x5 first, then those with one change undone, then the one with all of them undone.
std::vector<Result> make_results(const Options& options) {
  const Setup accelerated{options.protocol, {}};
  std::vector<Result> results = {{"none", "BN-x5", accelerated}};
  Setup slow = accelerated;
  for (const Change& change : all_changes) {
    change.undo(slow, options.dropout);
    if (std::ranges::count(options.words, change.word) == 0) continue;
    results.push_back({change.word, change.name, accelerated});
    change.undo(results.back().setup, options.dropout);
  }
  results.push_back({"all", "all of them", slow});
  return results;
}

void train(std::vector<Result>& results, const Options& options, const training::Experiment& experiment) {
  std::vector<training::Job> jobs;
  for (const std::uint64_t seed : options.common.seeds) {
    for (const Result& result : results) {
      networks::InceptionOptions network = result.setup.network;
      network.seed = seed;
      jobs.push_back({"seed " + std::to_string(seed) + " " + result.word, result.setup.protocol, seed,
                      [network] { return networks::make_inception(network); }});
    }
  }
  auto runs = training::runs_to_report(experiment.train(jobs), results.size());
  for (std::size_t i = 0; i < results.size(); ++i) results[i].runs = std::move(runs[i]);
}

// --- What is reported

std::vector<double> steps_to(const Result& result, double target) {
  std::vector<double> values;
  for (const Run& run : result.runs) values.push_back(training::steps_to(run, target));
  return values;
}

bool has_diverged(const Result& result) {
  return std::ranges::any_of(result.runs, [](const Run& run) { return run.divergence.has_value(); });
}

/// What BN-x5 gains by a change: its accuracy less that of the network in which the change is undone, for each seed;
/// `diverged` if the latter did, none if BN-x5 did.
std::vector<double> gains(const Result& accelerated, const Result& undone) {
  std::vector<double> values = training::best_percents(accelerated.runs);
  const std::vector<double> without = training::best_percents(undone.runs);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = undone.runs[i].divergence        ? report::diverged
                : accelerated.runs[i].divergence ? report::none
                                                 : values[i] - without[i];
  }
  return values;
}

std::string verdict(const std::vector<double>& gains) {
  if (!std::isfinite(report::mean(gains))) return "";
  if (!report::is_beyond_noise(gains)) return "noise";
  return report::mean(gains) > 0 ? "helps" : "costs";
}

void print_changes(const std::vector<Result>& results, const Options& options) {
  const Result& accelerated = results.front();
  report::Table table({"change", "undone, %", "gain", "", "steps to " + report::shortest(100 * options.target) + "%"});
  for (const Result& result : results) {
    const std::string accuracy = report::with_standard_error(training::best_percents(result.runs), 2);
    const std::string steps = report::with_standard_error(steps_to(result, options.target), 0);
    if (&result == &accelerated) {
      table.add({result.name, accuracy, has_diverged(result) ? "diverged" : "", "", steps});
    } else {
      const std::vector<double> gained = gains(accelerated, result);
      table.add({result.name, accuracy, report::with_standard_error(gained, 2), verdict(gained), steps});
    }
  }
  std::cout
      << "\nBest test accuracy of BN-x5, and when one change of section 4.2.1 is undone\n(mean +- standard error of "
      << accelerated.runs.size() << " seeds)\n"
      << table
      << "gain: what the change adds, in % of the test images\n"
         "noise: not beyond chance, by Student's t at 95 % over the seeds\n";
  if (std::ranges::any_of(results, has_diverged))
    std::cout << "Of a network that diverged, the accuracy is the best that it had before.\n";
}

// --- What is written

report::Figure write_gains(const Options& options, const std::vector<Result>& results, const std::string& data) {
  report::Csv csv(options.common.output / "accelerate.csv", {"change", "gain", "standard_error", "best_accuracy"});
  bool is_empty = true;
  for (const Result& result : results) {
    if (&result == results.data()) continue;
    const std::vector<double> gained = gains(results.front(), result);
    is_empty &= !std::isfinite(report::mean(gained));
    csv.add({result.name}, {report::mean(gained), report::standard_error(gained),
                            report::mean(training::best_percents(result.runs)) / 100});
  }
  csv.close();
  return {"accelerate",
          "What BN-x5 gains by each change\n" +
              report::of_seeds(training::seeds_of(results.front().runs), "mean and standard error") + "\n" + data,
          "set xlabel 'test accuracy gained, %'\nset key off\nset border 1\nset tics nomirror\nset ytics scale 0\n"
          "set yrange [*:*] reverse\nset offsets 0, 0, 0.5, 0.5\nset arrow from 0, graph 0 to 0, graph 1 nohead lc "
          "'black'\n",
          is_empty ? ""
                   : "'accelerate.csv' using 2:0:ytic(1) with points pt 7 ps 1.2 lc '#1f4fbf', "
                     "'' using 2:0:3 with xerrorbars pt 0 lw 2 lc '#1f4fbf'"};
}

std::string highlight_of(const std::vector<Result>& results) {
  std::vector<training::Gain> changes;
  for (const Result& result : results) {
    if (result.word != "none" && result.word != "all") changes.push_back({result.name, gains(results.front(), result)});
  }
  return training::largest_gain(changes);
}

int accelerate(const Options& options) {
  const auto& protocol = options.protocol;
  const training::Experiment experiment(options.common, protocol,
                                        "Accelerating BN-x5:\n" + training::described(protocol));
  std::vector<Result> results = make_results(options);
  train(results, options, experiment);

  print_changes(results, options);
  std::vector<training::NamedRuns> runs;
  for (const Result& result : results) runs.push_back({result.word, &result.runs});
  training::write_runs(options.common.output / "accelerate_runs.csv", runs);
  return experiment.finish({write_gains(options, results, experiment.dataset().description)}, {"accelerate_runs"},
                           {"accelerate", highlight_of(results)});
}

}  // namespace

int main(int argc, char** argv) {
  process::CommandLine command_line("Section 4.2.1: what else is changed in a network with batch normalization.",
                                    "accelerate");
  Options options;
  add_options(command_line, options);
  return command_line.run(argc, argv, [&] { return accelerate(options); });
}
