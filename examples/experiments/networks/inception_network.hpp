#pragma once

#include <cstdint>

#include "experiments/networks/network.hpp"
#include "nn/image_stack.hpp"

namespace networks {

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
Network make_inception(const InceptionOptions& options);

}  // namespace networks
