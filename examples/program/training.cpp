#include "program/training.hpp"

#include <algorithm>
#include <numeric>
#include <span>
#include <stdexcept>
#include <utility>

#include "program/interrupt.hpp"
#include "program/text.hpp"
#include "program/thread_timer.hpp"

namespace program {

namespace bn = batchnorm;

namespace {

/// How many images a network is trained with.
Eigen::Index count_training_images(const Protocol& protocol, const data::Digits& digits) {
  return protocol.training_images > 0 ? std::min(protocol.training_images, digits.count()) : digits.count();
}

/// Training batches as a network takes them.
class Feed {
 public:
  Feed(const Protocol& protocol, const data::Digits& digits, std::uint64_t seed)
      : digits_(digits),
        input_(protocol.input),
        distortion_(protocol.distortion),
        batches_(count_training_images(protocol, digits), protocol.batch, seed, protocol.order),
        random_(seed, 1),
        images_(protocol.batch, data::input_pixels(protocol.input)) {
    batch_.labels.resize(static_cast<std::size_t>(protocol.batch));
    batch_.pixels.resize(batch_.labels.size() * data::image_pixels);
    numbers_.resize(batch_.labels.size());
    std::iota(numbers_.begin(), numbers_.end(), Eigen::Index{0});
  }

  /// The next batch's images.
  const nn::Matrix<float>& next() {
    auto indices = batches_.next();
    if (indices.size() < numbers_.size()) indices = batches_.next();
    for (std::size_t i = 0; i < indices.size(); ++i)
      batch_.labels[i] = digits_.labels[static_cast<std::size_t>(indices[i])];
    if (distortion_ == data::Distortion{}) {
      data::to_float(digits_, indices, input_, images_);
    } else {
      distort(indices);
      data::to_float(batch_, numbers_, input_, images_);
    }
    return images_;
  }

  /// The labels that go with them.
  nn::Labels labels() const { return batch_.labels; }

 private:
  void distort(std::span<const Eigen::Index> indices) {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const auto* image = &digits_.pixels[static_cast<std::size_t>(indices[i]) * data::image_pixels];
      data::distort(image, distortion_, random_, &batch_.pixels[i * data::image_pixels]);
    }
  }

  const data::Digits& digits_;
  data::Input input_;
  data::Distortion distortion_;
  data::Batches batches_;
  data::Random random_;
  data::Digits batch_;                 ///< the labels, and the pixels where they are distorted
  std::vector<Eigen::Index> numbers_;  ///< 0, 1, ...: all of the batch
  nn::Matrix<float> images_;
};

/// How many batches make population statistics for one of many tests in the course of training; at the end there are
/// more. Ten times as many change the accuracy by .0003.
constexpr int population_batches_under_way = 100;

/// One network being trained.
class Trainer {
 public:
  Trainer(const Protocol& protocol, const data::Dataset& dataset, const Views& views, std::uint64_t seed,
          Network& network)
      : protocol_(protocol),
        views_(views),
        network_(network),
        feed_(protocol, dataset.train, seed),
        population_feed_(protocol, dataset.train, ~seed),
        sgd_(0, static_cast<float>(protocol.weight_decay), static_cast<float>(protocol.momentum)) {
    run_.seed = seed;
  }

  Run train(const std::function<void(std::int64_t, double)>& progress) {
    double accuracy = std::numeric_limits<double>::quiet_NaN();
    timer_.start();
    while (run_.steps_made < protocol_.steps && !interrupted()) {
      step();
      ++run_.steps_made;
      if (is_time_to_test()) {
        timer_.stop();
        test();
        if (is_time_to_probe()) probe();
        accuracy = run_.accuracy.back();
        timer_.start();
      }
      progress(run_.steps_made, accuracy);
    }
    timer_.stop();
    finish();
    return std::move(run_);
  }

 private:
  void step() {
    const auto& images = feed_.next();
    nn::softmax_cross_entropy(network_.model.forward(images), feed_.labels(), output_gradient_);
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
  bool tests_as_it_is() const { return protocol_.statistics == Statistics::running || !has_batch_norm(network_); }

  void test() {
    run_.steps.push_back(run_.steps_made);
    run_.accuracy.push_back(tests_as_it_is() ? program::accuracy(network_.model, views_.test, activations_)
                                             : accuracy_with_population_statistics(population_batches_under_way));
  }

  void probe() {
    const nn::ModeScope probe(network_.model, bn::Mode::probe);
    network_.model.forward(views_.probe, probe_activations_);
    run_.percentiles.steps.push_back(run_.steps_made);
    run_.percentiles.values.push_back(percentiles_of(probe_activations_[*network_.probed_layer]));
  }

  /// The running averages are put back afterwards.
  double accuracy_with_population_statistics(int batches) {
    std::vector<bn::RunningStatistics> kept;
    network_.model.for_each_statistics(
        [&](const bn::Moments&, bn::RunningStatistics& running) { kept.push_back(running); });
    use_population_statistics(network_.model, batches,
                              [&]() -> const nn::Matrix<float>& { return population_feed_.next(); });
    const double result = program::accuracy(network_.model, views_.test, activations_);
    auto before = kept.begin();
    network_.model.for_each_statistics(
        [&](const bn::Moments&, bn::RunningStatistics& running) { running = *before++; });
    return result;
  }

  void finish() {
    if (run_.steps_made == 0) return;
    run_.seconds_per_step = timer_.seconds() / static_cast<double>(run_.steps_made);
    const bool just_tested = !run_.steps.empty() && run_.steps.back() == run_.steps_made && tests_as_it_is();
    run_.running_accuracy =
        just_tested ? run_.accuracy.back() : program::accuracy(network_.model, views_.test, activations_);
    if (protocol_.population_batches > 0 && has_batch_norm(network_))
      run_.population_accuracy = accuracy_with_population_statistics(protocol_.population_batches);
  }

  const Protocol& protocol_;
  const Views& views_;
  Network& network_;
  Feed feed_, population_feed_;
  nn::Sgd<float> sgd_;
  nn::Matrix<float> output_gradient_;
  nn::Activations<float> activations_, probe_activations_;
  ThreadTimer timer_;
  Run run_;
};

}  // namespace

Views make_views(const Protocol& protocol, const data::Dataset& dataset) {
  const Eigen::Index images = count_training_images(protocol, dataset.train);
  if (protocol.batch > images) {
    throw std::runtime_error("--batch " + std::to_string(protocol.batch) + ": there are only " + grouped(images) +
                             " training images");
  }
  if (dataset.test.count() == 0) throw std::runtime_error("there are no test images");
  auto probe = make_samples(dataset.train, protocol.input, protocol.probe, protocol.probe);
  return {make_samples(dataset.test, protocol.input, dataset.test.count()), std::move(probe.images.front())};
}

Run train(const Protocol& protocol, const data::Dataset& dataset, const Views& views, std::uint64_t seed,
          Network& network, const std::function<void(std::int64_t, double)>& progress) {
  return Trainer(protocol, dataset, views, seed, network).train(progress);
}

}  // namespace program
