#pragma once

#include <cstddef>
#include <optional>

#include "nn/nn.hpp"

namespace program {

/// A network to be trained.
struct Network {
  nn::Sequential<float> model;
  /// The layer whose outputs' percentiles are looked at from time to time, if there is one.
  std::optional<std::size_t> probed_layer;
};

/// Whether there is batch normalization in it.
inline bool has_batch_norm(Network& network) {
  bool result = false;
  network.model.for_each_statistics([&](const auto&, auto&) { result = true; });
  return result;
}

}  // namespace program
