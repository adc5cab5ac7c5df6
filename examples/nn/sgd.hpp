#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "nn/sequential.hpp"

namespace nn {

/// A learning rate that halves every `half_life` steps, continuously: initial * 0.5^(step / half_life). A half-life of
/// 0 stands for a rate that stays.
struct HalvingRate {
  double initial;
  double half_life = 0;

  double operator()(std::int64_t step) const {
    return half_life > 0 ? initial * std::exp2(-static_cast<double>(step) / half_life) : initial;
  }
};

/// Stochastic gradient descent with momentum:
///
///   velocity = momentum * velocity + gradient + weight_decay * value;  value -= learning_rate * velocity
///
/// Weight decay, which is the gradient of an L2 penalty of weight_decay / 2 * value^2, applies only to the parameters
/// that say so. Without momentum there are no velocities.
template <class Scalar>
class Sgd {
 public:
  explicit Sgd(Scalar learning_rate, Scalar weight_decay = 0, Scalar momentum = 0)
      : learning_rate_(learning_rate), weight_decay_(weight_decay), momentum_(momentum) {}

  /// For a schedule: what the next steps go by.
  void set_learning_rate(Scalar learning_rate) { learning_rate_ = learning_rate; }

  /// One step from the model's gradients, which are 0 afterwards, ready for the next backward().
  void step(Sequential<Scalar>& model);

 private:
  using Velocity = Eigen::Array<Scalar, Eigen::Dynamic, 1>;

  Velocity& velocity_of(const bn::Parameter<Scalar>& parameter, std::size_t number);

  Scalar learning_rate_, weight_decay_, momentum_;
  std::vector<Velocity> velocities_;
};

extern template class Sgd<float>;
extern template class Sgd<double>;

}  // namespace nn
