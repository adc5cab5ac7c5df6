#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <functional>
#include <random>

namespace nn {

/// Evenly distributed numbers, the same from every compiler: the standard fixes the bits of its engines, but not those
/// of its distributions.
class Uniform {
 public:
  explicit Uniform(std::uint64_t seed) : engine_(seed) {}

  /// The next number, in [0, 1): a multiple of 2^-53.
  double operator()() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

 private:
  std::mt19937_64 engine_;
};

/// Normally distributed numbers, the same from every compiler.
class Normal {
 public:
  explicit Normal(std::uint64_t seed) : uniform_(seed) {}

  /// The next number: mean 0, standard deviation 1.
  double operator()();

 private:
  Uniform uniform_;
};

/// The standard deviation that a layer's weights begin with, from the number of inputs of one of its units.
using Deviation = std::function<double(Eigen::Index inputs)>;

/// The same for all weights.
Deviation constant_deviation(double deviation);

/// 1 / sqrt(inputs): a sum of inputs of variance 1 has variance 1.
///
/// Source: LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp".
double lecun_deviation(Eigen::Index inputs);

/// sqrt(2 / inputs): the same after ReLU, which halves the mean square.
///
/// Source: He, Zhang, Ren & Sun 2015, "Delving Deep into Rectifiers", equation 10.
double he_deviation(Eigen::Index inputs);

/// Draws every weight of a model from a normal distribution, in the order of its layers; biases, gammas and betas are
/// left alone. Two models with the same weights, one of them with batch normalization, start from the same ones.
template <class Model>
void initialize_weights(Model& model, const Deviation& deviation, std::uint64_t seed) {
  Normal normal(seed);
  model.initialize(normal, deviation);
}

/// The same from N(0, deviation^2).
template <class Model>
void initialize_weights(Model& model, double deviation, std::uint64_t seed) {
  initialize_weights(model, constant_deviation(deviation), seed);
}

}  // namespace nn
