#pragma once

#include "nn/sequential.hpp"

namespace nn {

/// Plain stochastic gradient descent: value -= learning_rate * (gradient + weight_decay * value), where weight decay
/// applies only to the parameters that say so.
template <class Scalar>
class Sgd {
 public:
  explicit Sgd(Scalar learning_rate, Scalar weight_decay = 0)
      : learning_rate_(learning_rate), weight_decay_(weight_decay) {}

  /// One step from the model's gradients, which are 0 afterwards, ready for the next backward().
  void step(Sequential<Scalar>& model) const {
    model.for_each_parameter([this](bn::Parameter<Scalar> parameter) {
      if (parameter.weight_decay && weight_decay_ != 0) parameter.value *= Scalar(1) - learning_rate_ * weight_decay_;
      parameter.value -= learning_rate_ * parameter.gradient;
      parameter.gradient.setZero();
    });
  }

 private:
  Scalar learning_rate_, weight_decay_;
};

}  // namespace nn
