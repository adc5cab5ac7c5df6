// How much learning rate and initial weights matter, with and without batch normalization.
//
// Section 3.3 of "Batch Normalization" (Ioffe & Szegedy, 2015): "Batch Normalization also makes training more resilient
// to the parameter scale", and "enables higher learning rates". Here the network of section 4.1 is trained with each
// learning rate and each size of the initial weights, once without and once with batch normalization.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "experiments/networks/sigmoid_network.hpp"
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

/// Which layers' initial weights vary; the others' are from N(0, 0.01^2).
enum class Layers { all, hidden };

/// The accuracy of a network that has learned.
constexpr double learned = 0.9;

/// The word for a standard deviation of 1 / sqrt(inputs) instead of a number.
const std::string fan_in = "fan-in";

struct Options {
  process::CommonOptions common;
  training::Protocol protocol = {.steps = 5'000, .every = 1'000, .population_batches = 0};
  std::vector<double> learning_rates = {0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30};
  std::vector<std::string> deviations = {"0.001", "0.01", fan_in, "0.1", "1", "10"};
  Layers layers = Layers::all;
};

/// One network: where it stands in the grid, and what came out for each seed.
struct Cell {
  bool batch_norm;
  std::size_t learning_rate, deviation;
  std::vector<Run> runs = {};
};

/// The networks in the order of the files: those without batch normalization, by learning rates, by deviations.
struct Grid {
  const Options& options;
  std::vector<Cell> cells = {};

  /// The accuracy after a step for each seed.
  std::vector<double> accuracies(bool batch_norm, std::size_t learning_rate, std::size_t deviation,
                                 std::int64_t step) const {
    std::vector<double> values;
    for (const Cell& cell : cells) {
      if (cell.batch_norm != batch_norm || cell.learning_rate != learning_rate || cell.deviation != deviation) continue;
      for (const Run& run : cell.runs) values.push_back(training::accuracy_at(run, step));
    }
    return values;
  }

  /// The mean over the seeds after a step, for each cell.
  std::vector<double> means(bool batch_norm, std::int64_t step) const {
    std::vector<double> values;
    for (std::size_t i = 0; i < options.learning_rates.size(); ++i) {
      for (std::size_t j = 0; j < options.deviations.size(); ++j)
        values.push_back(report::mean(accuracies(batch_norm, i, j, step)));
    }
    return values;
  }
};

/// A number in the shortest way to write it, so that 0.1 and .10 are the same.
std::optional<std::string> read_deviation(const std::string& entry, std::string& problem) {
  if (entry == fan_in) return entry;
  problem = process::positive().problem_of(entry);
  if (problem.empty()) return report::shortest(process::number_of(entry));
  problem += " or " + fan_in;
  return std::nullopt;
}

void add_options(process::CommandLine& command_line, Options& options) {
  process::add_common_options(command_line, options.common);
  training::add_protocol_options(command_line, options.protocol);
  training::add_input_option(command_line, options.protocol.input);
  command_line.add_numbers("--lr", options.learning_rates, "learning rates", process::positive());
  command_line.add_list("--init-std", options.deviations, "initial deviations; " + fan_in + ": 1 / sqrt(inputs)",
                        "N,...", read_deviation);
  command_line.add_choice("--init-layers", options.layers, "hidden: the output layer keeps 0.01",
                          {{"all", Layers::all}, {"hidden", Layers::hidden}});
}

nn::Deviation deviation_of(const std::string& text) {
  if (text == fan_in) return nn::lecun_deviation;
  return nn::constant_deviation(process::number_of(text));
}

networks::Network make_network(const Options& options, const Cell& cell, std::uint64_t seed) {
  return networks::make_sigmoid_network(
      {.batch_norm = cell.batch_norm,
       .deviation = deviation_of(options.deviations[cell.deviation]),
       .output_deviation = options.layers == Layers::hidden ? nn::constant_deviation(0.01) : nn::Deviation(),
       .seed = seed,
       .probed = false});
}

std::string cell_name(const Options& options, const Cell& cell) {
  return "lr " + report::shortest(options.learning_rates[cell.learning_rate]) + " std " +
         options.deviations[cell.deviation] + (cell.batch_norm ? " with BN" : " without BN");
}

Grid make_grid(const Options& options) {
  Grid grid{options};
  for (const bool batch_norm : {false, true}) {
    for (std::size_t i = 0; i < options.learning_rates.size(); ++i) {
      for (std::size_t j = 0; j < options.deviations.size(); ++j)
        grid.cells.push_back({batch_norm, i, j, std::vector<Run>(options.common.seeds.size())});
    }
  }
  return grid;
}

/// Trains all networks, as many at a time as there are cores.
void train(Grid& grid, const training::Experiment& experiment) {
  const Options& options = grid.options;
  const auto& seeds = options.common.seeds;
  std::vector<training::Job> jobs;
  for (const Cell& cell : grid.cells) {
    for (const std::uint64_t seed : seeds) {
      training::Protocol protocol = options.protocol;
      protocol.learning_rate.initial = options.learning_rates[cell.learning_rate];
      jobs.push_back({cell_name(options, cell) + ", seed " + std::to_string(seed), protocol, seed,
                      [&, seed] { return make_network(options, cell, seed); }});
    }
  }
  std::vector<Run> runs = experiment.train(jobs);
  for (std::size_t i = 0; i < runs.size(); ++i)
    grid.cells[i / seeds.size()].runs[i % seeds.size()] = std::move(runs[i]);
}

// --- What is reported

std::string network_name(bool batch_norm) { return batch_norm ? "with BN" : "without BN"; }

void print_accuracies(const Grid& grid, std::int64_t step) {
  const Options& options = grid.options;
  for (const bool batch_norm : {false, true}) {
    std::vector<std::string> header = {"learning rate"};
    for (const std::string& deviation : options.deviations) header.push_back("std " + deviation);
    report::Table table(header);
    for (std::size_t i = 0; i < options.learning_rates.size(); ++i) {
      std::vector<std::string> row = {report::shortest(options.learning_rates[i])};
      for (std::size_t j = 0; j < options.deviations.size(); ++j)
        row.push_back(report::mean_over_seeds(grid.accuracies(batch_norm, i, j, step), 3));
      table.add(row);
    }
    std::cout << "\nTest accuracy " << network_name(batch_norm) << " after " << report::grouped(step) << " steps"
              << (options.common.seeds.size() > 1 ? ", mean of the seeds\n" : "\n") << table;
  }
}

/// How many of the grid's networks learned, in words.
void print_summary(const Grid& grid, std::int64_t step) {
  std::cout << '\n';
  for (const bool batch_norm : {false, true}) {
    int good = 0, failed = 0, measured = 0, missing = 0;
    double best = report::diverged;
    for (const double accuracy : grid.means(batch_norm, step)) {
      ++(std::isnan(accuracy) ? missing : measured);
      good += accuracy >= learned;
      failed += accuracy == report::diverged;
      if (accuracy > best) best = accuracy;
    }
    std::cout << network_name(batch_norm) << ": ";
    if (measured == 0) {
      std::cout << "-\n";
      continue;
    }
    std::cout << good << " of " << measured << " reach " << report::fixed(learned, 2)
              << (failed < measured ? ", the best " + report::fixed(best, 3) : "")
              << (failed > 0 ? "; " + std::to_string(failed) + " diverged" : "")
              << (missing > 0 ? "; " + std::to_string(missing) + " were not trained to the end" : "") << '\n';
  }
}

// --- What is written

void write_accuracies(const std::filesystem::path& folder, const Grid& grid) {
  report::Csv csv(folder / "tolerance.csv", {"network", "init_std", "lr", "seed", "step", "accuracy"});
  for (const Cell& cell : grid.cells) {
    for (const Run& run : cell.runs) {
      for (const auto& [step, accuracy] : training::tests_of(run))
        csv.add({cell.batch_norm ? "with_bn" : "without_bn", grid.options.deviations[cell.deviation]},
                {grid.options.learning_rates[cell.learning_rate], static_cast<double>(run.seed),
                 static_cast<double>(step), accuracy});
    }
  }
  csv.close();
}

/// Gnuplot commands that draw a cell in which nothing was measured, for its networks diverged.
std::string diverged_cell(std::size_t column, std::size_t row, std::string text) {
  const std::string place = std::to_string(column) + "," + std::to_string(row);
  if (const auto space = text.rfind(' '); space != std::string::npos) text.replace(space, 1, "\\n");
  return "set object rectangle center " + place + " size 1,1 fc rgb '#cccccc' fs solid noborder front\nset label \"" +
         text + "\" at " + place + " center front font ',11'\n";
}

/// A matrix of numbers, a row for each learning rate and a column for each deviation, and a rectangle for each of them:
/// the pixels of an image are blurred by some viewers when they enlarge it.
report::Figure write_heat_map(const std::filesystem::path& folder, const Grid& grid, bool batch_norm, std::int64_t step,
                              const std::string& data) {
  const Options& options = grid.options;
  const std::string name = batch_norm ? "tolerance_with_bn" : "tolerance_without_bn";
  std::vector<std::string> columns = {"lr"};
  columns.insert(columns.end(), options.deviations.begin(), options.deviations.end());
  report::Csv csv(folder / (name + ".csv"), columns);
  bool is_empty = true;
  std::string diverged_cells;
  for (std::size_t i = 0; i < options.learning_rates.size(); ++i) {
    std::vector<double> row;
    for (std::size_t j = 0; j < options.deviations.size(); ++j) {
      const std::vector<double> values = grid.accuracies(batch_norm, i, j, step);
      row.push_back(report::mean(values));
      is_empty &= !std::isfinite(row.back());
      if (row.back() == report::diverged) diverged_cells += diverged_cell(j, i, report::mean_over_seeds(values, 2));
    }
    csv.add({report::shortest(options.learning_rates[i])}, row);
  }
  csv.close();
  const std::string matrix = "'" + name + ".csv' matrix rowheaders columnheaders using 1:2:";
  return {name,
          "Test accuracy " + network_name(batch_norm) + " after " + report::grouped(step) + " steps\n" +
              report::of_seeds(options.common.seeds, "mean") + "\n" + data,
          "set xlabel 'standard deviation of the initial weights'\nset ylabel 'learning rate'\nset key off\n"
          "set tics nomirror out scale 0\nset cbrange [0:1]\nset cblabel 'test accuracy'\n"
          "set palette defined (0 '#14213d', 0.6 '#1f4fbf', 0.9 '#8fb8f0', 1 '#fff4d6')\n" +
              diverged_cells,
          is_empty
              ? ""
              : matrix + "($1-0.5):($1+0.5):($2-0.5):($2+0.5):3 with boxxyerror fs solid noborder fc palette, " +
                    matrix + "(sprintf('%.2f', $3)):($3 > 0.8 ? 0x000000 : 0xffffff) with labels tc rgb variable " +
                    "font ',11'"};
}

int tolerance(const Options& options) {
  const auto& folder = options.common.output;
  const training::Experiment experiment(
      options.common, options.protocol,
      "Tolerance: 784-100-100-100-10 sigmoid units, " + report::grouped(options.protocol.steps) + " steps of " +
          std::to_string(options.protocol.batch) + ", " + std::to_string(options.learning_rates.size()) +
          " learning rates, " + std::to_string(options.deviations.size()) + " initial deviations");
  Grid grid = make_grid(options);
  train(grid, experiment);

  training::report_interrupt();
  const std::int64_t last = options.protocol.steps;
  if (last > 1'000) print_accuracies(grid, 1'000);
  print_accuracies(grid, last);
  print_summary(grid, last);
  write_accuracies(folder, grid);
  std::vector<report::Figure> figures;
  for (const bool batch_norm : {false, true})
    figures.push_back(write_heat_map(folder, grid, batch_norm, last, experiment.dataset().description));
  return experiment.finish(figures, {"tolerance"},
                           {"tolerance_with_bn and tolerance_without_bn",
                            training::cells_that_reach(learned, grid.means(true, last), grid.means(false, last))});
}

}  // namespace

int main(int argc, char** argv) {
  process::CommandLine command_line("Learning rates and initial weights, with and without batch normalization.",
                                    "tolerance");
  Options options;
  add_options(command_line, options);
  return command_line.run(argc, argv, [&] { return tolerance(options); });
}
