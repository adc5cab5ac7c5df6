#include "nn/sgd.hpp"

namespace nn {

template <class Scalar>
void Sgd<Scalar>::step(Sequential<Scalar>& model) {
  std::size_t next = 0;
  model.for_each_parameter([this, &next](bn::Parameter<Scalar> parameter) {
    if (parameter.weight_decay && weight_decay_ != 0) parameter.gradient += weight_decay_ * parameter.value;
    if (momentum_ == 0) {
      parameter.value -= learning_rate_ * parameter.gradient;
    } else {
      auto& velocity = velocity_of(parameter, next++);
      velocity = momentum_ * velocity + parameter.gradient;
      parameter.value -= learning_rate_ * velocity;
    }
    parameter.gradient.setZero();
  });
}

template <class Scalar>
auto Sgd<Scalar>::velocity_of(const bn::Parameter<Scalar>& parameter, std::size_t number) -> Velocity& {
  if (number == velocities_.size()) velocities_.push_back(Velocity::Zero(parameter.value.size()));
  return velocities_[number];
}

template class Sgd<float>;
template class Sgd<double>;

}  // namespace nn
