#pragma once

#include <batchnorm/whitening/options.hpp>
#include <cstdint>
#include <optional>

#include "experiments/networks/network.hpp"

namespace networks {

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
  bool probed = true;  ///< whether percentiles are taken, of the input of the last sigmoids
};

/// Batch normalization, or whitening, stands in front of each sigmoid, on Wu: the bias it makes useless is left out.
Network make_sigmoid_network(const SigmoidNetworkOptions& options);

}  // namespace networks
