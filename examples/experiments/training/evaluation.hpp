#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "data/batches.hpp"
#include "data/dataset.hpp"
#include "nn/sequential.hpp"

namespace training {

/// Images as a network takes them, in pieces, so that a pass over all of them needs little memory; read by any number
/// of threads.
struct Samples {
  std::vector<nn::Matrix<float>> images;
  std::vector<std::vector<std::uint8_t>> labels;
  Eigen::Index count = 0;
};

/// The first `count` digits, in pieces of at most `piece`; if they are distorted, the same way in every call.
Samples make_samples(const data::Digits& digits, data::Input input, Eigen::Index count, Eigen::Index piece = 500,
                     const data::Distortion& distortion = {});

/// The part of the samples that the model gets right in inference mode; `diverged` if a parameter, a running statistic
/// or an output is not finite. The model's mode is as before afterwards.
double accuracy(nn::Sequential<float>& model, const Samples& samples, nn::Activations<float>& activations);

/// The probabilities of the classes, [samples.count, classes], as the model sees them in inference mode.
nn::Matrix<float> class_probabilities(nn::Sequential<float>& model, const Samples& samples);

/// The part of the samples whose label has the largest probability, or logit.
double accuracy(const nn::Matrix<float>& probabilities, const Samples& samples);

/// The paper's Algorithm 2 for all layers of a network at once: sets their running statistics to population statistics,
/// the average over `count` batches, of which next() returns one after the other. Parameters are left alone, and the
/// mode is as before afterwards. False if a batch's moments are not finite: then the running statistics are what they
/// were.
bool use_population_statistics(nn::Sequential<float>& model, int count,
                               const std::function<const nn::Matrix<float>&()>& next);

}  // namespace training
