// Section 4.2.3 of "Batch Normalization" (Ioffe & Szegedy, 2015): six networks based on BN-x30, each a little
// different, and the arithmetic mean of the class probabilities that they predict.

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
#include "experiments/training/experiment.hpp"
#include "experiments/training/highlights.hpp"
#include "experiments/training/results.hpp"

namespace {

/// One of the six. The paper names the kinds of modification, but not which network has which.
struct Member {
  std::string name;
  networks::InceptionOptions network;
};

const std::vector<Member> members = {
    {"as it is", {}},
    {"weights x2", {.weights = 2}},
    {"dropout 5 %", {.dropout = 0.05}},
    {"dropout 10 %, weights x1.5", {.dropout = 0.1, .weights = 1.5}},
    {"per activation", {.per_activation = true}},
    {"per activation, dropout 5 %, weights x2", {.dropout = 0.05, .per_activation = true, .weights = 2}},
};

struct Options {
  process::CommonOptions common = {.data = {}, .seeds = {0, 1, 2}};
  training::Protocol protocol = {.steps = 3'000,
                                 .batch = 32,
                                 .learning_rate = {.initial = 3, .half_life = 1'000},
                                 .input = data::Input::halved,
                                 .every = 1'000,
                                 .probe = 1,
                                 .population_batches = 0};
};

/// The errors of one seed's networks, in per cent; `diverged` of a network that did, and of a mean with one in it.
struct Errors {
  std::uint64_t seed;
  std::vector<double> alone = {};        ///< of each network
  std::vector<double> mean = {};         ///< of the mean of the first one, of the first two, ...
  std::vector<double> diverged_at = {};  ///< training::diverged_at() of each network
};

void add_options(process::CommandLine& command_line, Options& options) {
  auto& protocol = options.protocol;
  process::add_common_options(command_line, options.common);
  training::add_protocol_options(command_line, protocol);
  command_line.add_number("--lr", protocol.learning_rate.initial, "learning rate", process::positive());
  command_line.add_number("--half-life", protocol.learning_rate.half_life, "steps in which it halves; 0: never",
                          process::not_negative());
}

/// Trains six networks for each seed; each has initial weights and an order of the data of its own.
std::vector<Errors> train(const Options& options, const training::Experiment& experiment) {
  const auto& seeds = options.common.seeds;
  std::vector<nn::Matrix<float>> probabilities(seeds.size() * members.size());
  std::vector<training::Job> jobs;
  for (const std::uint64_t seed : seeds) {
    for (const Member& member : members) {
      const std::size_t number = jobs.size();
      networks::InceptionOptions network = member.network;
      network.seed = seed * members.size() + number % members.size();
      jobs.push_back({"seed " + std::to_string(seed) + " network " + std::to_string(number % members.size() + 1),
                      options.protocol, network.seed, [network] { return networks::make_inception(network); },
                      [&, number](networks::Network& trained) {
                        probabilities[number] = training::class_probabilities(trained.model, experiment.test());
                      }});
    }
  }
  const std::vector<training::Run> runs = experiment.train(jobs);

  const auto error = [&](const nn::Matrix<float>& predicted, bool has_diverged) {
    if (has_diverged) return report::diverged;
    return predicted.size() > 0 ? 100 * (1 - training::accuracy(predicted, experiment.test())) : report::none;
  };
  std::vector<Errors> result;
  for (const std::size_t i : training::seeds_to_report(runs, members.size())) {
    Errors& errors = result.emplace_back(Errors{.seed = seeds[i]});
    nn::Matrix<float> sum;
    bool has_diverged = false;
    for (std::size_t j = 0; j < members.size(); ++j) {
      const nn::Matrix<float>& own = probabilities[i * members.size() + j];
      const training::Run& run = runs[i * members.size() + j];
      has_diverged |= run.divergence.has_value();
      errors.diverged_at.push_back(training::diverged_at(run));
      errors.alone.push_back(error(own, run.divergence.has_value()));
      if (j == 0) {
        sum = own;
      } else if (sum.size() == own.size()) {
        sum += own;
      } else {
        sum.resize(0, 0);  // of one that diverged, or was not begun after Ctrl-C, there are none
      }
      errors.mean.push_back(error(sum, has_diverged));
    }
  }
  return result;
}

// --- What is reported

/// A value for each seed.
template <class Quantity>
std::vector<double> collect(const std::vector<Errors>& errors, const Quantity& quantity) {
  std::vector<double> values;
  for (const Errors& one : errors) values.push_back(quantity(one));
  return values;
}

double mean_alone(const Errors& errors) { return report::mean(errors.alone); }

double together(const Errors& errors) { return errors.mean.back(); }

/// The smallest error among the networks that have one; `diverged` if all of them did.
double best_error(const Errors& errors) {
  double best = report::none;
  bool all_diverged = true;
  for (const double error : errors.alone) {
    all_diverged &= error == report::diverged;
    if (std::isfinite(error) && !(best <= error)) best = error;
  }
  return all_diverged ? report::diverged : best;
}

void print_errors(const std::vector<Errors>& errors) {
  report::Table table({"network", "test error, %"});
  const auto add = [&](const std::string& name, const auto& quantity, int decimals = 2) {
    table.add({name, report::over_seeds(collect(errors, quantity), decimals)});
  };
  for (std::size_t i = 0; i < members.size(); ++i)
    add(std::to_string(i + 1) + ": " + members[i].name, [i](const Errors& one) { return one.alone[i]; });
  add("mean of the six errors", mean_alone);
  add("best of the six errors", [](const Errors& one) { return best_error(one); });
  add("ensemble: mean of the six probabilities", together);
  add(
      "errors that it saves, % of the mean",
      [](const Errors& one) { return 100 * (1 - together(one) / mean_alone(one)); }, 0);
  std::cout << '\n'
            << table << "Paper, ImageNet, 144 crops: one network 21.99 (top 1), 5.82 (top 5);\n"
            << "six 20.1 and 4.9, 4.82 on the test server: 9 and 16 % fewer errors.\n";
}

// --- What is written

void write_members(const std::filesystem::path& folder, const std::vector<Errors>& errors) {
  report::Csv csv(folder / "ensemble_networks.csv", {"seed", "network", "error", "ensemble_so_far", "diverged_at"});
  for (const Errors& of_seed : errors) {
    for (std::size_t j = 0; j < members.size(); ++j)
      csv.add({static_cast<double>(of_seed.seed), static_cast<double>(j + 1), of_seed.alone[j], of_seed.mean[j],
               of_seed.diverged_at[j]});
  }
  csv.close();
}

report::Figure write_means(const std::filesystem::path& folder, const std::vector<Errors>& errors,
                           const std::string& data) {
  report::Csv csv(folder / "ensemble.csv",
                  {"networks", "error", "ensemble_so_far", "error_std", "ensemble_so_far_std"});
  bool has_alone = false, has_mean = false;
  for (std::size_t j = 0; j < members.size(); ++j) {
    const auto alone = collect(errors, [j](const Errors& one) { return one.alone[j]; });
    const auto mean = collect(errors, [j](const Errors& one) { return one.mean[j]; });
    has_alone |= std::isfinite(report::mean(alone));
    has_mean |= std::isfinite(report::mean(mean));
    csv.add({static_cast<double>(j + 1), report::mean(alone), report::mean(mean), report::standard_deviation(alone),
             report::standard_deviation(mean)});
  }
  csv.close();
  std::vector<std::uint64_t> seeds;
  for (const Errors& of_seed : errors) seeds.push_back(of_seed.seed);
  const bool has_deviations = errors.size() > 1;
  const std::string color = report::look(0, true).color;
  std::vector<std::string> plots;
  if (has_mean && has_deviations) plots.push_back(report::band_of("ensemble.csv", 3, 5, color));
  if (has_alone) {
    plots.push_back(std::string("'ensemble.csv' using ($1-0.08):2") +
                    (has_deviations ? ":4 with yerrorbars" : " with points") +
                    " pt 7 ps 1.2 lc 'black' title 'each by itself'");
  }
  if (has_mean) {
    plots.push_back("'ensemble.csv' using 1:3 with linespoints pt 5 lw 2 lc '" + color +
                    "' title 'all so far together'");
  }
  return {"ensemble",
          "Six networks like BN-x30, and the mean of their probabilities\n" + report::of_seeds(seeds) + "\n" + data,
          "set xlabel 'networks'\nset ylabel 'test error, %'\nset xrange [0.5:6.5]\nset yrange [0:*]\nset xtics 1\n" +
              report::plain_axes + report::key_below,
          report::joined(plots, ", ")};
}

int ensemble(const Options& options) {
  const auto& protocol = options.protocol;
  const auto& folder = options.common.output;
  const training::Experiment experiment(options.common, protocol,
                                        "An ensemble of six: " + training::described(protocol));
  const std::vector<Errors> errors = train(options, experiment);

  print_errors(errors);
  write_members(folder, errors);
  return experiment.finish(
      {write_means(folder, errors, experiment.dataset().description)}, {"ensemble_networks"},
      {"ensemble", training::errors_saved(collect(errors, mean_alone), collect(errors, together))});
}

}  // namespace

int main(int argc, char** argv) {
  process::CommandLine command_line("Section 4.2.3: six networks, and the mean of their predictions.", "ensemble");
  Options options;
  add_options(command_line, options);
  return command_line.run(argc, argv, [&] { return ensemble(options); });
}
