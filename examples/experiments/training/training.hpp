#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "experiments/networks/network.hpp"
#include "experiments/report/text.hpp"
#include "experiments/training/evaluation.hpp"
#include "experiments/training/percentiles.hpp"
#include "experiments/training/protocol.hpp"

namespace training {

/// Steps after which a network is tested whatever Protocol::every says: the rows of tables.
inline constexpr std::int64_t milestones[] = {500, 1'000, 2'000, 5'000, 10'000, 20'000, 50'000};

/// What is looked at while a network trains; the same for all networks.
struct Views {
  Samples test;
  nn::Matrix<float> probe;
};

/// The end of a network that has a value which is not finite: it is trained no further, for it would learn nothing.
struct Divergence {
  std::int64_t step;   ///< the first step of which a result is not finite, as far as it was looked at
  std::string reason;  ///< which result: "loss nan"
};

/// What came out of training one network.
struct Run {
  std::uint64_t seed = 0;
  std::int64_t steps_asked = 0;               ///< the protocol's
  std::vector<std::int64_t> steps;            ///< after which it was tested
  std::vector<double> accuracy;               ///< on the test images, at each of the steps
  PercentileHistory percentiles;              ///< of the probed layer, if there is one
  std::int64_t steps_made = 0;                ///< less than asked for after Ctrl-C
  std::optional<Divergence> divergence = {};  ///< what was seen before it is kept
  double running_accuracy = report::none;     ///< at the end, with running averages
  double population_accuracy = report::none;  ///< at the end, with Algorithm 2
  double seconds_per_step = report::none;     ///< CPU time of a step, tests left out
};

/// Prepares test and probe images. Throws std::runtime_error if the data are too few for the protocol.
Views make_views(const Protocol& protocol, const data::Dataset& dataset);

/// Trains a network until the protocol's last step, or until Ctrl-C, and tells `progress` of each step and the last
/// accuracy. A network of which a loss, an output, a parameter or a running statistic is not finite has diverged: its
/// training ends there, and Run::divergence says so. Losses are looked at in each step, the others when it is tested.
/// An epoch's incomplete last batch is left out. The order of the data depends on the seed alone, so all
/// networks of a seed see the same.
///
/// The same arguments give the same bits from one build, whatever other threads do.
Run train(const Protocol& protocol, const data::Dataset& dataset, const Views& views, std::uint64_t seed,
          networks::Network& network, const std::function<void(std::int64_t step, double accuracy)>& progress);

}  // namespace training
