#include "experiments/training/accuracy_curves.hpp"

#include <set>

#include "experiments/report/csv.hpp"
#include "experiments/report/seeds.hpp"
#include "experiments/training/results.hpp"

namespace training {
namespace {

template <class Quantity>
std::vector<double> for_each_seed(const DrawnRuns& network, const Quantity& quantity) {
  std::vector<double> values;
  for (const Run& run : *network.runs) values.push_back(quantity(run));
  return values;
}

}  // namespace

std::vector<report::Curve> write_accuracy_curves(const std::filesystem::path& path,
                                                 const std::vector<DrawnRuns>& networks, SeedColumns seed_columns) {
  const std::size_t seeds = seed_columns == SeedColumns::yes && !networks.empty() ? networks.front().runs->size() : 0;
  std::vector<std::string> columns = {"step"};
  std::vector<report::Curve> curves;
  std::set<std::int64_t> steps;
  for (const DrawnRuns& network : networks) {
    columns.push_back(network.word);
    curves.push_back({.column = static_cast<int>(columns.size()),
                      .title = network.title,
                      .look = network.look,
                      .values = {},
                      .ending = report::ending_of(for_each_seed(network, diverged_at))});
    for (const Run& run : *network.runs) steps.insert(run.steps.begin(), run.steps.end());
  }
  for (std::size_t i = 0; i < seeds; ++i) {
    for (const DrawnRuns& network : networks)
      columns.push_back(network.word + "_seed_" + std::to_string((*network.runs)[i].seed));
  }
  for (std::size_t n = 0; n < networks.size(); ++n) {
    columns.push_back(networks[n].word + "_std");
    curves[n].deviation_column = static_cast<int>(columns.size());
  }

  report::Csv csv(path, columns);
  for (const std::int64_t step : steps) {
    std::vector<std::vector<double>> accuracies;
    for (std::size_t n = 0; n < networks.size(); ++n) {
      accuracies.push_back(for_each_seed(networks[n], [step](const Run& run) { return accuracy_at(run, step); }));
      curves[n].values.push_back(report::mean(accuracies.back()));
      curves[n].deviations.push_back(report::standard_deviation(accuracies.back()));
    }
    std::vector<double> row = {static_cast<double>(step)};
    for (const report::Curve& curve : curves) row.push_back(curve.values.back());
    for (std::size_t i = 0; i < seeds; ++i) {
      for (const auto& of_network : accuracies) row.push_back(of_network[i]);
    }
    for (const report::Curve& curve : curves) row.push_back(curve.deviations.back());
    csv.add(row);
  }
  csv.close();
  return curves;
}

}  // namespace training
