#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "data/batches.hpp"
#include "data/dataset.hpp"
#include "program/evaluation.hpp"
#include "program/percentiles.hpp"
#include "program/sigmoid_network.hpp"

namespace program {

/// With which statistics a network with batch normalization is tested: running averages, or those of Algorithm 2.
enum class Statistics { running, population };

/// How to train the network of section 4.1. The paper states neither learning rate nor initial weights; with these its
/// picture appears.
struct Protocol {
  std::int64_t steps = 50'000;
  Eigen::Index batch = 60;
  double learning_rate = 1;
  double initial_deviation = 0.01;
  data::Input input = data::Input::grey;
  Statistics statistics = Statistics::running;
  std::int64_t every = 500;       ///< steps between two tests, and between two looks at the percentiles
  Eigen::Index probe = 2000;      ///< how many training images, the first ones, the percentiles are taken over
  int population_batches = 1000;  ///< for Algorithm 2 at the end
};

/// Steps after which a network is tested whatever Protocol::every says: the rows of the table.
inline constexpr std::int64_t milestones[] = {500, 1'000, 2'000, 5'000, 10'000, 20'000, 50'000};

/// What is looked at while a network trains; the same for all networks.
struct Views {
  Samples test;
  nn::Matrix<float> probe;
};

/// What came out of training one network.
struct Run {
  bool batch_norm = false;
  std::uint64_t seed = 0;
  std::vector<std::int64_t> steps;  ///< after which it was tested
  std::vector<double> accuracy;     ///< on the test images, at each of the steps
  PercentileHistory percentiles;    ///< of the inputs of the last hidden layer's sigmoids
  std::int64_t steps_made = 0;      ///< less than asked for after Ctrl-C
  double running_accuracy = std::numeric_limits<double>::quiet_NaN();     ///< at the end, with running averages
  double population_accuracy = std::numeric_limits<double>::quiet_NaN();  ///< at the end, with Algorithm 2
  double seconds_per_step = 0;                                            ///< processor time of a step, tests left out
};

/// Prepares test and probe images. Throws std::runtime_error if the data are too few for the protocol.
Views make_views(const Protocol& protocol, const data::Dataset& dataset);

/// Trains one network until the protocol's last step, or until Ctrl-C, and tells `progress` of each step and the last
/// accuracy. Plain SGD; an epoch's incomplete last batch is left out. The order of the data and the initial weights
/// depend on the seed alone, so both networks of a seed get the same.
///
/// The same arguments give the same bits from one build, whatever other threads do.
Run train(const Protocol& protocol, const data::Dataset& dataset, const Views& views, std::uint64_t seed,
          bool batch_norm, const std::function<void(std::int64_t step, double accuracy)>& progress);

}  // namespace program
