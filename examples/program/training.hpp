#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "data/dataset.hpp"
#include "program/evaluation.hpp"
#include "program/network.hpp"
#include "program/percentiles.hpp"
#include "program/protocol.hpp"

namespace program {

/// Steps after which a network is tested whatever Protocol::every says: the rows of tables.
inline constexpr std::int64_t milestones[] = {500, 1'000, 2'000, 5'000, 10'000, 20'000, 50'000};

/// What is looked at while a network trains; the same for all networks.
struct Views {
  Samples test;
  nn::Matrix<float> probe;
};

/// What came out of training one network.
struct Run {
  std::uint64_t seed = 0;
  std::vector<std::int64_t> steps;                                        ///< after which it was tested
  std::vector<double> accuracy;                                           ///< on the test images, at each of the steps
  PercentileHistory percentiles;                                          ///< of the probed layer, if there is one
  std::int64_t steps_made = 0;                                            ///< less than asked for after Ctrl-C
  double running_accuracy = std::numeric_limits<double>::quiet_NaN();     ///< at the end, with running averages
  double population_accuracy = std::numeric_limits<double>::quiet_NaN();  ///< at the end, with Algorithm 2
  double seconds_per_step = 0;                                            ///< processor time of a step, tests left out
};

/// Prepares test and probe images. Throws std::runtime_error if the data are too few for the protocol.
Views make_views(const Protocol& protocol, const data::Dataset& dataset);

/// Trains a network until the protocol's last step, or until Ctrl-C, and tells `progress` of each step and the last
/// accuracy. An epoch's incomplete last batch is left out. The order of the data depends on the seed alone, so all
/// networks of a seed see the same.
///
/// The same arguments give the same bits from one build, whatever other threads do.
Run train(const Protocol& protocol, const data::Dataset& dataset, const Views& views, std::uint64_t seed,
          Network& network, const std::function<void(std::int64_t step, double accuracy)>& progress);

}  // namespace program
