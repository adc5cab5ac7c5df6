#include "experiments/training/evaluation.hpp"

#include <algorithm>
#include <batchnorm/core/population_statistics.hpp>
#include <numeric>

#include "experiments/report/text.hpp"
#include "nn/loss.hpp"

namespace training {

namespace bn = batchnorm;

Samples make_samples(const data::Digits& digits, data::Input input, Eigen::Index count, Eigen::Index piece,
                     const data::Distortion& distortion) {
  Samples samples;
  data::Random random(0, 2);  // training has the streams 0 and 1 of its seed
  samples.count = std::min(count, digits.count());
  std::vector<Eigen::Index> indices;
  for (Eigen::Index first = 0; first < samples.count; first += piece) {
    indices.resize(static_cast<std::size_t>(std::min(piece, samples.count - first)));
    std::iota(indices.begin(), indices.end(), first);
    auto& images = samples.images.emplace_back(static_cast<Eigen::Index>(indices.size()), data::input_pixels(input));
    data::to_float(digits, indices, input, distortion, random, images);
    const auto labels = digits.labels.begin() + first;
    samples.labels.emplace_back(labels, labels + static_cast<std::ptrdiff_t>(indices.size()));
  }
  return samples;
}

double accuracy(nn::Sequential<float>& model, const Samples& samples, nn::Activations<float>& activations) {
  if (!model.is_finite()) return report::diverged;  // the library may refuse to infer with such statistics
  const nn::ModeScope inference(model, bn::Mode::inference);
  Eigen::Index correct = 0;
  for (std::size_t i = 0; i < samples.images.size(); ++i) {
    const nn::Matrix<float>& logits = model.forward(samples.images[i], activations);
    if (!logits.allFinite()) return report::diverged;
    correct += nn::count_correct(logits, samples.labels[i]);
  }
  return static_cast<double>(correct) / static_cast<double>(samples.count);
}

nn::Matrix<float> class_probabilities(nn::Sequential<float>& model, const Samples& samples) {
  const nn::ModeScope inference(model, bn::Mode::inference);
  nn::Activations<float> activations;
  nn::Matrix<float> result;
  Eigen::Index first = 0;
  for (const auto& images : samples.images) {
    const nn::Matrix<float> piece = nn::softmax(model.forward(images, activations));
    if (first == 0) result.resize(samples.count, piece.cols());
    result.middleRows(first, piece.rows()) = piece;
    first += piece.rows();
  }
  return result;
}

double accuracy(const nn::Matrix<float>& probabilities, const Samples& samples) {
  Eigen::Index correct = 0, first = 0;
  for (const auto& labels : samples.labels) {
    const auto count = static_cast<Eigen::Index>(labels.size());
    correct += nn::count_correct<float>(probabilities.middleRows(first, count), labels);
    first += count;
  }
  return static_cast<double>(correct) / static_cast<double>(samples.count);
}

bool use_population_statistics(nn::Sequential<float>& model, int count,
                               const std::function<const nn::Matrix<float>&()>& next) {
  std::vector<bn::PopulationStatistics> populations;
  model.for_each_statistics(
      [&](const bn::Moments&, const bn::RunningStatistics& running) { populations.emplace_back(running.mean.size()); });

  const nn::ModeScope probe(model, bn::Mode::probe);
  nn::Activations<float> activations;
  for (int i = 0; i < count; ++i) {
    model.forward(next(), activations);
    bool finite = true;
    auto population = populations.begin();
    model.for_each_statistics([&](const bn::Moments& moments, bn::RunningStatistics&) {
      finite = finite && moments.mean.allFinite() && moments.m2.allFinite();
      if (finite) population->add(moments);
      ++population;
    });
    if (!finite) return false;
  }
  auto population = populations.begin();
  model.for_each_statistics(
      [&](const bn::Moments&, bn::RunningStatistics& running) { running = (population++)->statistics(); });
  return true;
}

}  // namespace training
