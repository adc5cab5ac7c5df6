#include "experiments/training/training.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "experiments/process/interrupt.hpp"
#include "experiments/process/thread_timer.hpp"
#include "experiments/report/text.hpp"
#include "experiments/training/feed.hpp"
#include "nn/loss.hpp"

namespace training {

namespace bn = batchnorm;

namespace {

/// How many batches make population statistics for one of many tests in the course of training; at the end there are
/// more. Ten times as many change the accuracy by .0003.
constexpr int population_batches_under_way = 100;

/// One network being trained.
class Trainer {
 public:
  Trainer(const Protocol& protocol, const data::Dataset& dataset, const Views& views, std::uint64_t seed,
          networks::Network& network)
      : protocol_(protocol),
        views_(views),
        network_(network),
        feed_(protocol, dataset.train, seed),
        population_feed_(protocol, dataset.train, ~seed),
        sgd_(0, static_cast<float>(protocol.weight_decay), static_cast<float>(protocol.momentum)) {
    run_.seed = seed;
    run_.steps_asked = protocol.steps;
  }

  Run train(const std::function<void(std::int64_t, double)>& progress) {
    try {
      make_steps(progress);
      finish();
    } catch (const Divergence& divergence) {
      end(divergence);
    } catch (const std::invalid_argument& refusal) {
      // The library refuses some of what is not finite. Whatever else it refuses is a mistake of the program.
      if (network_.model.is_finite()) throw;
      end({run_.steps_made + 1, refusal.what()});
    }
    const bool only_began = run_.divergence && run_.steps.empty();  // the first steps take longer
    if (run_.steps_made > 0 && !only_began)
      run_.seconds_per_step = timer_.seconds() / static_cast<double>(run_.steps_made);
    return std::move(run_);
  }

 private:
  void make_steps(const std::function<void(std::int64_t, double)>& progress) {
    double accuracy = report::none;
    while (run_.steps_made < protocol_.steps && !process::interrupted()) {
      timer_.start();
      step();
      timer_.stop();
      ++run_.steps_made;
      if (is_time_to_test()) {
        test();
        if (is_time_to_probe()) probe();
        accuracy = run_.accuracy.back();
      }
      progress(run_.steps_made, accuracy);
    }
  }

  void end(const Divergence& divergence) {
    run_.divergence = divergence;
    if (std::isnan(run_.running_accuracy)) run_.running_accuracy = report::diverged;
    if (has_population_statistics() && std::isnan(run_.population_accuracy))
      run_.population_accuracy = report::diverged;
  }

  void step() {
    const auto& images = feed_.next();
    const auto& logits = network_.model.forward(images);
    const float loss = nn::softmax_cross_entropy(logits, feed_.labels(), output_gradient_);
    if (std::isnan(loss)) throw Divergence{run_.steps_made + 1, "loss nan"};
    if (std::isinf(loss)) throw Divergence{run_.steps_made + 1, "loss inf"};
    if (!logits.allFinite()) throw Divergence{run_.steps_made + 1, "outputs not finite"};
    network_.model.backward(images, output_gradient_);
    sgd_.set_learning_rate(static_cast<float>(protocol_.learning_rate(run_.steps_made)));
    sgd_.step(network_.model);
  }

  bool is_time_to_test() const {
    return run_.steps_made % protocol_.every == 0 || run_.steps_made == protocol_.steps ||
           std::ranges::count(milestones, run_.steps_made) > 0;
  }

  /// At equal distances, so that drifts can be compared; a run too short for one such step is looked at when it ends.
  bool is_time_to_probe() const {
    if (!network_.probed_layer) return false;
    return run_.steps_made % protocol_.every == 0 ||
           (run_.steps_made == protocol_.steps && run_.percentiles.steps.empty());
  }

  /// Whether tests on the way take a network with the running averages that it has, if any.
  bool tests_as_it_is() const {
    return protocol_.statistics == Statistics::running || !networks::has_batch_norm(network_);
  }

  bool has_population_statistics() const {
    return protocol_.population_batches > 0 && networks::has_batch_norm(network_);
  }

  void test() {
    const double accuracy =
        tests_as_it_is() ? accuracy_as_it_is() : accuracy_with_population_statistics(population_batches_under_way);
    run_.steps.push_back(run_.steps_made);
    run_.accuracy.push_back(accuracy);
  }

  void probe() {
    const nn::ModeScope probe(network_.model, bn::Mode::probe);
    network_.model.forward(views_.probe, probe_activations_);
    const nn::Matrix<float>& values = probe_activations_[*network_.probed_layer];
    if (!values.allFinite()) throw Divergence{run_.steps_made, "activations not finite"};
    run_.percentiles.steps.push_back(run_.steps_made);
    run_.percentiles.values.push_back(percentiles_of(values));
  }

  /// The accuracy that was measured after the last step made, which must be one.
  double checked(double accuracy) {
    if (accuracy != report::diverged) return accuracy;
    throw Divergence{run_.steps_made,
                     network_.model.is_finite() ? "outputs not finite" : "weights or statistics not finite"};
  }

  double accuracy_as_it_is() { return checked(training::accuracy(network_.model, views_.test, activations_)); }

  /// The running averages are put back afterwards.
  double accuracy_with_population_statistics(int batches) {
    std::vector<bn::RunningStatistics> kept;
    network_.model.for_each_statistics(
        [&](const bn::Moments&, bn::RunningStatistics& running) { kept.push_back(running); });
    const bool replaced = use_population_statistics(
        network_.model, batches, [&]() -> const nn::Matrix<float>& { return population_feed_.next(); });
    const double result = replaced ? training::accuracy(network_.model, views_.test, activations_) : report::diverged;
    auto before = kept.begin();
    network_.model.for_each_statistics(
        [&](const bn::Moments&, bn::RunningStatistics& running) { running = *before++; });
    return checked(result);
  }

  void finish() {
    if (run_.steps_made == 0) return;
    const bool just_tested = !run_.steps.empty() && run_.steps.back() == run_.steps_made && tests_as_it_is();
    run_.running_accuracy = just_tested ? run_.accuracy.back() : accuracy_as_it_is();
    if (has_population_statistics())
      run_.population_accuracy = accuracy_with_population_statistics(protocol_.population_batches);
  }

  const Protocol& protocol_;
  const Views& views_;
  networks::Network& network_;
  Feed feed_, population_feed_;
  nn::Sgd<float> sgd_;
  nn::Matrix<float> output_gradient_;
  nn::Activations<float> activations_, probe_activations_;
  process::ThreadTimer timer_;
  Run run_;
};

}  // namespace

Views make_views(const Protocol& protocol, const data::Dataset& dataset) {
  if (protocol.training_images > dataset.train.count()) {
    throw std::runtime_error("--training-images " + std::to_string(protocol.training_images) + ": there are only " +
                             report::grouped(dataset.train.count()) + " (0: all)");
  }
  const Eigen::Index images = count_training_images(protocol, dataset.train);
  if (protocol.batch > images) {
    throw std::runtime_error("--batch " + std::to_string(protocol.batch) + ": there are only " +
                             report::grouped(images) + " training images");
  }
  if (dataset.test.count() == 0) throw std::runtime_error("there are no test images");
  auto probe = make_samples(dataset.train, protocol.input, protocol.probe, protocol.probe);
  return {make_samples(dataset.test, protocol.input, dataset.test.count(), 500, protocol.test_distortion),
          std::move(probe.images.front())};
}

Run train(const Protocol& protocol, const data::Dataset& dataset, const Views& views, std::uint64_t seed,
          networks::Network& network, const std::function<void(std::int64_t, double)>& progress) {
  return Trainer(protocol, dataset, views, seed, network).train(progress);
}

}  // namespace training
