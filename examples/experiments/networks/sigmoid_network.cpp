#include "experiments/networks/sigmoid_network.hpp"

#include "nn/activations.hpp"
#include "nn/batch_norm.hpp"
#include "nn/dense.hpp"
#include "nn/whitening_norm.hpp"

namespace networks {

Network make_sigmoid_network(const SigmoidNetworkOptions& options) {
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
    if (options.probed) network.probed_layer = model.size() - 1;  // in the end that of the last hidden layer's sigmoids
    model.add(nn::Sigmoid<float>());
  }
  model.add(nn::Dense<float>(hidden, outputs))
      .initialize(normal, options.output_deviation ? options.output_deviation : options.deviation);
  return network;
}

}  // namespace networks
