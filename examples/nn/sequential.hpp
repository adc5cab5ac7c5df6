#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "nn/layer.hpp"

namespace nn {

/// What each layer of a model made of one input: the last one is the model's output.
template <class Scalar>
using Activations = std::vector<Matrix<Scalar>>;

/// Layers one after the other.
///
///     nn::Sequential<float> model;
///     model.add(nn::Dense<float>(784, 100, nn::Bias::no));
///     model.add(nn::BatchNorm<float>({.channels = 100}));
///     model.add(nn::Sigmoid<float>());
///     model.add(nn::Dense<float>(100, 10));
///
/// Once the buffers have their size, which is after the first step, training allocates nothing, unless a layer is
/// large: Eigen's product of matrices has buffers of its own, which are on the heap where they exceed 128 KB.
template <class Scalar>
class Sequential {
 public:
  /// Appends a layer and returns it where it now lives, for whoever wants to read its statistics later.
  template <class AnyLayer>
  AnyLayer& add(AnyLayer layer) {
    auto owned = std::make_unique<AnyLayer>(std::move(layer));
    AnyLayer& added = *owned;
    layers_.push_back(std::move(owned));
    added.set_mode(mode_);
    return added;
  }

  /// The model's output for x, in the present mode. The activations are kept for backward() and for output().
  const Matrix<Scalar>& forward(const Matrix<Scalar>& x) { return forward(x, activations_); }

  /// The same with the caller's activations: for batches of another size than those of training, which would make the
  /// model's own buffers change size.
  const Matrix<Scalar>& forward(const Matrix<Scalar>& x, Activations<Scalar>& activations);

  /// From the loss's gradient with respect to the output of the last forward(x), adds to the gradients of all
  /// parameters. The gradient with respect to x itself is written to dx, unless that is null.
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& output_gradient, Matrix<Scalar>* dx = nullptr);

  /// The output of one layer in the last forward(x).
  const Matrix<Scalar>& output(std::size_t layer) const { return activations_[layer]; }

  /// The model's output in the last forward(x).
  const Matrix<Scalar>& output() const { return activations_.back(); }

  /// Visits the parameters of all layers, from the first to the last.
  void for_each_parameter(const ParameterVisitor<Scalar>& visit);

  /// Visits the statistics of all layers of batch normalization, from the first to the last.
  void for_each_statistics(const StatisticsVisitor<Scalar>& visit);

  /// Visits all layers, from the first to the last. `place` is where the model is, in a larger one.
  void for_each_layer(const LayerVisitor<Scalar>& visit, const std::string& place = "");

  /// Whether the parameters and running statistics of all layers are finite.
  bool is_finite();

  /// Draws the weights of all layers, from the first to the last: see initialize_weights().
  void initialize(Normal& normal, const Deviation& deviation);

  /// Sets all gradients to 0, as Sgd::step() does.
  void zero_gradients();

  /// The number of layers.
  std::size_t size() const { return layers_.size(); }

  /// Training, to begin with.
  bn::Mode mode() const { return mode_; }

  /// Tells every layer whether this is training, inference, or one of the library's other modes.
  void set_mode(bn::Mode mode);

  /// Tells every layer of batch normalization on which ranks the other parts of the batches are that follow; null:
  /// nowhere, each batch is whole.
  void set_across(const bn::Reducer* ranks);

 private:
  std::vector<std::unique_ptr<Layer<Scalar>>> layers_;
  Activations<Scalar> activations_, gradients_;
  bn::Mode mode_ = bn::Mode::training;
};

extern template class Sequential<float>;
extern template class Sequential<double>;

/// Sets a model's mode for as long as this object lives, and then sets the old one again.
template <class Scalar>
class ModeScope {
 public:
  ModeScope(Sequential<Scalar>& model, bn::Mode mode) : model_(model), before_(model.mode()) { model.set_mode(mode); }
  ~ModeScope() { model_.set_mode(before_); }
  ModeScope(const ModeScope&) = delete;
  ModeScope& operator=(const ModeScope&) = delete;

 private:
  Sequential<Scalar>& model_;
  bn::Mode before_;
};

}  // namespace nn
