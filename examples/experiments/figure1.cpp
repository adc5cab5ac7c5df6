// Figure 1 of "Batch Normalization" (Ioffe & Szegedy, 2015): the same network with and without batch normalization.
//
// (a) Test accuracy in the course of training. (b), (c) The 15th, 50th and 85th percentile of the input to one sigmoid
// of the last hidden layer, without and with batch normalization.
//
// The paper gives the network, binary images (--input binary), 50,000 steps of 60 examples and "small random Gaussian"
// weights, and no learning rate.
// With a learning rate of 1 and weights from N(0, 0.01^2) the figure has the paper's shape: without batch normalization
// a plateau, a late climb and a lower end. The smallness matters: with weights of the size 1 / sqrt(inputs) and its
// best learning rate the network without batch normalization is as good after 5,000 steps.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "experiments/networks/sigmoid_network.hpp"
#include "experiments/process/command_line.hpp"
#include "experiments/process/output_folder.hpp"
#include "experiments/report/csv.hpp"
#include "experiments/report/curves.hpp"
#include "experiments/report/seeds.hpp"
#include "experiments/report/table.hpp"
#include "experiments/report/text.hpp"
#include "experiments/training/accuracy_curves.hpp"
#include "experiments/training/experiment.hpp"
#include "experiments/training/highlights.hpp"
#include "experiments/training/results.hpp"
#include "nn/checkpoint.hpp"

namespace {

using training::Run;

struct Options {
  process::CommonOptions common;
  training::Protocol protocol;
  double initial_deviation = 0.01;
  std::filesystem::path save, load;
};

/// The two networks of one seed.
struct Pair {
  Run without, with;
};

void add_options(process::CommandLine& command_line, Options& options) {
  auto& protocol = options.protocol;
  process::add_common_options(command_line, options.common);
  training::add_protocol_options(command_line, protocol);
  training::add_input_option(command_line, protocol.input);
  command_line.add_number("--lr", protocol.learning_rate.initial, "learning rate", process::positive());
  command_line.add_number("--init-std", options.initial_deviation, "standard deviation of the initial weights",
                          process::positive());
  command_line.add_text("--save", options.save, "save the trained networks", "FOLDER");
  command_line.add_text("--load", options.load, "begin with networks that --save left there", "FOLDER");
}

/// The file of a network, in the folder of --save or --load.
std::filesystem::path file_in(const std::filesystem::path& folder, const std::string& network, std::uint64_t seed) {
  return folder / ("figure1_" + network + "_seed" + std::to_string(seed) + ".safetensors");
}

std::string name_of(bool batch_norm) { return batch_norm ? "with_bn" : "without_bn"; }

/// Saves a network. What is wrong is kept for the end: it is no reason to lose all other results.
void save(networks::Network& trained, const std::filesystem::path& file, std::string& problem) {
  try {
    nn::save(trained.model, file);
  } catch (const std::runtime_error& error) {
    problem = error.what();
  }
}

/// Both networks of each seed, and a place for each to say why it could not be saved.
std::vector<training::Job> make_jobs(const Options& options, std::vector<std::string>& problems) {
  problems.assign(2 * options.common.seeds.size(), "");
  std::vector<training::Job> jobs;
  for (const std::uint64_t seed : options.common.seeds) {
    for (const bool batch_norm : {false, true}) {
      const networks::SigmoidNetworkOptions network = {
          .batch_norm = batch_norm, .deviation = nn::constant_deviation(options.initial_deviation), .seed = seed};
      const auto make = [network, &load = options.load] {
        networks::Network made = networks::make_sigmoid_network(network);
        if (!load.empty()) nn::load(made.model, file_in(load, name_of(network.batch_norm), network.seed));
        return made;
      };
      const auto look = [network, &folder = options.save,
                         &problem = problems[jobs.size()]](networks::Network& trained) {
        if (!folder.empty()) save(trained, file_in(folder, name_of(network.batch_norm), network.seed), problem);
      };
      jobs.push_back({"seed " + std::to_string(seed) + (batch_norm ? " with BN" : " without BN"), options.protocol,
                      seed, make, look});
    }
  }
  return jobs;
}

/// Removes what an earlier run has saved of a network that diverged in this one.
void remove_diverged(const std::filesystem::path& folder, const Run& run, bool batch_norm) {
  std::error_code ignored;  // there need not be any
  if (run.divergence) std::filesystem::remove(file_in(folder, name_of(batch_norm), run.seed), ignored);
}

/// Trains the networks, as many at a time as there are cores.
std::vector<Pair> train_pairs(const Options& options, const std::vector<training::Job>& jobs,
                              const training::Experiment& experiment) {
  std::vector<Run> runs = experiment.train(jobs);
  for (std::size_t i = 0; i < runs.size() && !options.save.empty(); ++i)
    remove_diverged(options.save, runs[i], i % 2 == 1);
  std::vector<Pair> pairs;
  for (const std::size_t seed : training::seeds_to_report(runs, 2))
    pairs.push_back({std::move(runs[2 * seed]), std::move(runs[2 * seed + 1])});
  return pairs;
}

// --- What is reported

template <class Quantity>
std::vector<double> collect(const std::vector<Pair>& pairs, const Quantity& quantity) {
  std::vector<double> values;
  for (const Pair& pair : pairs) values.push_back(quantity(pair));
  return values;
}

void print_accuracies(const std::vector<Pair>& pairs) {
  report::Table table({"step", "without BN", "with BN"});
  for (const std::int64_t step : training::milestones) {
    const auto without = collect(pairs, [&](const Pair& pair) { return training::accuracy_at(pair.without, step); });
    const auto with = collect(pairs, [&](const Pair& pair) { return training::accuracy_at(pair.with, step); });
    if (std::isnan(report::mean(without)) && std::isnan(report::mean(with))) continue;
    table.add({report::grouped(step), report::over_seeds(without, 4), report::over_seeds(with, 4)});
  }
  std::cout << "\nTest accuracy" << (pairs.size() > 1 ? ", mean and standard deviation over the seeds\n" : "\n")
            << table;
}

void print_comparison(const std::vector<Pair>& pairs, const training::Protocol& protocol) {
  report::Table table({"", "without BN", "with BN", "ratio"});
  const auto add = [&](const std::string& name, int decimals, const auto& quantity, bool ratio) {
    const auto without = collect(pairs, [&](const Pair& pair) { return quantity(pair.without, pair); });
    const auto with = collect(pairs, [&](const Pair& pair) { return quantity(pair.with, pair); });
    std::vector<double> ratios;
    for (std::size_t i = 0; i < pairs.size(); ++i) ratios.push_back(with[i] / without[i]);
    table.add({name, report::over_seeds(without, decimals), report::over_seeds(with, decimals),
               ratio ? report::over_seeds(ratios, 2) : ""});
  };
  const auto stability = [](auto member) {
    return [member](const Run& run, const Pair&) { return run.percentiles.stability().*member; };
  };
  using Stability = training::PercentileHistory::Stability;

  add(
      "best test accuracy", 4, [](const Run& run, const Pair&) { return training::best_accuracy(run); }, false);
  add(
      "steps to the best without BN", 0,
      [](const Run& run, const Pair& pair) { return training::steps_to(run, training::best_accuracy(pair.without)); },
      true);
  add(
      "at the end, running averages", 4, [](const Run& run, const Pair&) { return run.running_accuracy; }, false);
  add(
      "at the end, " + report::grouped(protocol.population_batches) + " batches", 4,
      [](const Run& run, const Pair&) { return run.population_accuracy; }, false);
  add(
      "CPU time a step, ms", 3, [](const Run& run, const Pair&) { return 1e3 * run.seconds_per_step; }, true);
  add("range of the median*", 2, stability(&Stability::median_range), true);
  add("drift of the spread*", 3, stability(&Stability::spread_drift), true);
  std::cout << '\n'
            << table << "* of the inputs of the last hidden layer's sigmoids, mean over the units:\n"
            << "  range: the largest median less the smallest\n"
            << "  drift: mean change of p85 - p15 in " << report::grouped(protocol.every)
            << " steps, over p85 - p15 at the time\n";
}

// --- What is written

std::vector<Run> runs_of(const std::vector<Pair>& pairs, Run Pair::*network) {
  std::vector<Run> runs;
  for (const Pair& pair : pairs) runs.push_back(pair.*network);
  return runs;
}

void write_percentiles(const std::filesystem::path& path, const std::vector<Pair>& pairs, Run Pair::*network) {
  report::Csv csv(path,
                  {"seed", "unit", "step", "unit_p15", "unit_p50", "unit_p85", "mean_p15", "mean_p50", "mean_p85"});
  for (const Pair& pair : pairs) {
    const Run& run = pair.*network;
    const Eigen::Index unit = run.percentiles.typical_unit();
    for (std::size_t i = 0; i < run.percentiles.steps.size(); ++i) {
      const training::UnitPercentiles& values = run.percentiles.values[i];
      const auto average = values.colwise().mean().eval();
      csv.add({static_cast<double>(run.seed), static_cast<double>(unit), static_cast<double>(run.percentiles.steps[i]),
               values(unit, 0), values(unit, 1), values(unit, 2), average[0], average[1], average[2]});
    }
  }
  csv.close();
}

void write_summary(const std::filesystem::path& folder, const std::vector<Pair>& pairs) {
  report::Csv csv(
      folder / "figure1_summary.csv",
      {"network", "seed", "steps", "diverged_at", "best_accuracy", "steps_to_best_without_bn", "final_running",
       "final_population", "seconds_per_step", "median_range", "median_drift", "spread_drift", "mean_spread"});
  for (const Pair& pair : pairs) {
    for (const Run* run : {&pair.without, &pair.with}) {
      const auto stability = run->percentiles.stability();
      csv.add({run == &pair.with ? "with_bn" : "without_bn"},
              {static_cast<double>(run->seed), static_cast<double>(run->steps_made), training::diverged_at(*run),
               training::best_accuracy(*run), training::steps_to(*run, training::best_accuracy(pair.without)),
               run->running_accuracy, run->population_accuracy, run->seconds_per_step, stability.median_range,
               stability.median_drift, stability.spread_drift, stability.mean_spread});
    }
  }
  csv.close();
}

std::vector<report::Figure> make_figures(const std::vector<Pair>& pairs, const std::vector<report::Curve>& accuracies,
                                         std::int64_t steps, const std::string& data) {
  std::vector<std::uint64_t> seeds;
  for (const Pair& pair : pairs) seeds.push_back(pair.with.seed);
  const std::string axis = report::axes_over_steps(steps);

  std::vector<report::Figure> figures;
  figures.push_back({"figure1a", "Test accuracy, " + report::of_seeds(seeds) + "\n" + data,
                     axis + report::accuracy_axis(report::accuracy_axis_begin(accuracies, 0.7)),
                     report::plot_of("figure1a.csv", accuracies)});

  // (b) and (c) show the same range, so that they can be compared.
  double low = 0, high = 1;
  for (const Run* run : {&pairs.front().without, &pairs.front().with}) {
    const Eigen::Index unit = run->percentiles.typical_unit();
    for (const training::UnitPercentiles& values : run->percentiles.values) {
      low = std::min(low, std::floor(values.row(unit).minCoeff()));
      high = std::max(high, std::ceil(values.row(unit).maxCoeff()));
    }
  }
  const std::string seed = std::to_string(pairs.front().with.seed);
  const auto percentiles = [&](const std::string& name, const std::string& which, const Run& run) {
    const bool is_point = run.percentiles.steps.size() == 1;
    const std::string file = "'" + name + ".csv'", line = is_point ? " with points pt 7 lc " : " with lines lw 2 lc ";
    const auto column = [&](int i) { return " using 3:($1==" + seed + "?$" + std::to_string(i) + ":1/0)" + line; };
    const std::string ending = report::ending_of({training::diverged_at(run)});
    figures.push_back({name,
                       "Input of a typical sigmoid " + which + ending + ", seed " + seed + ", unit " +
                           std::to_string(run.percentiles.typical_unit()) + "\n" + data,
                       axis + "set ylabel '15th, 50th, 85th percentile'\nset key off\nset yrange [" +
                           report::fixed(low, 0) + ":" + report::fixed(high, 0) + "]\n",
                       run.percentiles.steps.empty() ? ""
                                                     : file + column(4) + "'#7f9fdf', '' " + column(6) +
                                                           "'#7f9fdf', '' " + column(5) + "'#1f4fbf'"});
  };
  percentiles("figure1b", "without BN", pairs.front().without);
  percentiles("figure1c", "with BN", pairs.front().with);
  return figures;
}

int figure1(const Options& options) {
  const auto& protocol = options.protocol;
  const auto& folder = options.common.output;
  if (!options.save.empty()) process::prepare_output_folder(options.save);
  std::vector<std::string> problems;
  const std::vector<training::Job> jobs = make_jobs(options, problems);
  for (const training::Job& job : jobs) {
    if (!options.load.empty()) job.make();  // a broken file is refused before an hour of training
  }
  const training::Experiment experiment(options.common, protocol,
                                        "Figure 1: 784-100-100-100-10 sigmoid units, " + training::described(protocol));
  const std::vector<Pair> pairs = train_pairs(options, jobs, experiment);

  print_accuracies(pairs);
  print_comparison(pairs, protocol);
  const std::vector<Run> without = runs_of(pairs, &Pair::without), with = runs_of(pairs, &Pair::with);
  const std::vector<report::Curve> accuracies =
      training::write_accuracy_curves(folder / "figure1a.csv",
                                      {{"without_bn", "without BN", report::look(0, false), &without},
                                       {"with_bn", "with BN", report::look(0, true), &with}},
                                      training::SeedColumns::yes);
  write_percentiles(folder / "figure1b.csv", pairs, &Pair::without);
  write_percentiles(folder / "figure1c.csv", pairs, &Pair::with);
  write_summary(folder, pairs);
  const int code = experiment.finish(
      make_figures(pairs, accuracies, protocol.steps, experiment.dataset().description), {"figure1_summary"},
      {"figure1a", training::reaching_the_best({"with BN", &with}, {"without BN", &without})});
  std::erase(problems, "");
  if (!problems.empty()) throw std::runtime_error(report::joined(problems, "; "));
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  process::CommandLine command_line("The paper's Figure 1: MNIST with and without batch normalization.", "figure1");
  Options options;
  add_options(command_line, options);
  return command_line.run(argc, argv, [&] { return figure1(options); });
}
