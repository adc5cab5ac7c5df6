// What batch normalization saves against whitening.
//
// Section 2 of "Batch Normalization" (Ioffe & Szegedy, 2015) would whiten the inputs of each layer; section 3 calls
// that costly and makes "two necessary simplifications": each activation is normalized by itself, and with the
// statistics of its mini-batch. Here the first one is undone: the whole mini-batch is whitened (ZCA), with the exact
// gradient through the covariance's inverse square root. First the cost of such a layer, forward and backward, beside
// that of batch normalization; then the network of Figure 1 with either.

#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "experiments/networks/sigmoid_network.hpp"
#include "experiments/process/command_line.hpp"
#include "experiments/process/interrupt.hpp"
#include "experiments/process/thread_timer.hpp"
#include "experiments/report/csv.hpp"
#include "experiments/report/curves.hpp"
#include "experiments/report/progress.hpp"
#include "experiments/report/seeds.hpp"
#include "experiments/report/table.hpp"
#include "experiments/report/text.hpp"
#include "experiments/training/accuracy_curves.hpp"
#include "experiments/training/experiment.hpp"
#include "experiments/training/highlights.hpp"
#include "experiments/training/results.hpp"
#include "nn/batch_norm.hpp"
#include "nn/whitening_norm.hpp"

namespace {

namespace bn = batchnorm;
using Eigen::Index;
using training::Run;

/// What normalizes a network: batch normalization, or whitening with these options.
struct Variant {
  std::string word, name;
  std::optional<bn::WhiteningOptions> whitening = {};
};

const std::vector<Variant> all_variants = {
    {"bn", "BN"},
    {"eigen", "eigen", bn::WhiteningOptions{.epsilon = 1e-3}},
    {"eigen-0.1", "eigen, eps .1", bn::WhiteningOptions{.epsilon = 0.1}},
    {"groups", "groups of 20", bn::WhiteningOptions{.groups = 5, .epsilon = 1e-3}},
    {"newton", "Newton", bn::WhiteningOptions{.method = bn::WhiteningMethod::newton, .epsilon = 1e-3}},
};

struct Options {
  process::CommonOptions common;
  training::Protocol protocol = {.steps = 5'000, .probe = 1, .population_batches = 0};
  double initial_deviation = 0.01;
  std::vector<Index> batches = {60, 256}, dimensions = {100, 256, 512, 1024};
  std::vector<std::string> words;
};

/// The CPU time in milliseconds that a layer takes for one step, forward and backward.
struct Cost {
  Index batch, dimensions;
  double batch_norm, eigen, newton;
};

/// The networks of one batch size: for each variant a run for each seed.
struct Trained {
  Index batch;
  std::vector<Variant> variants;
  std::vector<std::vector<Run>> runs;

  template <class Quantity>
  std::vector<double> collect(std::size_t variant, const Quantity& quantity) const {
    std::vector<double> values;
    for (const Run& run : runs[variant]) values.push_back(quantity(run));
    return values;
  }
};

void add_options(process::CommandLine& command_line, Options& options) {
  std::vector<std::string> known;
  for (const Variant& variant : all_variants) known.push_back(variant.word);
  options.words = known;
  process::add_common_options(command_line, options.common);
  training::add_length_options(command_line, options.protocol);
  training::add_input_option(command_line, options.protocol.input);
  command_line.add_numbers("--batch", options.batches, "images in a batch", process::at_least(2));
  command_line.add_numbers("--dimensions", options.dimensions, "widths of the layers whose cost is measured",
                           process::at_least(1));
  command_line.add_words("--variants", options.words, "which networks", [known] { return known; });
  command_line.add_number("--lr", options.protocol.learning_rate.initial, "learning rate", process::positive());
  command_line.add_number("--init-std", options.initial_deviation, "standard deviation of the initial weights",
                          process::positive());
}

// --- The cost of a layer

/// The median of as many steps as make a fifth of a second, but five at least.
double milliseconds(nn::Layer<float>&& layer, Index batch, Index dimensions) {
  nn::Normal normal(0);
  const auto draw = [&] { return static_cast<float>(normal()); };
  const nn::Matrix<float> x = nn::Matrix<float>::NullaryExpr(batch, dimensions, draw),
                          dy = nn::Matrix<float>::NullaryExpr(batch, dimensions, draw);
  nn::Matrix<float> y, dx;
  std::vector<double> times;
  for (double total = 0; times.size() < 5 || total < 0.2; total += times.back()) {
    process::ThreadTimer timer;
    timer.start();
    layer.forward(x, y);
    layer.backward(x, y, dy, &dx);
    timer.stop();
    times.push_back(timer.seconds());
  }
  std::ranges::nth_element(times, times.begin() + std::ssize(times) / 2);
  return 1e3 * times[times.size() / 2];
}

/// One layer after the other, on one thread.
std::vector<Cost> measure(const Options& options) {
  const std::size_t count = options.batches.size() * options.dimensions.size();
  report::Progress progress({{"cost of " + std::to_string(count) + " layers", static_cast<std::int64_t>(count)}},
                            report::is_terminal(stderr));
  std::vector<Cost> costs;
  for (const Index batch : options.batches) {
    for (const Index dimensions : options.dimensions) {
      if (process::interrupted()) return costs;
      const auto whitening = [&](bn::WhiteningMethod method) {
        return milliseconds(nn::WhiteningNorm<float>({.channels = dimensions, .method = method}), batch, dimensions);
      };
      costs.push_back({batch, dimensions,
                       milliseconds(nn::BatchNorm<float>({.channels = dimensions}), batch, dimensions),
                       whitening(bn::WhiteningMethod::eigen), whitening(bn::WhiteningMethod::newton)});
      progress.update(0, static_cast<std::int64_t>(costs.size()), report::none);
    }
  }
  return costs;
}

// --- The networks

/// Trains all networks, one seed after the other.
std::vector<Trained> train(const Options& options, const training::Experiment& experiment) {
  std::vector<Variant> variants;
  for (const Variant& variant : all_variants) {
    if (std::ranges::count(options.words, variant.word) > 0) variants.push_back(variant);
  }
  std::vector<training::Job> jobs;
  for (const std::uint64_t seed : options.common.seeds) {
    for (const Index batch : options.batches) {
      training::Protocol protocol = options.protocol;
      protocol.batch = batch;
      for (const Variant& variant : variants) {
        const networks::SigmoidNetworkOptions network = {.deviation = nn::constant_deviation(options.initial_deviation),
                                                         .seed = seed,
                                                         .whitening = variant.whitening,
                                                         .probed = false};
        jobs.push_back({"batch " + std::to_string(batch) + ", " + variant.word + ", seed " + std::to_string(seed),
                        protocol, seed, [network] { return networks::make_sigmoid_network(network); }});
      }
    }
  }
  auto runs = training::runs_to_report(experiment.train(jobs), options.batches.size() * variants.size());
  std::vector<Trained> trained;
  auto next = std::make_move_iterator(runs.begin());
  for (const Index batch : options.batches) {
    const auto end = next + static_cast<std::ptrdiff_t>(variants.size());
    trained.push_back({batch, variants, std::vector<std::vector<Run>>(next, end)});
    next = end;
  }
  return trained;
}

// --- What is reported

/// With three digits that count, whatever the size.
std::string milliseconds_text(double value) { return report::fixed(value, value < 0.1 ? 4 : value < 10 ? 2 : 0); }

void print_costs(const std::vector<Cost>& costs) {
  report::Table table({"ms a step", "BN", "eigen", "Newton", "eigen / BN", "Newton / BN"});
  for (const Cost& cost : costs) {
    table.add({std::to_string(cost.batch) + " x " + std::to_string(cost.dimensions), milliseconds_text(cost.batch_norm),
               milliseconds_text(cost.eigen), milliseconds_text(cost.newton),
               report::grouped(std::lround(cost.eigen / cost.batch_norm)),
               report::grouped(std::lround(cost.newton / cost.batch_norm))});
  }
  std::cout << "\nForward and backward of one layer, batch x dimensions, one thread\n" << table << '\n';
  for (std::size_t i = 0; i + 1 < costs.size(); ++i) {
    const Cost &narrow = costs[i], &wide = costs[i + 1];
    const bool last = i + 2 == costs.size() || costs[i + 2].batch != wide.batch;
    if (wide.batch != narrow.batch || !last) continue;
    const double ratio = static_cast<double>(wide.dimensions) / static_cast<double>(narrow.dimensions);
    std::cout << "batch " << wide.batch << ", " << report::grouped(narrow.dimensions) << " to "
              << report::grouped(wide.dimensions) << " dimensions: BN x "
              << report::fixed(wide.batch_norm / narrow.batch_norm, 1) << ", eigen x "
              << report::fixed(wide.eigen / narrow.eigen, 1) << ", Newton x "
              << report::fixed(wide.newton / narrow.newton, 1) << "; cubic growth is x "
              << report::fixed(ratio * ratio * ratio, 1) << '\n';
  }
}

void print_accuracies(const Trained& trained) {
  std::vector<std::string> header = {"batch " + std::to_string(trained.batch)};
  for (const Variant& variant : trained.variants) header.push_back(variant.name);
  report::Table table(header);
  const auto add = [&](const std::string& name, int decimals, const auto& quantity) {
    std::vector<std::string> row = {name};
    bool any = false;
    for (std::size_t v = 0; v < trained.variants.size(); ++v) {
      const auto values = trained.collect(v, quantity);
      any |= !std::isnan(report::mean(values));
      row.push_back(report::over_seeds(values, decimals));
    }
    if (any) table.add(row);
  };
  for (const std::int64_t step : training::milestones)
    add("step " + report::grouped(step), 4, [&](const Run& run) { return training::accuracy_at(run, step); });
  add("best", 4, [](const Run& run) { return training::best_accuracy(run); });
  add("at the end", 4, [](const Run& run) { return run.running_accuracy; });
  add("ms a step", 2, [](const Run& run) { return 1e3 * run.seconds_per_step; });
  std::cout << "\nTest accuracy, and CPU time of a whole step\n" << table;
  if (trained.batch <= 100) {
    std::cout << trained.batch
              << " images in a layer's 100 dimensions: full whitening makes them all equally\n"
                 "far from each other, but for epsilon, whatever they were. What inference whitens\n"
                 "with, the covariance of many batches, does not.\n";
  }
}

// --- What is written

report::Figure write_costs(const std::filesystem::path& folder, const Options& options,
                           const std::vector<Cost>& costs) {
  report::Csv csv(folder / "whitening_cost.csv", {"batch", "dimensions", "bn_ms", "eigen_ms", "newton_ms"});
  for (const Cost& cost : costs) {
    csv.add({static_cast<double>(cost.batch), static_cast<double>(cost.dimensions), cost.batch_norm, cost.eigen,
             cost.newton});
  }
  csv.close();
  if (costs.empty()) return {"whitening_cost", "", "", ""};  // after Ctrl-C
  struct Line {
    std::string name, color;
    int column;
  };
  std::string plot, tics;
  for (const Line& line : {Line{"Newton", report::look(1, true).color, 5},
                           Line{"eigen", report::look(0, true).color, 4}, Line{"BN", "black", 3}}) {
    for (std::size_t b = 0; b < options.batches.size(); ++b) {
      const Index size = options.batches[b];
      if (std::ranges::count(costs, size, &Cost::batch) == 0) continue;  // after Ctrl-C
      const std::string batch = std::to_string(size);
      plot += (plot.empty() ? "'whitening_cost.csv'" : ", ''") + std::string(" using ($1==") + batch +
              "?$2:1/0):" + std::to_string(line.column) + " with linespoints lw 2 pt " +
              (b == 0 ? "7" : "6 dt (12,6)") + " lc '" + line.color + "' title '" + line.name + ", batch " + batch +
              "'";
    }
  }
  for (const Index dimensions : options.dimensions) tics += (tics.empty() ? "" : ",") + std::to_string(dimensions);
  const auto [narrowest, widest] = std::ranges::minmax(options.dimensions);
  return {"whitening_cost", "Forward and backward of one layer on one thread",
          "set logscale xy\nset xlabel 'dimensions'\nset ylabel 'ms a step'\n" + report::key_below +
              "set format y '%g'\nset xtics (" + tics + ")\nset xrange [" +
              report::shortest(static_cast<double>(narrowest) / 1.1) + ":" +
              report::shortest(static_cast<double>(widest) * 1.1) + "]\n",
          plot};
}

/// From the accuracy at which the curves part, if all of them come so far.
report::Figure write_curves(const std::filesystem::path& folder, const Trained& trained, const std::string& data) {
  const std::string name = "whitening_batch" + std::to_string(trained.batch);
  std::vector<training::DrawnRuns> networks;
  std::int64_t last = 1;
  std::size_t whitened = 0;
  for (std::size_t v = 0; v < trained.variants.size(); ++v) {
    const Variant& variant = trained.variants[v];
    networks.push_back({variant.word, variant.name,
                        variant.whitening ? report::look(whitened++, true) : report::Look{"black", "lw 2"},
                        &trained.runs[v]});
    for (const Run& run : trained.runs[v]) {
      if (!run.steps.empty()) last = std::max(last, run.steps.back());
    }
  }
  const std::vector<report::Curve> curves = training::write_accuracy_curves(folder / (name + ".csv"), networks);
  return {name,
          "Batch normalization and whitening, batches of " + std::to_string(trained.batch) + "\n" +
              report::of_seeds(training::seeds_of(trained.runs.front())) + "\n" + data,
          report::axes_over_steps(last) + report::accuracy_axis(report::accuracy_axis_begin(curves, 0.8)),
          report::plot_of(name + ".csv", curves)};
}

void write_runs(const std::filesystem::path& folder, const std::vector<Trained>& trained) {
  std::vector<training::NamedRuns> networks;
  for (const Trained& of_batch : trained) {
    for (std::size_t v = 0; v < of_batch.variants.size(); ++v)
      networks.push_back({of_batch.variants[v].word + "_batch" + std::to_string(of_batch.batch), &of_batch.runs[v]});
  }
  training::write_runs(folder / "whitening_runs.csv", networks);
}

std::string highlight_of(const std::vector<Cost>& costs) {
  std::vector<double> batch_norm, eigen;
  for (const Cost& cost : costs) {
    batch_norm.push_back(cost.batch_norm);
    eigen.push_back(cost.eigen);
  }
  return training::times_as_long("a layer that whitens by eigenvectors", eigen, batch_norm);
}

int whitening(const Options& options) {
  const auto& folder = options.common.output;
  training::Protocol largest = options.protocol;
  largest.batch = std::ranges::max(options.batches);
  const training::Experiment experiment(options.common, largest,
                                        "Whitening: 784-100-100-100-10 sigmoid units, " +
                                            report::grouped(options.protocol.steps) + " steps, learning rate " +
                                            report::shortest(options.protocol.learning_rate.initial));
  const std::vector<Cost> costs = measure(options);
  print_costs(costs);
  const std::vector<Trained> trained = train(options, experiment);

  std::vector<report::Figure> figures = {write_costs(folder, options, costs)};
  for (const Trained& of_batch : trained) {
    print_accuracies(of_batch);
    figures.push_back(write_curves(folder, of_batch, experiment.dataset().description));
  }
  write_runs(folder, trained);
  return experiment.finish(figures, {"whitening_runs"}, {"whitening_cost", highlight_of(costs)});
}

}  // namespace

int main(int argc, char** argv) {
  process::CommandLine command_line("Batch normalization against whitening of the whole mini-batch: cost and accuracy.",
                                    "whitening");
  Options options;
  add_options(command_line, options);
  return command_line.run(argc, argv, [&] { return whitening(options); });
}
