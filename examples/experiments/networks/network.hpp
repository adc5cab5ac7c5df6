#pragma once

#include <cstddef>
#include <optional>

#include "nn/sequential.hpp"

namespace networks {

/// A network to be trained.
struct Network {
  nn::Sequential<float> model;
  /// The layer whose outputs' percentiles are looked at from time to time, if there is one.
  std::optional<std::size_t> probed_layer;
};

/// Whether there is batch normalization in it.
bool has_batch_norm(Network& network);

}  // namespace networks
