#include "experiments/training/protocol.hpp"

#include "experiments/report/text.hpp"

namespace training {

std::string described(const Protocol& protocol) {
  const auto& rate = protocol.learning_rate;
  return report::grouped(protocol.steps) + " steps of " + std::to_string(protocol.batch) +
         (protocol.training_images > 0 ? " of " + report::grouped(protocol.training_images) + " images" : "") +
         ", learning rate " + report::shortest(rate.initial) +
         (rate.half_life > 0 ? ", halved every " + report::shortest(rate.half_life) + " steps" : "");
}

void add_length_options(process::CommandLine& command_line, Protocol& protocol) {
  command_line.add_number("--steps", protocol.steps, "steps of training", process::at_least(1));
  command_line.add_number("--every", protocol.every, "steps between two tests", process::at_least(1));
}

void add_protocol_options(process::CommandLine& command_line, Protocol& protocol) {
  add_length_options(command_line, protocol);
  command_line.add_number("--batch", protocol.batch, "images in a batch", process::at_least(2));
  command_line.add_number("--training-images", protocol.training_images, "only the first so many; 0: all",
                          process::at_least(0));
  command_line.add_number("--population-batches", protocol.population_batches,
                          "batches for statistics of Algorithm 2; 0: none", process::at_least(0));
  command_line.add_choice("--statistics", protocol.statistics, "what the tests normalize with",
                          {{"running", Statistics::running}, {"population", Statistics::population}});
}

void add_input_option(process::CommandLine& command_line, data::Input& input) {
  command_line.add_choice("--input", input, "pixels as they are, or black and white",
                          {{"gray", data::Input::gray}, {"binary", data::Input::binary}});
}

}  // namespace training
