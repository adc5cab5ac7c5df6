#include "nn/random.hpp"

#include <cmath>
#include <numbers>

namespace nn {

double Normal::operator()() {
  // Box and Muller's method. There is no sum of products in it that one compiler would fuse and another not.
  const double radius = std::sqrt(-2 * std::log(1 - uniform_()));
  return radius * std::cos(2 * std::numbers::pi * uniform_());
}

Deviation constant_deviation(double deviation) {
  return [deviation](Eigen::Index) { return deviation; };
}

double lecun_deviation(Eigen::Index inputs) { return 1 / std::sqrt(static_cast<double>(inputs)); }

double he_deviation(Eigen::Index inputs) { return std::sqrt(2 / static_cast<double>(inputs)); }

}  // namespace nn
