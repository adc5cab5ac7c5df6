#include "experiments/networks/network.hpp"

namespace networks {

bool has_batch_norm(Network& network) {
  bool result = false;
  network.model.for_each_statistics([&](const auto&, auto&) { result = true; });
  return result;
}

}  // namespace networks
