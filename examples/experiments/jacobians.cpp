// Section 3.3 of "Batch Normalization" (Ioffe & Szegedy, 2015): "we further conjecture that Batch Normalization may
// lead the layer Jacobians to have singular values close to 1, which is known to be beneficial for training".
//
// The layers are those between two consecutive normalized vectors, z_hat = F(x_hat). Here the network of section 4.1 is
// trained with and without batch normalization, and on the way the singular values of dF / dx_hat are taken for images
// of the test set. The paper's argument is that I = Cov[z_hat] = J Cov[x_hat] J^T = J J^T; so the other half of it,
// that the normalized values are uncorrelated, is looked at too.

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
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
#include "experiments/training/jacobians.hpp"
#include "experiments/training/results.hpp"

namespace {

using training::NormalizedBatch;
using training::Run;
using training::Spectrum;

struct Options {
  process::CommonOptions common = {.data = {}, .seeds = {0, 1, 2}};
  training::Protocol protocol = {.every = 5'000, .population_batches = 0};
  double initial_deviation = 0.01;
  std::vector<std::int64_t> at = {0, 1'000, 5'000, 50'000};
};

/// From the normalized vector of one hidden layer to that of a later one, counted from 0.
struct Section {
  std::size_t from, to;

  std::string name() const { return std::to_string(from + 1) + " to " + std::to_string(to + 1); }
};

constexpr std::size_t layers = 3;

/// Both pairs of consecutive hidden layers, and the way through both.
constexpr Section sections[] = {{0, 1}, {1, 2}, {0, 2}};

/// A Jacobian that is taken of each section and sample.
struct View {
  bool batch_norm;
  std::string word, title;  ///< in CSV files, and elsewhere
  Eigen::MatrixXd (NormalizedBatch::*jacobian)(std::size_t from, std::size_t to, Eigen::Index sample) const;
};

const std::vector<View> views = {
    {true, "with_bn", "with BN, statistics held", &NormalizedBatch::jacobian},
    {true, "with_bn_through", "with BN, through the statistics", &NormalizedBatch::jacobian_of_batch},
    {false, "without_bn", "without BN, in standard deviations", &NormalizedBatch::jacobian},
    {false, "without_bn_as_it_is", "without BN, as it is", &NormalizedBatch::unnormalized_jacobian},
};

/// What was seen of a network after a step.
struct Look {
  std::vector<std::vector<Spectrum>> spectra;  ///< [views][sections]; none of the views of the other network
  std::vector<double> dimensions;              ///< in which the normalized vectors of each layer vary
};

/// A network of one seed.
struct Trained {
  bool batch_norm;
  Run run = {};
  std::map<std::int64_t, Look> looks = {};
};

void add_options(process::CommandLine& command_line, Options& options) {
  auto& protocol = options.protocol;
  process::add_common_options(command_line, options.common);
  training::add_protocol_options(command_line, protocol);
  training::add_input_option(command_line, protocol.input);
  command_line.add_number("--lr", protocol.learning_rate.initial, "learning rate", process::positive());
  command_line.add_number("--init-std", options.initial_deviation, "standard deviation of the initial weights",
                          process::positive());
  command_line.add_numbers("--at", options.at, "steps after which to look, as far as the network comes",
                           process::at_least(0));
}

// --- What is measured

/// What networks are looked at with: a batch of test images for the Jacobians, and many for the covariances.
struct Images {
  nn::Matrix<float> batch, many;
};

Images make_images(const Options& options, const training::Experiment& experiment) {
  constexpr Eigen::Index many = 2'000;
  const auto first = [&](Eigen::Index count) {
    const data::Digits& test = experiment.dataset().test;
    return training::make_samples(test, options.protocol.input, count, count).images.front();
  };
  return {first(options.protocol.batch), first(many)};
}

Look look_at(networks::Network& network, bool batch_norm, const Images& images) {
  Look look;
  const NormalizedBatch batch(network.model, images.batch);
  for (const View& view : views) {
    auto& spectra = look.spectra.emplace_back();
    if (view.batch_norm != batch_norm) continue;
    for (const Section& section : sections) {
      std::vector<double> values;
      for (Eigen::Index sample = 0; sample < batch.samples(); ++sample) {
        const auto own = training::singular_values((batch.*view.jacobian)(section.from, section.to, sample));
        values.insert(values.end(), own.begin(), own.end());
      }
      spectra.push_back(training::spectrum_of(std::move(values)));
    }
  }
  const NormalizedBatch many(network.model, images.many);
  for (std::size_t layer = 0; layer < many.layers(); ++layer)
    look.dimensions.push_back(training::effective_dimension(many.normalized(layer)));
  return look;
}

/// Trains both networks of each seed, as many at a time as there are cores.
std::vector<Trained> train(const Options& options, const training::Experiment& experiment) {
  const Images images = make_images(options, experiment);
  std::vector<Trained> networks;
  for (std::size_t i = 0; i < options.common.seeds.size(); ++i) {
    for (const bool batch_norm : {true, false}) networks.push_back({batch_norm});
  }
  std::vector<training::Job> jobs;
  for (Trained& trained : networks) {
    const std::uint64_t seed = options.common.seeds[jobs.size() / 2];
    const auto make = [&, seed] {
      return networks::make_sigmoid_network({.batch_norm = trained.batch_norm,
                                             .deviation = nn::constant_deviation(options.initial_deviation),
                                             .seed = seed,
                                             .probed = false});
    };
    const auto watch = [&](std::int64_t step, networks::Network& network) {
      if (std::ranges::count(options.at, step) > 0)
        trained.looks.emplace(step, look_at(network, trained.batch_norm, images));
    };
    jobs.push_back({"seed " + std::to_string(seed) + (trained.batch_norm ? " with BN" : " without BN"),
                    options.protocol,
                    seed,
                    make,
                    {},
                    watch});
  }
  std::vector<Run> runs = experiment.train(jobs);
  std::vector<Trained> reported;
  for (const std::size_t seed : training::seeds_to_report(runs, 2)) {
    for (const std::size_t i : {2 * seed, 2 * seed + 1}) {
      networks[i].run = std::move(runs[i]);
      reported.push_back(std::move(networks[i]));
    }
  }
  return reported;
}

/// A value for each seed of the networks with batch normalization, or of those without: `diverged` of one that had
/// before that step, and none of one that did not come so far.
template <class Quantity>
std::vector<double> collect(const std::vector<Trained>& networks, bool batch_norm, std::int64_t step,
                            const Quantity& quantity) {
  std::vector<double> values;
  for (const Trained& trained : networks) {
    if (trained.batch_norm != batch_norm) continue;
    const auto look = trained.looks.find(step);
    values.push_back(look != trained.looks.end() ? quantity(look->second)
                     : trained.run.divergence    ? report::diverged
                                                 : report::none);
  }
  return values;
}

/// The same of a spectrum.
template <class Quantity>
std::vector<double> collect(const std::vector<Trained>& networks, std::size_t view, std::size_t section,
                            std::int64_t step, const Quantity& quantity) {
  return collect(networks, views[view].batch_norm, step,
                 [&](const Look& look) { return quantity(look.spectra[view][section]); });
}

/// The steps of --at up to the last one asked for, in order.
std::vector<std::int64_t> steps_of(const Options& options) {
  std::vector<std::int64_t> steps;
  std::ranges::copy_if(options.at, std::back_inserter(steps),
                       [&](std::int64_t step) { return step <= options.protocol.steps; });
  std::ranges::sort(steps);
  return steps;
}

// --- What is reported

/// A number of a spectrum, of which tables and CSV files have one for each step.
struct Column {
  std::string word, title;
  std::function<double(const Spectrum&)> value;
};

std::vector<Column> make_columns() {
  std::vector<Column> columns;
  for (const auto& [percent, title] :
       {std::pair{0u, "least"}, {10u, "10 %"}, {50u, "50 %"}, {90u, "90 %"}, {100u, "most"}}) {
    columns.push_back({"p" + std::to_string(percent), title,
                       [percent = percent](const Spectrum& spectrum) { return spectrum.percentiles[percent]; }});
  }
  columns.push_back({"rms", "rms", [](const Spectrum& spectrum) { return spectrum.root_mean_square; }});
  return columns;
}

const std::vector<Column> columns = make_columns();

double near_one(const Spectrum& spectrum) { return spectrum.near_one; }

/// Calls body(section, step, the words for a row of a table).
template <class Body>
void for_each_row(const Options& options, const Body& body) {
  for (std::size_t section = 0; section < std::size(sections); ++section) {
    for (const std::int64_t step : steps_of(options))
      body(section, step, sections[section].name() + ", " + report::grouped(step));
  }
}

void print_spectra(const Options& options, const std::vector<Trained>& networks) {
  for (std::size_t view = 0; view < views.size(); ++view) {
    std::vector<std::string> header = {"layers, step"};
    for (const Column& column : columns) header.push_back(column.title);
    report::Table table(header);
    for_each_row(options, [&](std::size_t section, std::int64_t step, const std::string& name) {
      std::vector<std::string> row = {name};
      for (const Column& column : columns)
        row.push_back(report::significant(report::mean(collect(networks, view, section, step, column.value)), 2));
      table.add(row);
    });
    std::cout << "\nSingular values " << views[view].title
              << (options.common.seeds.size() > 1 ? ", mean of the seeds\n" : "\n") << table;
  }
  std::cout << "rms: the root of the mean square\n";
}

void print_near_one(const Options& options, const std::vector<Trained>& networks) {
  report::Table table({"layers, step", "with BN, held", "through", "without, in std", "as it is"});
  for_each_row(options, [&](std::size_t section, std::int64_t step, const std::string& name) {
    std::vector<std::string> row = {name};
    for (std::size_t view = 0; view < views.size(); ++view)
      row.push_back(report::over_seeds(collect(networks, view, section, step, near_one), 3));
    table.add(row);
  });
  std::cout << "\nShare of the singular values that are from 1/2 to 2\n" << table;
}

void print_dimensions(const Options& options, const std::vector<Trained>& networks) {
  report::Table table({"step", "layer 1", "layer 2", "layer 3"});
  for (const bool batch_norm : {true, false}) {
    for (const std::int64_t step : steps_of(options)) {
      std::vector<std::string> row = {(batch_norm ? "with BN, " : "without BN, ") + report::grouped(step)};
      for (std::size_t layer = 0; layer < layers; ++layer) {
        const auto values =
            collect(networks, batch_norm, step, [&](const Look& look) { return look.dimensions[layer]; });
        row.push_back(report::over_seeds(values, 1));
      }
      table.add(row);
    }
  }
  std::cout << "\nDimensions in which the normalized vectors vary; if they were uncorrelated, 100\n" << table;
}

// --- What is written

void write_spectra(const std::filesystem::path& folder, const std::vector<Trained>& networks) {
  std::vector<std::string> names = {"jacobian", "layers", "seed", "step"};
  for (const Column& column : columns) names.push_back(column.word);
  names.push_back("near_one");
  report::Csv csv(folder / "jacobians.csv", names);
  report::Csv dimensions(folder / "jacobians_dimensions.csv",
                         {"network", "seed", "step", "layer1", "layer2", "layer3"});
  for (const Trained& trained : networks) {
    const auto seed = static_cast<double>(trained.run.seed);
    for (const auto& [step, look] : trained.looks) {
      for (std::size_t view = 0; view < views.size(); ++view) {
        for (std::size_t section = 0; section < look.spectra[view].size(); ++section) {
          std::vector<double> row = {seed, static_cast<double>(step)};
          for (const Column& column : columns) row.push_back(column.value(look.spectra[view][section]));
          row.push_back(near_one(look.spectra[view][section]));
          csv.add({views[view].word, sections[section].name()}, row);
        }
      }
      std::vector<double> row = {seed, static_cast<double>(step)};
      row.insert(row.end(), look.dimensions.begin(), look.dimensions.end());
      dimensions.add({trained.batch_norm ? "with_bn" : "without_bn"}, row);
    }
  }
  csv.close();
  dimensions.close();
}

/// The singular values of both pairs of layers in order of size, a curve for each pair and step.
report::Figure write_figure(const std::filesystem::path& folder, const Options& options,
                            const std::vector<Trained>& networks, std::size_t view, const std::string& name,
                            const std::string& data) {
  const std::string colors[] = {"#7fc4e8", "#2a9d8f", "#e08a1e", "#5b1a6e", "black", "#808080"};
  std::vector<std::string> names = {"percent"};
  std::vector<std::vector<double>> values;
  std::vector<std::string> plots;
  std::vector<std::uint64_t> seeds;
  for (std::size_t i = 0; i < networks.size(); i += 2) seeds.push_back(networks[i].run.seed);
  for (const std::size_t section : {0u, 1u}) {
    std::size_t number = 0;
    for (const std::int64_t step : steps_of(options)) {
      names.push_back("layers " + sections[section].name() + " step " + std::to_string(step));
      auto& own = values.emplace_back();
      for (std::size_t percent = 0; percent <= 100; ++percent) {
        own.push_back(report::mean(collect(networks, view, section, step,
                                           [&](const Spectrum& spectrum) { return spectrum.percentiles[percent]; })));
      }
      const std::string& color = colors[number++ % std::size(colors)];
      if (std::isfinite(own.front())) {
        plots.push_back("'" + name + ".csv' using 1:" + std::to_string(values.size() + 1) + " with lines lw 2" +
                        (section == 0 ? "" : " dt (12,6)") + " lc '" + color + "' title 'layers " +
                        sections[section].name() + ", step " + report::grouped(step) + "'");
      }
    }
  }
  report::Csv csv(folder / (name + ".csv"), names);
  for (std::size_t percent = 0; percent <= 100; ++percent) {
    std::vector<double> row = {static_cast<double>(percent)};
    for (const auto& own : values) row.push_back(own[percent]);
    csv.add(row);
  }
  csv.close();
  return {name, "Singular values " + views[view].title + "\n" + report::of_seeds(seeds, "mean") + "\n" + data,
          "set xlabel 'per cent of the singular values'\nset ylabel 'singular value'\nset xrange [0:100]\n"
          "set logscale y\nset yrange [0.001:100]\nset format y '%g'\n"
          "set object rectangle from 0,0.5 to 100,2 fc rgb '#eeeeee' fs solid noborder behind\n" +
              report::plain_axes + report::key_below + "set key maxrows 4\n",
          plots.empty() ? "" : "1 with lines lw 1 lc 'black' notitle, " + report::joined(plots, ", ")};
}

int jacobians(const Options& options) {
  const auto& folder = options.common.output;
  if (steps_of(options).empty()) {
    throw std::runtime_error("--at " + std::to_string(std::ranges::min(options.at)) + ": expected a step up to " +
                             std::to_string(options.protocol.steps) + ", the last of --steps");
  }
  const training::Experiment experiment(
      options.common, options.protocol,
      "Jacobians: 784-100-100-100-10 sigmoid units, " + training::described(options.protocol));
  const std::vector<Trained> networks = train(options, experiment);

  print_spectra(options, networks);
  print_near_one(options, networks);
  print_dimensions(options, networks);
  write_spectra(folder, networks);
  const std::string& data = experiment.dataset().description;
  const std::vector<std::int64_t> steps = steps_of(options);
  const std::int64_t last = steps.back();
  const auto of_both_pairs = [&](std::size_t view) {
    return collect(networks, views[view].batch_norm, last, [&](const Look& look) {
      return (near_one(look.spectra[view][0]) + near_one(look.spectra[view][1])) / 2;
    });
  };
  return experiment.finish({write_figure(folder, options, networks, 0, "jacobians_with_bn", data),
                            write_figure(folder, options, networks, 2, "jacobians_without_bn", data)},
                           {"jacobians", "jacobians_dimensions"},
                           {"jacobians_with_bn and jacobians_without_bn",
                            training::singular_values_near_one(last, of_both_pairs(0), of_both_pairs(2))});
}

}  // namespace

int main(int argc, char** argv) {
  process::CommandLine command_line("Section 3.3: the singular values of the layers' Jacobians.", "jacobians");
  Options options;
  add_options(command_line, options);
  return command_line.run(argc, argv, [&] { return jacobians(options); });
}
