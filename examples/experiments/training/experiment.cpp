#include "experiments/training/experiment.hpp"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <span>

#include "experiments/process/interrupt.hpp"
#include "experiments/process/output_folder.hpp"
#include "experiments/process/parallel.hpp"
#include "experiments/report/progress.hpp"
#include "experiments/report/text.hpp"
#include "experiments/training/results.hpp"

namespace training {

namespace {

/// Says which networks have diverged, when, and by what it was seen.
void report_divergences(const std::vector<Job>& jobs, const std::vector<Run>& runs) {
  constexpr std::int64_t most_lines = 20;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto& divergence = runs[i].divergence;
    if (!divergence || ++count > most_lines) continue;
    std::cout << (count == 1 ? "\n" : "") << jobs[i].label << " diverged at step " << report::grouped(divergence->step)
              << ": " << divergence->reason << '\n';
  }
  if (count > most_lines) std::cout << "and " << report::grouped(count - most_lines) << " more\n";
  if (count > 0) std::cout << "(no training beyond that; what came before it is kept)\n";
}

/// ", .svg, .png": each ending once, in the order of the files.
std::string endings_of(const std::vector<std::string>& files) {
  std::string endings;
  for (const std::string& file : files) {
    const std::string ending = ", " + std::filesystem::path(file).extension().string();
    if (endings.find(ending) == std::string::npos) endings += ending;
  }
  return endings;
}

}  // namespace

Experiment::Experiment(const process::CommonOptions& common, const Protocol& protocol, const std::string& headline)
    : folder_(common.output) {
  process::prepare_output_folder(folder_);
  dataset_ = data::load(common.data);
  views_ = make_views(protocol, dataset_);
  std::cout << headline << "\nData: " << dataset_.description << "\nfrom " << dataset_.origin << std::endl;
  process::catch_interrupt();
}

std::vector<Run> Experiment::train(const std::vector<Job>& jobs) const {
  constexpr std::size_t most_lines = 20;
  const bool together = jobs.size() > most_lines;
  std::vector<report::Progress::Network> lines;
  std::int64_t all_steps = 0;
  for (const Job& job : jobs) {
    lines.push_back({job.label, job.protocol.steps});
    all_steps += job.protocol.steps;
  }
  if (together) lines = {{report::grouped(static_cast<std::int64_t>(jobs.size())) + " networks", all_steps}};
  report::Progress progress(lines, report::is_terminal(stderr));

  std::vector<Run> runs(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    runs[i].seed = jobs[i].seed;
    runs[i].steps_asked = jobs[i].protocol.steps;
  }
  std::atomic<std::int64_t> steps = 0;
  process::for_each_in_parallel(jobs.size(), [&](std::size_t i) {
    const Job& job = jobs[i];
    networks::Network network = job.make();
    if (job.watch) job.watch(0, network);
    runs[i] =
        training::train(job.protocol, dataset_, views_, job.seed, network, [&](std::int64_t step, double accuracy) {
          if (job.watch) job.watch(step, network);
          together ? progress.update(0, ++steps, accuracy) : progress.update(i, step, accuracy);
        });
    if (!runs[i].divergence) {
      if (job.look) job.look(network);
    } else if (together) {
      progress.update(0, steps += job.protocol.steps - runs[i].steps_made, report::none);
    } else {
      progress.update(i, runs[i].divergence->step, report::diverged);
    }
  });
  report_divergences(jobs, runs);
  return runs;
}

int Experiment::finish(const std::vector<report::Figure>& figures, const std::vector<std::string>& tables,
                       const Highlight& highlight) const {
  const report::Drawing drawing = report::draw(folder_, figures);
  std::vector<std::string> drawn, files;
  for (const report::Figure& figure : figures) {
    if (figure.plot.empty()) {
      files.push_back(figure.name + ".csv");
    } else {
      drawn.push_back(figure.name);
    }
  }
  for (const std::string& table : tables) files.push_back(table + ".csv");
  std::string written = report::joined(drawn, ", ");
  if (!drawn.empty()) written += " (.csv" + endings_of(drawing.files) + ")";
  if (!drawn.empty() && !files.empty()) written += ", ";
  written += report::joined(files, ", ");
  std::cout << "\nWritten into " << folder_.string() << ":\n"
            << written << "\n"
            << drawing.problem << (drawing.problem.empty() ? "" : "\n");
  if (!highlight.what.empty()) std::cout << "\nLook at " << highlight.figure << ": " << highlight.what << ".\n";
  return process::interrupted() ? process::interrupted_exit_code : 0;
}

void report_interrupt() {
  if (process::interrupted()) std::cout << "\nStopped early: what follows is what there is.\n";
}

std::vector<std::size_t> seeds_to_report(const std::vector<Run>& runs, std::size_t networks) {
  std::vector<std::size_t> all, begun, complete;
  for (std::size_t seed = 0; seed < runs.size() / networks; ++seed) {
    const std::span own = std::span(runs).subspan(seed * networks, networks);
    all.push_back(seed);
    if (std::ranges::any_of(own, [](const Run& run) { return run.steps_made > 0 || run.divergence; }))
      begun.push_back(seed);
    if (std::ranges::all_of(own, is_complete)) complete.push_back(seed);
  }
  if (complete.size() == all.size()) return all;
  std::cout << "\nStopped early: of " << all.size() << (all.size() == 1 ? " seed " : " seeds ")
            << (complete.empty() ? "none is"
                                 : std::to_string(complete.size()) + (complete.size() == 1 ? " is" : " are"))
            << " complete, and what follows is " << (complete.empty() ? "what there is.\n" : "of those.\n");
  return !complete.empty() ? complete : !begun.empty() ? begun : all;
}

std::vector<std::vector<Run>> runs_to_report(std::vector<Run> runs, std::size_t networks) {
  std::vector<std::vector<Run>> of_network(networks);
  for (const std::size_t seed : seeds_to_report(runs, networks)) {
    for (std::size_t i = 0; i < networks; ++i) of_network[i].push_back(std::move(runs[seed * networks + i]));
  }
  return of_network;
}

}  // namespace training
