#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "program/command_line.hpp"
#include "program/figure.hpp"
#include "program/training.hpp"

namespace program {

/// What surrounds the training of networks, the same in every program: data, folder, Ctrl-C, and the words about them.
class Experiment {
 public:
  /// Makes sure of the output folder, loads the data, says what is about to happen, and catches Ctrl-C from then on.
  /// Throws std::runtime_error that says what is wrong, before any training.
  Experiment(const CommonOptions& common, const Protocol& protocol, const std::string& headline);

  const data::Dataset& dataset() const { return dataset_; }

  /// Trains one network on the data: see program::train(). From any number of threads; `protocol` has the input and
  /// probe of the constructor's.
  Run train(const Protocol& protocol, std::uint64_t seed, Network network,
            const std::function<void(std::int64_t step, double accuracy)>& progress) const {
    return program::train(protocol, dataset_, views_, seed, std::move(network), progress);
  }

  /// Draws the figures, says what there is in the folder (`tables` are CSV files that have no figure of their name), and
  /// returns the exit code.
  int finish(const std::vector<Figure>& figures, const std::vector<std::string>& tables) const;

 private:
  std::filesystem::path folder_;
  data::Dataset dataset_;
  Views views_;
};

/// After Ctrl-C, says that what follows is not complete.
void report_interrupt();

/// What the figures of all experiments have in common: gnuplot commands for plain axes, and the steps of training to the
/// right, up to `last`.
std::string axes_over_steps(std::int64_t last);

}  // namespace program
