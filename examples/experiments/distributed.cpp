// Figure 1's network on several processes, each with a part of every batch: mpirun -n 2 distributed
//
// Three times: whole batches on one process; parts of them whose statistics are made across the processes, which should
// be the same network; and parts that are normalized by themselves, without a word about statistics.
// What the processes have to tell each other costs time: steps a second of all three.

#include <batchnorm/adapters/mpi.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "experiments/networks/sigmoid_network.hpp"
#include "experiments/process/command_line.hpp"
#include "experiments/process/interrupt.hpp"
#include "experiments/report/csv.hpp"
#include "experiments/report/curves.hpp"
#include "experiments/report/table.hpp"
#include "experiments/report/text.hpp"
#include "experiments/training/accuracy_curves.hpp"
#include "experiments/training/experiment.hpp"
#include "experiments/training/feed.hpp"
#include "experiments/training/results.hpp"
#include "nn/loss.hpp"

namespace {

namespace bn = batchnorm;
using bn::mpi::Ranks;
using training::Run;

struct Options {
  process::CommonOptions common;
  training::Protocol protocol = {.steps = 2'000, .every = 100};
};

/// Who normalizes what.
enum class Statistics {
  whole,         ///< rank 0 alone, whole batches
  synchronized,  ///< each its part, with the statistics of all
  apart,         ///< each its part, with those of the part
};

/// What came of a network, on rank 0.
struct Result {
  std::string word, name;
  std::vector<Run> runs = {{}};               ///< one
  double seconds = 0;                         ///< of all steps
  std::vector<Eigen::VectorXf> weights = {};  ///< at each test

  const Run& run() const { return runs.front(); }
  double steps_per_second() const {
    return run().steps_made > 0 ? static_cast<double>(run().steps_made) / seconds : report::none;
  }
};

/// The parameters of a network, or their gradients, one behind the other.
template <class Member>
Eigen::VectorXf gathered(nn::Sequential<float>& model, Member bn::Parameter<float>::*member) {
  std::vector<float> all;
  model.for_each_parameter([&](bn::Parameter<float> parameter) {
    const auto& values = parameter.*member;
    all.insert(all.end(), values.data(), values.data() + values.size());
  });
  return Eigen::Map<const Eigen::VectorXf>(all.data(), static_cast<Eigen::Index>(all.size()));
}

/// A network that is trained on one rank or on all.
class Trainer {
 public:
  Trainer(const Options& options, const training::Experiment& experiment, const Ranks& ranks, Statistics statistics)
      : protocol_(options.protocol),
        experiment_(experiment),
        ranks_(ranks),
        statistics_(statistics),
        network_(networks::make_sigmoid_network({.batch_norm = true, .seed = options.common.seeds.front()})),
        feed_(protocol_, experiment.dataset().train, options.common.seeds.front()),
        sgd_(static_cast<float>(protocol_.learning_rate.initial)) {
    const bool in_parts = statistics != Statistics::whole;
    const auto begin_of = [&](int rank) { return in_parts ? protocol_.batch * rank / ranks.ranks() : 0; };
    first_ = begin_of(ranks.rank());
    count_ = in_parts ? begin_of(ranks.rank() + 1) - first_ : protocol_.batch;
    if (statistics == Statistics::synchronized) network_.model.set_across(&ranks);
  }

  Result train(const std::string& word, const std::string& name) {
    Result result{word, name};
    Run& run = result.runs.front();
    run.steps_asked = protocol_.steps;
    using Clock = std::chrono::steady_clock;
    while (run.steps_made < protocol_.steps && !is_stopped(run)) {
      const Clock::time_point begin = Clock::now();
      make_steps(run, std::min(run.steps_made + protocol_.every, protocol_.steps));
      result.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
      if (ranks_.rank() == 0 && !run.divergence) test(result);
    }
    return result;
  }

 private:
  /// All ranks see the same loss, so they end together where it is not finite.
  void make_steps(Run& run, std::int64_t until) {
    for (; run.steps_made < until; ++run.steps_made) {
      const float loss = step();
      if (std::isfinite(loss)) continue;
      run.divergence = {run.steps_made + 1, std::isnan(loss) ? "loss nan" : "loss inf"};
      return;
    }
  }

  void test(Result& result) {
    Run& run = result.runs.front();
    const double accuracy = training::accuracy(network_.model, experiment_.test(), activations_);
    if (accuracy == report::diverged) {
      run.divergence = {run.steps_made, "weights, statistics or outputs not finite"};
      return;
    }
    run.steps.push_back(run.steps_made);
    run.accuracy.push_back(accuracy);
    result.weights.push_back(gathered(network_.model, &bn::Parameter<float>::value));
  }

  /// Returns the loss of the whole batch.
  float step() {
    const auto& images = feed_.next(first_, count_);
    const auto& logits = network_.model.forward(images);
    const float share = static_cast<float>(count_) / static_cast<float>(protocol_.batch);  // of the mean over all
    const float loss = share * nn::softmax_cross_entropy(logits, feed_.labels(), output_gradient_);
    output_gradient_ *= share;
    network_.model.backward(images, output_gradient_);
    const float whole_loss = statistics_ == Statistics::whole ? loss : add_up_gradients(loss);
    sgd_.step(network_.model);
    return whole_loss;
  }

  /// Over the ranks, and the loss, which is returned. Where these normalize together, a layer has the gradients of
  /// gamma and beta of the whole batch already.
  float add_up_gradients(float loss) {
    const auto for_each_part = [&](const auto& visit) {
      network_.model.for_each_parameter([&](bn::Parameter<float> parameter) {
        const std::string_view name = parameter.name;
        const bool is_whole = statistics_ == Statistics::synchronized && (name == "gamma" || name == "beta");
        if (!is_whole) visit(parameter.gradient);
      });
    };
    message_.clear();
    for_each_part(
        [&](auto& gradient) { message_.insert(message_.end(), gradient.data(), gradient.data() + gradient.size()); });
    message_.push_back(loss);
    MPI_Allreduce(MPI_IN_PLACE, message_.data(), static_cast<int>(message_.size()), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
    const float* from = message_.data();
    for_each_part([&](auto& gradient) {
      std::copy_n(from, gradient.size(), gradient.data());
      from += gradient.size();
    });
    return message_.back();
  }

  /// Whether Ctrl-C was pressed or the network has diverged, on any rank if all work.
  bool is_stopped(const Run& run) const {
    double mine = process::interrupted() || run.divergence ? 1 : 0;
    if (statistics_ == Statistics::whole) return mine > 0;
    std::vector<double> all(static_cast<std::size_t>(ranks_.ranks()));
    ranks_.gather(std::span(&mine, 1), all);
    return std::ranges::any_of(all, [](double stopped) { return stopped > 0; });
  }

  const training::Protocol& protocol_;
  const training::Experiment& experiment_;
  const Ranks& ranks_;
  Statistics statistics_;
  networks::Network network_;
  training::Feed feed_;
  nn::Sgd<float> sgd_;
  Eigen::Index first_, count_;  ///< of the samples of each batch
  nn::Matrix<float> output_gradient_;
  std::vector<float> message_;
  nn::Activations<float> activations_;
};

void add_options(process::CommandLine& command_line, Options& options) {
  process::add_common_options(command_line, options.common);
  training::add_length_options(command_line, options.protocol);
  command_line.add_number("--batch", options.protocol.batch, "samples in a batch, of all processes together",
                          process::at_least(2));
  command_line.add_number("--lr", options.protocol.learning_rate.initial, "learning rate", process::positive());
}

/// How far a network's weights are from those of the one on whole batches: largest difference, over the largest weight.
double distance(const Result& result, const Result& whole, std::size_t test) {
  if (test >= result.weights.size() || test >= whole.weights.size()) return report::none;
  return static_cast<double>((result.weights[test] - whole.weights[test]).cwiseAbs().maxCoeff() /
                             whole.weights[test].cwiseAbs().maxCoeff());
}

void print(const std::vector<Result>& results, const Ranks& ranks) {
  const Result& whole = results.front();
  report::Table table({"step", "whole", "synchronized", "apart", "weights, synchr.", "apart"});
  const std::size_t tests = whole.run().steps.size(), shown = std::max<std::size_t>(1, tests / 10);
  for (std::size_t test = 0; test < tests; ++test) {
    if (test > 1 && (test + 1) % shown != 0) continue;
    const std::int64_t step = whole.run().steps[test];
    std::vector<std::string> row{report::grouped(step)};
    for (const Result& result : results) row.push_back(report::fixed(training::accuracy_at(result.run(), step), 4));
    for (std::size_t k = 1; k < results.size(); ++k)
      row.push_back(report::significant(distance(results[k], whole, test), 2));
    table.add(row);
  }
  std::cout << "\nTest accuracy, and how far weights are from those of whole batches*\n"
            << table << "* the largest difference of a weight, over the largest weight\n\n";
  report::Table speeds({"", "processes", "steps a second", "of one"});
  for (const Result& result : results) {
    const int processes = &result == &whole ? 1 : ranks.ranks();
    speeds.add({result.name, std::to_string(processes), report::fixed(result.steps_per_second(), 0),
                report::fixed(result.steps_per_second() / whole.steps_per_second(), 2)});
  }
  std::cout << speeds;
}

void write_summary(const std::filesystem::path& folder, const std::vector<Result>& results, const Ranks& ranks) {
  report::Csv csv(folder / "distributed_summary.csv",
                  {"network", "processes", "step", "accuracy", "weights_distance", "steps_per_second"});
  for (const Result& result : results) {
    const double processes = &result == &results.front() ? 1 : ranks.ranks();
    for (std::size_t test = 0; test < result.run().steps.size(); ++test) {
      csv.add({result.word}, {processes, static_cast<double>(result.run().steps[test]), result.run().accuracy[test],
                              distance(result, results.front(), test), result.steps_per_second()});
    }
  }
  csv.close();
}

std::string in_words(const Ranks& ranks) {
  return std::to_string(ranks.ranks()) + (ranks.ranks() == 1 ? " process" : " processes");
}

void print_divergences(const std::vector<Result>& results) {
  for (const Result& result : results) {
    const auto& divergence = result.run().divergence;
    if (!divergence) continue;
    std::cout << '\n'
              << result.name << ": diverged at step " << report::grouped(divergence->step) << ": " << divergence->reason
              << '\n';
  }
}

/// How far accuracies of synchronized parts are from those of whole batches, at most; empty if they were not compared
/// to the end.
std::string highlight(const std::vector<Result>& results) {
  const Run &whole = results[0].run(), &parts = results[1].run();
  const auto is_whole = [](const Run& run) { return training::is_complete(run) && !run.divergence; };
  if (!is_whole(whole) || !is_whole(parts)) return "";
  double largest = 0;
  for (std::size_t test = 0; test < std::min(whole.steps.size(), parts.steps.size()); ++test) {
    largest = std::max(largest, std::abs(whole.accuracy[test] - parts.accuracy[test]));
  }
  return "synchronized parts are within " + report::fixed(100 * largest, 2) +
         " % of whole batches in every test of the accuracy";
}

/// Until all ranks have come here, asleep: MPI's own waits spin, and would take a core from the rank that still works.
void wait_for_all() {
  MPI_Request request;
  MPI_Ibarrier(MPI_COMM_WORLD, &request);
  for (int are_there = 0; are_there == 0;) {
    MPI_Test(&request, &are_there, MPI_STATUS_IGNORE);
    if (are_there == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

int distributed(const Options& options, const Ranks& ranks) {
  if (options.common.seeds.size() > 1)
    throw std::runtime_error("--seeds: expected one, got " + std::to_string(options.common.seeds.size()));
  if (options.protocol.batch < 2 * ranks.ranks()) {
    throw std::runtime_error("--batch " + std::to_string(options.protocol.batch) +
                             ": expected two samples at least for each of " + in_words(ranks));
  }
  const training::Experiment experiment(options.common, options.protocol,
                                        "Figure 1's network with batch normalization, on " + in_words(ranks) + ", " +
                                            training::described(options.protocol));
  std::vector<Result> results{
      {"whole", "whole batches"}, {"synchronized", "synchronized parts"}, {"apart", "parts apart"}};
  if (ranks.rank() == 0) {
    results[0] = Trainer(options, experiment, ranks, Statistics::whole).train(results[0].word, results[0].name);
  }
  wait_for_all();
  results[1] = Trainer(options, experiment, ranks, Statistics::synchronized).train(results[1].word, results[1].name);
  results[2] = Trainer(options, experiment, ranks, Statistics::apart).train(results[2].word, results[2].name);
  if (ranks.rank() != 0) return process::interrupted() ? process::interrupted_exit_code : 0;

  print_divergences(results);
  training::report_interrupt();
  print(results, ranks);
  std::vector<training::DrawnRuns> drawn;
  for (std::size_t k = 0; k < results.size(); ++k) {
    drawn.push_back({results[k].word, results[k].name, report::look(k, true), &results[k].runs});
  }
  const std::vector<report::Curve> curves =
      training::write_accuracy_curves(options.common.output / "distributed.csv", drawn);
  write_summary(options.common.output, results, ranks);
  const report::Figure figure{
      "distributed",
      "Test accuracy, batches of " + std::to_string(options.protocol.batch) + " on " + in_words(ranks) + "\n" +
          experiment.dataset().description,
      report::axes_over_steps(options.protocol.steps) + report::accuracy_axis(report::accuracy_axis_begin(curves, 0.7)),
      report::plot_of("distributed.csv", curves)};
  return experiment.finish({figure}, {"distributed_summary"}, {"distributed", highlight(results)});
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int code = 0;
  {
    const Ranks ranks;
    if (ranks.rank() != 0) std::cout.setstate(std::ios_base::failbit);  // one of them speaks
    process::CommandLine command_line("Figure 1's network on several processes: mpirun -n 2 distributed.",
                                      "distributed");
    Options options;
    add_options(command_line, options);
    code = command_line.run(argc, argv, [&] { return distributed(options, ranks); });
    // One that fails takes along those that wait for it.
    if (code != 0 && code != process::interrupted_exit_code) MPI_Abort(MPI_COMM_WORLD, code);
  }
  MPI_Finalize();
  return code;
}
