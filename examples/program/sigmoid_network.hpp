#pragma once

#include <cstdint>
#include <optional>

#include "program/network.hpp"

namespace program {

/// Which of the network of section 4.1 to build: 784 inputs, three hidden layers of 100 sigmoid units, 10 outputs.
struct SigmoidNetworkOptions {
  bool batch_norm = true;
  /// Of every weight; biases start at 0, gammas at 1, betas at 0. The paper says "small random Gaussian" and no more.
  nn::Deviation deviation = nn::constant_deviation(0.01);
  /// Of the output layer's weights, if it is another one.
  nn::Deviation output_deviation = {};
  std::uint64_t seed = 0;  ///< the weights of all networks of a seed are the same
  /// Whitening in the place of batch normalization; its channels are set to the layers' width.
  std::optional<batchnorm::WhiteningOptions> whitening = {};
};

/// Batch normalization, or whitening, stands in front of each sigmoid, on Wu: the bias it makes useless is left out.
inline Network make_sigmoid_network(const SigmoidNetworkOptions& options) {
  constexpr Eigen::Index inputs = 784, hidden = 100, outputs = 10;
  Network network;
  auto& model = network.model;
  nn::Normal normal(options.seed);
  const bool centered = options.batch_norm || options.whitening;
  for (const Eigen::Index width : {inputs, hidden, hidden}) {
    model.add(nn::Dense<float>(width, hidden, centered ? nn::Bias::no : nn::Bias::yes))
        .initialize(normal, options.deviation);
    if (options.whitening) {
      batchnorm::WhiteningOptions whitening = *options.whitening;
      whitening.channels = hidden;
      model.add(nn::WhiteningNorm<float>(whitening));
    } else if (options.batch_norm) {
      model.add(nn::BatchNorm<float>({.channels = hidden}));
    }
    network.probed_layer = model.size() - 1;  // in the end that of the last hidden layer's sigmoids
    model.add(nn::Sigmoid<float>());
  }
  model.add(nn::Dense<float>(hidden, outputs))
      .initialize(normal, options.output_deviation ? options.output_deviation : options.deviation);
  return network;
}

}  // namespace program
