#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>

#include "nn/sequential.hpp"

namespace nn {

/// Normally distributed numbers, the same from every compiler: the standard fixes the bits of its engines, but not
/// those of its distributions.
class Normal {
 public:
  explicit Normal(std::uint64_t seed) : engine_(seed) {}

  /// The next number: mean 0, standard deviation 1.
  double operator()() {
    // Box and Muller's method. There is no sum of products in it that one compiler would fuse and another not.
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  /// In [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

  std::mt19937_64 engine_;
};

/// Draws every weight of a model from N(0, deviation^2), in the order of its layers; biases, gammas and betas are left
/// alone. Two models with the same weights, one of them with batch normalization, start from the same ones.
template <class Scalar>
void initialise_weights(Sequential<Scalar>& model, double deviation, std::uint64_t seed) {
  Normal normal(seed);
  model.for_each_parameter([&](bn::Parameter<Scalar> parameter) {
    if (parameter.name != "weight") return;
    for (Scalar& value : parameter.value) value = static_cast<Scalar>(deviation * normal());
  });
}

}  // namespace nn
