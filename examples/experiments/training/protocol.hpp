#pragma once

#include <cstdint>
#include <string>

#include "data/batches.hpp"
#include "data/distortion.hpp"
#include "experiments/process/command_line.hpp"
#include "nn/sgd.hpp"

namespace training {

/// With which statistics a network with batch normalization is tested: running averages, or those of Algorithm 2.
enum class Statistics { running, population };

/// How to train a network, whichever it is.
struct Protocol {
  std::int64_t steps = 50'000;
  Eigen::Index batch = 60;
  nn::HalvingRate learning_rate = {1};
  double weight_decay = 0;
  double momentum = 0;
  Eigen::Index training_images = 0;  ///< the first so many; 0: all
  data::Order order = data::Order::reshuffled;
  data::Distortion distortion = {};       ///< of the training images, each anew in each step
  data::Distortion test_distortion = {};  ///< of the test images: once, the same for all networks and seeds
  data::Input input = data::Input::gray;
  Statistics statistics = Statistics::running;
  std::int64_t every = 500;       ///< steps between two tests, and between two looks at the percentiles
  Eigen::Index probe = 2000;      ///< how many training images, the first ones, the percentiles are taken over
  int population_batches = 1000;  ///< for Algorithm 2 at the end; 0: none
};

/// Its steps, batches and learning rate in words, as the headlines of experiments have them.
std::string described(const Protocol& protocol);

/// Adds --steps and --every.
void add_length_options(process::CommandLine& command_line, Protocol& protocol);

/// Adds those, --batch, --training-images, --population-batches and --statistics.
void add_protocol_options(process::CommandLine& command_line, Protocol& protocol);

/// Adds --input, for networks that take whole images.
void add_input_option(process::CommandLine& command_line, data::Input& input);

}  // namespace training
