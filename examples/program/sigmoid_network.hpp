#pragma once

#include <cstdint>
#include <vector>

#include "nn/nn.hpp"

namespace program {

namespace bn = batchnorm;

/// The network of the paper's section 4.1: 784 inputs, three hidden layers of 100 sigmoid units, 10 outputs.
struct SigmoidNetwork {
  nn::Sequential<float> model;
  std::vector<nn::BatchNorm<float>*> norms;  ///< in the order of their layers; none in the network without
  std::size_t last_sigmoid_input;            ///< the layer whose output goes into the last hidden layer's sigmoids
};

/// How to build one.
struct SigmoidNetworkOptions {
  bool batch_norm = true;
  double initial_deviation = 0.01;  ///< of every weight; biases start at 0, gammas at 1, betas at 0
  std::uint64_t seed = 0;           ///< the weights of both networks of a seed are the same
  double epsilon = 1e-5;
  double averaging = 0.1;  ///< how much a new batch weighs in the running statistics
};

/// Batch normalization stands in front of each sigmoid, on Wu: the bias it makes useless is left out.
inline SigmoidNetwork make_sigmoid_network(const SigmoidNetworkOptions& options) {
  constexpr Eigen::Index inputs = 784, hidden = 100, outputs = 10;
  SigmoidNetwork network;
  auto& model = network.model;
  for (const Eigen::Index width : {inputs, hidden, hidden}) {
    model.add(nn::Dense<float>(width, hidden, options.batch_norm ? nn::Bias::no : nn::Bias::yes));
    if (options.batch_norm) {
      network.norms.push_back(&model.add(nn::BatchNorm<float>(
          {.channels = hidden, .epsilon = options.epsilon, .averaging = bn::exponential(options.averaging)})));
    }
    network.last_sigmoid_input = model.size() - 1;
    model.add(nn::Sigmoid<float>());
  }
  model.add(nn::Dense<float>(hidden, outputs));
  nn::initialise_weights(model, options.initial_deviation, options.seed);
  return network;
}

}  // namespace program
