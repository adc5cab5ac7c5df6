#include "program/experiment.hpp"

#include <iostream>

#include "program/interrupt.hpp"
#include "program/output_folder.hpp"
#include "program/text.hpp"

namespace program {

Experiment::Experiment(const CommonOptions& common, const Protocol& protocol, const std::string& headline)
    : folder_(common.output) {
  prepare_output_folder(folder_);
  dataset_ = data::load(common.data);
  views_ = make_views(protocol, dataset_);
  std::cout << headline << "\nData: " << dataset_.description << "\nfrom " << dataset_.origin << std::endl;
  catch_interrupt();
}

int Experiment::finish(const std::vector<Figure>& figures, const std::vector<std::string>& tables) const {
  const Drawing drawing = draw(folder_, figures);
  std::string written;
  for (const Figure& figure : figures) written += (written.empty() ? "" : ", ") + figure.name;
  written += std::string(" (.csv") + (drawing.files.empty() ? "" : ", .svg, .png") + ")";
  for (const std::string& table : tables) written += ", " + table + ".csv";
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
