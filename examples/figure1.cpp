// Figure 1 of "Batch Normalization" (Ioffe & Szegedy, 2015): the same network with and without batch normalization.
//
// (a) Test accuracy in the course of training. (b), (c) The 15th, 50th and 85th percentile of the input to one sigmoid
// of the last hidden layer, without and with batch normalization.
//
// The paper gives the network, 50,000 steps of 60 examples and "small random Gaussian" weights, and no learning rate.
// With a learning rate of 1 and weights from N(0, 0.01^2) the figure has the paper's shape: without batch normalization
// a plateau, a late climb and a lower end. The smallness matters: with weights of the size 1 / sqrt(inputs) and its
// best learning rate the network without batch normalization is as good after 5,000 steps.

#include <algorithm>
#include <cmath>
#include <future>
#include <iostream>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "program/command_line.hpp"
#include "program/csv.hpp"
#include "program/denormals.hpp"
#include "program/figure.hpp"
#include "program/interrupt.hpp"
#include "program/output_folder.hpp"
#include "program/progress.hpp"
#include "program/table.hpp"
#include "program/text.hpp"
#include "program/training.hpp"

namespace {

using program::Run;

constexpr double none = std::numeric_limits<double>::quiet_NaN();

struct Options {
  program::CommonOptions common;
  program::Protocol protocol;
};

/// The two networks of one seed.
struct Pair {
  Run without, with;
};

void add_options(CLI::App& app, Options& options) {
  auto& protocol = options.protocol;
  program::add_common_options(app, options.common);
  const auto number = [&](const char* name, auto& value, const char* text, const CLI::Validator& validator) {
    app.add_option(name, value, text)->check(validator)->capture_default_str();
  };
  number("--steps", protocol.steps, "steps of training", program::at_least(1));
  number("--batch", protocol.batch, "images in a batch", program::at_least(2));
  number("--lr", protocol.learning_rate, "learning rate", program::positive());
  number("--init-std", protocol.initial_deviation, "standard deviation of the initial weights", program::positive());
  number("--every", protocol.every, "steps between two tests", program::at_least(1));
  number("--population-batches", protocol.population_batches, "batches for the population statistics at the end",
         program::at_least(1));
  program::add_choice(app, "--input", protocol.input, "pixels as they are, or black and white",
                      {{"grey", data::Input::grey}, {"binary", data::Input::binary}});
  program::add_choice(app, "--statistics", protocol.statistics, "what the tests normalise with",
                      {{"running", program::Statistics::running}, {"population", program::Statistics::population}});
}

/// Trains both networks of a seed, each on a thread of its own.
Pair train_pair(const program::Protocol& protocol, const data::Dataset& dataset, const program::Views& views,
                std::uint64_t seed) {
  const std::string prefix = "seed " + std::to_string(seed) + " ";
  program::Progress progress({prefix + "without BN", prefix + "with BN"}, protocol.steps, program::is_terminal(stderr));
  const auto train = [&](bool batch_norm) {
    program::flush_denormals();
    return program::train(protocol, dataset, views, seed, batch_norm, [&](std::int64_t step, double accuracy) {
      progress.update(batch_norm ? 1 : 0, step, accuracy);
    });
  };
  auto without = std::async(std::launch::async, train, false);
  auto with = std::async(std::launch::async, train, true);
  return {without.get(), with.get()};
}

// --- What is reported

double accuracy_at(const Run& run, std::int64_t step) {
  const auto found = std::ranges::find(run.steps, step);
  return found == run.steps.end() ? none : run.accuracy[static_cast<std::size_t>(found - run.steps.begin())];
}

double best_accuracy(const Run& run) { return run.accuracy.empty() ? none : std::ranges::max(run.accuracy); }

/// The first tested step at which a run was at least as good as `target`.
double steps_to(const Run& run, double target) {
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    if (run.accuracy[i] >= target) return static_cast<double>(run.steps[i]);
  }
  return none;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// A value for each seed: the value, or mean and standard deviation.
std::string over_seeds(const std::vector<double>& values, int decimals) {
  const auto text = [&](double value) {
    return decimals > 0 || std::isnan(value) ? program::fixed(value, decimals) : program::grouped(std::lround(value));
  };
  const double middle = mean(values);
  if (values.size() < 2 || std::isnan(middle)) return text(middle);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  return text(middle) + " +-" + text(std::sqrt(squares / static_cast<double>(values.size() - 1)));
}

template <class Quantity>
std::vector<double> collect(const std::vector<Pair>& pairs, const Quantity& quantity) {
  std::vector<double> values;
  for (const Pair& pair : pairs) values.push_back(quantity(pair));
  return values;
}

void print_accuracies(const std::vector<Pair>& pairs) {
  program::Table table({"step", "without BN", "with BN"});
  for (const std::int64_t step : program::milestones) {
    const auto without = collect(pairs, [&](const Pair& pair) { return accuracy_at(pair.without, step); });
    const auto with = collect(pairs, [&](const Pair& pair) { return accuracy_at(pair.with, step); });
    if (std::isnan(mean(without)) && std::isnan(mean(with))) continue;
    table.add({program::grouped(step), over_seeds(without, 4), over_seeds(with, 4)});
  }
  std::cout << "\nTest accuracy" << (pairs.size() > 1 ? ", mean and standard deviation over the seeds\n" : "\n")
            << table;
}

void print_comparison(const std::vector<Pair>& pairs, const program::Protocol& protocol) {
  program::Table table({"", "without BN", "with BN", "ratio"});
  const auto add = [&](const std::string& name, int decimals, const auto& quantity, bool ratio) {
    const auto without = collect(pairs, [&](const Pair& pair) { return quantity(pair.without, pair); });
    const auto with = collect(pairs, [&](const Pair& pair) { return quantity(pair.with, pair); });
    std::vector<double> ratios;
    for (std::size_t i = 0; i < pairs.size(); ++i) ratios.push_back(with[i] / without[i]);
    table.add({name, over_seeds(without, decimals), over_seeds(with, decimals), ratio ? over_seeds(ratios, 2) : ""});
  };
  const auto stability = [](auto member) {
    return [member](const Run& run, const Pair&) { return run.percentiles.stability().*member; };
  };
  using Stability = program::PercentileHistory::Stability;

  add(
      "best test accuracy", 4, [](const Run& run, const Pair&) { return best_accuracy(run); }, false);
  add(
      "steps to the best without BN", 0,
      [](const Run& run, const Pair& pair) { return steps_to(run, best_accuracy(pair.without)); }, true);
  add(
      "at the end, running averages", 4, [](const Run& run, const Pair&) { return run.running_accuracy; }, false);
  add(
      "at the end, " + program::grouped(protocol.population_batches) + " batches", 4,
      [](const Run& run, const Pair&) { return run.population_accuracy; }, false);
  add(
      "processor time a step, ms", 3, [](const Run& run, const Pair&) { return 1e3 * run.seconds_per_step; }, true);
  add("range of the median*", 2, stability(&Stability::median_range), true);
  add("drift of the spread*", 3, stability(&Stability::spread_drift), true);
  std::cout << '\n'
            << table << "* of the inputs of the last hidden layer's sigmoids, mean over the units:\n"
            << "  range: the largest median less the smallest\n"
            << "  drift: mean change of p85 - p15 in " << program::grouped(protocol.every)
            << " steps, over p85 - p15 at the time\n";
}

// --- What is written

void write_accuracies(const std::filesystem::path& folder, const std::vector<Pair>& pairs) {
  std::vector<std::string> columns = {"step", "without_bn", "with_bn"};
  std::map<std::int64_t, bool> steps;
  for (const Pair& pair : pairs) {
    columns.push_back("without_bn_seed_" + std::to_string(pair.without.seed));
    columns.push_back("with_bn_seed_" + std::to_string(pair.with.seed));
    for (const std::int64_t step : pair.without.steps) steps[step] = true;
    for (const std::int64_t step : pair.with.steps) steps[step] = true;
  }
  program::Csv csv(folder / "figure1a.csv", columns);
  for (const auto& [step, _] : steps) {
    const auto without = collect(pairs, [step = step](const Pair& pair) { return accuracy_at(pair.without, step); });
    const auto with = collect(pairs, [step = step](const Pair& pair) { return accuracy_at(pair.with, step); });
    std::vector<double> row = {static_cast<double>(step), mean(without), mean(with)};
    for (std::size_t i = 0; i < pairs.size(); ++i) row.insert(row.end(), {without[i], with[i]});
    csv.add(row);
  }
  csv.close();
}

void write_percentiles(const std::filesystem::path& path, const std::vector<Pair>& pairs, Run Pair::*network) {
  program::Csv csv(path,
                   {"seed", "unit", "step", "unit_p15", "unit_p50", "unit_p85", "mean_p15", "mean_p50", "mean_p85"});
  for (const Pair& pair : pairs) {
    const Run& run = pair.*network;
    const Eigen::Index unit = run.percentiles.typical_unit();
    for (std::size_t i = 0; i < run.percentiles.steps.size(); ++i) {
      const program::UnitPercentiles& values = run.percentiles.values[i];
      const auto average = values.colwise().mean().eval();
      csv.add({static_cast<double>(run.seed), static_cast<double>(unit), static_cast<double>(run.percentiles.steps[i]),
               values(unit, 0), values(unit, 1), values(unit, 2), average[0], average[1], average[2]});
    }
  }
  csv.close();
}

void write_summary(const std::filesystem::path& folder, const std::vector<Pair>& pairs) {
  program::Csv csv(
      folder / "figure1_summary.csv",
      {"network", "seed", "steps", "best_accuracy", "steps_to_best_without_bn", "final_running", "final_population",
       "seconds_per_step", "median_range", "median_drift", "spread_drift", "mean_spread"});
  for (const Pair& pair : pairs) {
    for (const Run* run : {&pair.without, &pair.with}) {
      const auto stability = run->percentiles.stability();
      csv.add({run->batch_norm ? "with_bn" : "without_bn"},
              {static_cast<double>(run->seed), static_cast<double>(run->steps_made), best_accuracy(*run),
               steps_to(*run, best_accuracy(pair.without)), run->running_accuracy, run->population_accuracy,
               run->seconds_per_step, stability.median_range, stability.median_drift, stability.spread_drift,
               stability.mean_spread});
    }
  }
  csv.close();
}

std::vector<program::Figure> make_figures(const std::vector<Pair>& pairs, const std::string& data) {
  std::string seeds = pairs.size() > 1 ? "mean of seeds" : "seed";
  for (const Pair& pair : pairs) seeds += " " + std::to_string(pair.with.seed);
  const std::int64_t last = pairs.front().with.steps_made;
  const std::string axis =
      "set xlabel 'training steps'\nset xrange [0:*]\nset border 3\nset tics nomirror\nset grid lt 1 lw 0.5 lc "
      "rgb '#cccccc'\nset format x '" +
      std::string(last < 10'000 ? "%.0f" : "%.0s%c") + "'\n";

  std::vector<program::Figure> figures;
  const bool learned = best_accuracy(pairs.front().with) > 0.75;
  figures.push_back(
      {"figure1a", "Test accuracy, " + seeds + "\n" + data,
       axis + "set ylabel 'test accuracy'\nset key bottom right\nset yrange [" + (learned ? "0.7" : "0") + ":1]\n",
       "'figure1a.csv' using 1:2 with lines dt (12,6) lw 2 lc 'black' title 'without BN', "
       "'' using 1:3 with lines lw 2 lc '#1f4fbf' title 'with BN'"});

  // (b) and (c) show the same range, so that they can be compared.
  double low = 0, high = 1;
  for (const Run* run : {&pairs.front().without, &pairs.front().with}) {
    const Eigen::Index unit = run->percentiles.typical_unit();
    for (const program::UnitPercentiles& values : run->percentiles.values) {
      low = std::min(low, std::floor(values.row(unit).minCoeff()));
      high = std::max(high, std::ceil(values.row(unit).maxCoeff()));
    }
  }
  const std::string seed = std::to_string(pairs.front().with.seed);
  const auto percentiles = [&](const std::string& name, const std::string& which, const Run& run) {
    if (run.percentiles.steps.empty()) return;
    const std::string file = "'" + name + ".csv'", line = " with lines lw 2 lc ";
    const auto column = [&](int i) { return " using 3:($1==" + seed + "?$" + std::to_string(i) + ":1/0)" + line; };
    figures.push_back({name,
                       "Input of a typical sigmoid " + which + ", seed " + seed + ", unit " +
                           std::to_string(run.percentiles.typical_unit()) + "\n" + data,
                       axis + "set ylabel '15th, 50th, 85th percentile'\nset key off\nset yrange [" +
                           program::fixed(low, 0) + ":" + program::fixed(high, 0) + "]\n",
                       file + column(4) + "'#7f9fdf', '' " + column(6) + "'#7f9fdf', '' " + column(5) + "'#1f4fbf'"});
  };
  percentiles("figure1b", "without BN", pairs.front().without);
  percentiles("figure1c", "with BN", pairs.front().with);
  return figures;
}

int figure1(const Options& options) {
  const auto& protocol = options.protocol;
  const auto& folder = options.common.output;
  program::prepare_output_folder(folder);
  const data::Dataset dataset = data::load(options.common.data);
  const program::Views views = program::make_views(protocol, dataset);
  std::cout << "Figure 1: 784-100-100-100-10 sigmoid units, " << program::grouped(protocol.steps) << " steps of "
            << protocol.batch << ", learning rate " << protocol.learning_rate << "\nData: " << dataset.description
            << "\nfrom " << dataset.origin << std::endl;

  program::catch_interrupt();
  std::vector<Pair> pairs;
  for (const std::uint64_t seed : options.common.seeds) {
    if (program::interrupted()) break;
    pairs.push_back(train_pair(protocol, dataset, views, seed));
  }

  if (program::interrupted()) std::cout << "\nStopped early: what follows is what there is.\n";
  print_accuracies(pairs);
  print_comparison(pairs, protocol);
  write_accuracies(folder, pairs);
  write_percentiles(folder / "figure1b.csv", pairs, &Pair::without);
  write_percentiles(folder / "figure1c.csv", pairs, &Pair::with);
  write_summary(folder, pairs);
  const program::Drawing drawing = program::draw(folder, make_figures(pairs, dataset.description));
  std::cout << "\nWritten into " << folder.string() << ":\nfigure1a, figure1b, figure1c (.csv"
            << (drawing.files.empty() ? "" : ", .svg, .png") << "), figure1_summary.csv\n"
            << drawing.problem << (drawing.problem.empty() ? "" : "\n");
  return program::interrupted() ? program::interrupted_exit_code : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The paper's Figure 1: MNIST with and without batch normalization.", "figure1");
  Options options;
  add_options(app, options);
  return program::run(app, argc, argv, [&] { return figure1(options); });
}
