#pragma once

#include <cstdint>

#include "program/network.hpp"

namespace program {

/// Which Inception network to build.
struct InceptionOptions {
  nn::Unit unit = {};
  Eigen::Index image = 14;           ///< rows and columns of the images: 14 or 28
  double dropout = 0;                ///< in front of the classifier
  bool local_response_norm = false;  ///< after the first pool, as before batch normalization was known
  bool per_activation = false;       ///< batch normalization of each place by itself, in the last module
  double weights = 1;                ///< what the convolutions' initial weights are multiplied with
  std::uint64_t seed = 0;
};

/// The paper's Inception network scaled down: 11 layers of weights deep, 22,242 weights and biases
/// without batch normalization.
///
/// Source: Ioffe & Szegedy 2015, appendix; its modules with two 3x3 convolutions for one of 5x5, average pools in the
/// first, and a stride of 2 in between.
inline Network make_inception(const InceptionOptions& options) {
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

}  // namespace program
