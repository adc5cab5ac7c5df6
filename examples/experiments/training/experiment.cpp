#include "experiments/training/experiment.hpp"

#include <atomic>
#include <iostream>

#include "experiments/process/interrupt.hpp"
#include "experiments/process/output_folder.hpp"
#include "experiments/process/parallel.hpp"
#include "experiments/report/progress.hpp"
#include "experiments/report/text.hpp"

namespace program {

namespace {

/// Says which networks have diverged, when, and by what it was seen.
void report_divergences(const std::vector<Job>& jobs, const std::vector<Run>& runs) {
  constexpr std::int64_t most_lines = 20;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto& divergence = runs[i].divergence;
    if (!divergence || ++count > most_lines) continue;
    std::cout << (count == 1 ? "\n" : "") << jobs[i].label << " diverged at step " << grouped(divergence->step) << ": "
              << divergence->reason << '\n';
  }
  if (count > most_lines) std::cout << "and " << grouped(count - most_lines) << " more\n";
  if (count > 0) std::cout << "(no training beyond that; what came before it is kept)\n";
}

}  // namespace

Experiment::Experiment(const CommonOptions& common, const Protocol& protocol, const std::string& headline)
    : folder_(common.output) {
  prepare_output_folder(folder_);
  dataset_ = data::load(common.data);
  views_ = make_views(protocol, dataset_);
  std::cout << headline << "\nData: " << dataset_.description << "\nfrom " << dataset_.origin << std::endl;
  catch_interrupt();
}

std::vector<Run> Experiment::train(const std::vector<Job>& jobs) const {
  constexpr std::size_t most_lines = 20;
  const bool together = jobs.size() > most_lines;
  std::vector<Progress::Network> lines;
  std::int64_t all_steps = 0;
  for (const Job& job : jobs) {
    lines.push_back({job.label, job.protocol.steps});
    all_steps += job.protocol.steps;
  }
  if (together) lines = {{grouped(static_cast<std::int64_t>(jobs.size())) + " networks", all_steps}};
  Progress progress(lines, is_terminal(stderr));

  std::vector<Run> runs(jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) runs[i].seed = jobs[i].seed;
  std::atomic<std::int64_t> steps = 0;
  for_each_in_parallel(jobs.size(), [&](std::size_t i) {
    const Job& job = jobs[i];
    Network network = job.make();
    runs[i] =
        program::train(job.protocol, dataset_, views_, job.seed, network, [&](std::int64_t step, double accuracy) {
          together ? progress.update(0, ++steps, accuracy) : progress.update(i, step, accuracy);
        });
    if (!runs[i].divergence) {
      if (job.look) job.look(network);
    } else if (together) {
      progress.update(0, steps += job.protocol.steps - runs[i].steps_made, none);
    } else {
      progress.update(i, runs[i].divergence->step, diverged);
    }
  });
  report_divergences(jobs, runs);
  return runs;
}

int Experiment::finish(const std::vector<Figure>& figures, const std::vector<std::string>& tables) const {
  const Drawing drawing = draw(folder_, figures);
  std::vector<std::string> drawn, files;
  for (const Figure& figure : figures) {
    if (figure.plot.empty()) {
      files.push_back(figure.name + ".csv");
    } else {
      drawn.push_back(figure.name);
    }
  }
  for (const std::string& table : tables) files.push_back(table + ".csv");
  std::string written = joined(drawn, ", ");
  if (!drawn.empty()) written += std::string(" (.csv") + (drawing.files.empty() ? "" : ", .svg, .png") + ")";
  if (!drawn.empty() && !files.empty()) written += ", ";
  written += joined(files, ", ");
  std::cout << "\nWritten into " << folder_.string() << ":\n"
            << written << "\n"
            << drawing.problem << (drawing.problem.empty() ? "" : "\n");
  return interrupted() ? interrupted_exit_code : 0;
}

void report_interrupt() {
  if (interrupted()) std::cout << "\nStopped early: what follows is what there is.\n";
}

std::string axes_over_steps(std::int64_t last) {
  return "set xlabel 'training steps'\nset xrange [0:*]\nset border 3\nset tics nomirror\nset grid lt 1 lw 0.5 lc rgb "
         "'#cccccc'\nset format x '" +
         std::string(last < 10'000 ? "%.0f" : "%.0s%c") + "'\n";
}

}  // namespace program
