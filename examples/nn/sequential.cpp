#include "nn/sequential.hpp"

#include <algorithm>
#include <cassert>

namespace nn {

template <class Scalar>
const Matrix<Scalar>& Sequential<Scalar>::forward(const Matrix<Scalar>& x, Activations<Scalar>& activations) {
  assert(!layers_.empty());
  activations.resize(layers_.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) layers_[i]->forward(i == 0 ? x : activations[i - 1], activations[i]);
  return activations.back();
}

template <class Scalar>
void Sequential<Scalar>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>& output_gradient, Matrix<Scalar>* dx) {
  gradients_.resize(layers_.size());
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Matrix<Scalar>& input = i == 0 ? x : activations_[i - 1];
    const Matrix<Scalar>& dy = i + 1 == layers_.size() ? output_gradient : gradients_[i + 1];
    layers_[i]->backward(input, activations_[i], dy, i == 0 ? dx : &gradients_[i]);
  }
}

template <class Scalar>
void Sequential<Scalar>::for_each_parameter(const ParameterVisitor<Scalar>& visit) {
  for (auto& layer : layers_) layer->for_each_parameter(visit);
}

template <class Scalar>
void Sequential<Scalar>::for_each_statistics(const StatisticsVisitor<Scalar>& visit) {
  for (auto& layer : layers_) layer->for_each_statistics(visit);
}

template <class Scalar>
void Sequential<Scalar>::for_each_layer(const LayerVisitor<Scalar>& visit, const std::string& place) {
  for (std::size_t i = 0; i < layers_.size(); ++i) layers_[i]->for_each_layer(place + std::to_string(i), visit);
}

template <class Scalar>
bool Sequential<Scalar>::is_finite() {
  return std::ranges::all_of(layers_, [](auto& layer) { return layer->is_finite(); });
}

template <class Scalar>
void Sequential<Scalar>::initialize(Normal& normal, const Deviation& deviation) {
  for (auto& layer : layers_) layer->initialize(normal, deviation);
}

template <class Scalar>
void Sequential<Scalar>::zero_gradients() {
  for_each_parameter([](bn::Parameter<Scalar> parameter) { parameter.gradient.setZero(); });
}

template <class Scalar>
void Sequential<Scalar>::set_mode(bn::Mode mode) {
  mode_ = mode;
  for (auto& layer : layers_) layer->set_mode(mode);
}

template <class Scalar>
void Sequential<Scalar>::set_across(const bn::Reducer* ranks) {
  for (auto& layer : layers_) layer->set_across(ranks);
}

template class Sequential<float>;
template class Sequential<double>;

}  // namespace nn
