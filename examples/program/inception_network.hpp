#pragma once

#include <cstdint>

#include "program/network.hpp"

namespace program {

/// Which Inception network to build.
struct InceptionOptions {
  nn::Unit unit;
  double dropout = 0;  ///< in front of the classifier
  std::uint64_t seed = 0;
};

/// The paper's Inception network in small, for 14x14 images: 11 layers of weights deep, 22,242 weights and biases
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

  Stack net({14, 14, 1}, options.unit);
  net.convolution(16, three).max_pool(halving);  // 7x7
  module(net, 8, &Stack::average_pool);
  halving_module(net, 16);  // 4x4
  module(net, 16, &Stack::max_pool);
  net.global_average_pool();
  if (options.dropout > 0) net.dropout(options.dropout, ~options.seed);
  net.dense(10);

  Network network{net.take(), {}};
  nn::initialise_weights(network.model, nn::he_deviation, options.seed);
  return network;
}

}  // namespace program
