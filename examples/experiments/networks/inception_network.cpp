#include "experiments/networks/inception_network.hpp"

#include "nn/dense.hpp"

namespace networks {

Network make_inception(const InceptionOptions& options) {
  using Stack = nn::ImageStack<float>;
  const nn::Window one{.size = 1}, three{.size = 3}, halving{.size = 3, .stride = 2};

  const auto module = [&](Stack& net, Eigen::Index width, Stack& (Stack::*pool)(const nn::Window&)) {
    net.branches(
        {[&](Stack& branch) { branch.convolution(width, one); },
         [&](Stack& branch) { branch.convolution(width, one).convolution(width, three); },
         [&](Stack& branch) { branch.convolution(width, one).convolution(width, three).convolution(width, three); },
         [&](Stack& branch) { (branch.*pool)(three).convolution(width, one); }});
  };
  const auto halving_module = [&](Stack& net, Eigen::Index width) {
    net.branches(
        {[&](Stack& branch) { branch.convolution(width, one).convolution(width, halving); },
         [&](Stack& branch) { branch.convolution(width, one).convolution(width, three).convolution(width, halving); },
         [&](Stack& branch) { branch.max_pool(halving); }});
  };

  Stack net({options.image, options.image, 1}, options.unit);
  net.convolution(16, three).max_pool(halving);  // 7x7, from images of 14x14
  if (options.local_response_norm) net.local_response_norm({.alpha = 1});
  module(net, 8, &Stack::average_pool);
  halving_module(net, 16);  // 4x4
  nn::Unit last = options.unit;
  last.per_activation = options.per_activation;
  module(net.use(last), 16, &Stack::max_pool);
  net.global_average_pool();
  if (options.dropout > 0) net.dropout(options.dropout, ~options.seed);
  const Eigen::Index features = net.shape().channels;

  Network network{net.take(), {}};
  nn::Normal normal(options.seed);
  network.model.initialize(normal, [&](Eigen::Index inputs) { return options.weights * nn::he_deviation(inputs); });
  network.model.add(nn::Dense<float>(features, 10)).initialize(normal, nn::he_deviation);
  return network;
}

}  // namespace networks
