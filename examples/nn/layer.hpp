#pragma once

#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/options.hpp>
#include <batchnorm/core/parameters.hpp>
#include <batchnorm/core/reducer.hpp>
#include <batchnorm/core/running_statistics.hpp>

#include <functional>
#include <string>

#include "nn/matrix.hpp"
#include "nn/random.hpp"

namespace nn {

namespace bn = batchnorm;

/// Called with each parameter: its name, value, gradient, and whether weight decay applies to it.
template <class Scalar>
using ParameterVisitor = std::function<void(bn::Parameter<Scalar>)>;

/// Called with what every layer of batch normalization gathers, whatever activation is fused to it: the moments of the
/// last batch, and the running statistics, which may be assigned.
template <class Scalar>
using StatisticsVisitor = std::function<void(const bn::Moments&, bn::RunningStatistics&)>;

template <class Scalar>
class Layer;

/// Called with each layer and its place in the network: "0", "1", and in branches "2.0.1".
template <class Scalar>
using LayerVisitor = std::function<void(const std::string& place, Layer<Scalar>&)>;

/// One step of a network: it owns its parameters and their gradients, and no activations; the model keeps those.
template <class Scalar>
class Layer {
 public:
  virtual ~Layer() = default;

  /// y = f(x), with x [samples, inputs] and y [samples, outputs]; y is resized.
  virtual void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) = 0;

  /// From dy, the loss's gradient with respect to y: adds to the parameters' gradients, and writes dx unless it is
  /// null, as it is for the first layer of a network. x and y are those of the last forward.
  virtual void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                        Matrix<Scalar>* dx) = 0;

  /// Visits the parameters, always in the same order.
  virtual void for_each_parameter(const ParameterVisitor<Scalar>&) {}

  /// Visits the statistics of batch normalization, always in the same order.
  virtual void for_each_statistics(const StatisticsVisitor<Scalar>&) {}

  /// Visits this layer or, if it is made of others, those.
  virtual void for_each_layer(const std::string& place, const LayerVisitor<Scalar>& visit) { visit(place, *this); }

  /// Whether inference needs more of the layer than its parameters and statistics.
  virtual bool has_other_state() const { return false; }

  /// Whether the parameters and what else inference computes with are all finite.
  virtual bool is_finite();

  /// Draws the weights anew; biases, gammas and betas are left alone.
  virtual void initialize(Normal&, const Deviation&) {}

  /// Tells layers that behave differently in training and inference which it is.
  virtual void set_mode(bn::Mode) {}

  /// Tells layers of batch normalization on which ranks the other parts of their batches are, null: nowhere.
  virtual void set_across(const bn::Reducer*) {}
};

extern template class Layer<float>;
extern template class Layer<double>;

}  // namespace nn
