#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "experiments/networks/network.hpp"
#include "experiments/process/command_line.hpp"
#include "experiments/report/figure.hpp"
#include "experiments/training/evaluation.hpp"
#include "experiments/training/protocol.hpp"
#include "experiments/training/training.hpp"

namespace training {

/// A network to be trained.
struct Job {
  std::string label;  ///< of its progress, with the seed
  Protocol protocol;  ///< with the input and probe of the experiment's
  std::uint64_t seed = 0;
  std::function<networks::Network()> make;
  std::function<void(networks::Network&)> look =
      {};  ///< at the trained network, if anybody wants to; on the thread that trained it; not at one that diverged
  std::function<void(std::int64_t step, networks::Network&)> watch =
      {};  ///< the network before the first step, 0, and after each; on the thread that trains it
};

/// What there is to see, and in which figure. `what` is empty if there is nothing to be said: see highlights.hpp.
struct Highlight {
  std::string figure, what;
};

/// What surrounds the training of networks, the same in every program: data, folder, Ctrl-C, and the words about them.
class Experiment {
 public:
  /// Makes sure of the output folder, loads the data, says what is about to happen, and catches Ctrl-C from then on.
  /// Throws std::runtime_error that says what is wrong, before any training.
  Experiment(const process::CommonOptions& common, const Protocol& protocol, const std::string& headline);

  const data::Dataset& dataset() const { return dataset_; }

  /// The test images, as the networks take them.
  const Samples& test() const { return views_.test; }

  /// Trains networks on the data, as many at a time as there are cores, and returns what came out of each: see
  /// training::train(). After Ctrl-C some have made no step. Progress is a line a network, or one for all of many. Says
  /// in the end which have diverged, which is a result like others: it changes no exit code.
  std::vector<Run> train(const std::vector<Job>& jobs) const;

  /// Draws the figures, says what there is in the folder (`tables` are CSV files that have no figure of their name)
  /// and, in the last line, what to look at; and returns the exit code.
  int finish(const std::vector<report::Figure>& figures, const std::vector<std::string>& tables,
             const Highlight& highlight) const;

 private:
  std::filesystem::path folder_;
  data::Dataset dataset_;
  Views views_;
};

/// After Ctrl-C, says that what follows is not complete.
void report_interrupt();

/// Which seeds are reported of networks that are compared seed by seed, by their place: those that all networks have
/// come to the end of. After Ctrl-C that may be not all, and is said; if it is none, those that any network has begun;
/// if that is none either, all. `runs` has a run of each of the networks for the first seed, then for the second, ...
std::vector<std::size_t> seeds_to_report(const std::vector<Run>& runs, std::size_t networks);

/// The same runs network by network, each with those of the seeds that are reported.
std::vector<std::vector<Run>> runs_to_report(std::vector<Run> runs, std::size_t networks);

}  // namespace training
