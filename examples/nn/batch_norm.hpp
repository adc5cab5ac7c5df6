#pragma once

#include <batchnorm/layers/batch_norm.hpp>

#include "nn/layer.hpp"

namespace nn {

/// The library's batch normalization as a layer of a network, with an activation fused to it or without.
///
/// Shapes: x and y [samples, channels]; a pixel of an image is a sample. With `pixels`, the same images are taken as
/// [samples, pixels * channels], and each place has its own statistics, gamma and beta: then options.channels is
/// pixels * channels. For convolutions the paper joins the places (section 3.2); its ensemble has a few layers that
/// don't.
///
/// Activations: identity, bn::relu and bn::sigmoid; for another one, name it at the end of batch_norm.cpp.
template <class Scalar, class Activation = bn::activations::identity>
class BatchNorm final : public Layer<Scalar> {
 public:
  using Norm = bn::BatchNorm<Scalar, bn::samples_in_rows, Activation>;

  explicit BatchNorm(const bn::Options& options, Eigen::Index pixels = 1);

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;
  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override;
  void for_each_statistics(const StatisticsVisitor<Scalar>& visit) override;
  void set_mode(bn::Mode mode) override;
  void set_across(const bn::Reducer* ranks) override;

  /// The library's layer, for its statistics.
  Norm& norm() { return norm_; }

 private:
  /// The pixels of an image as one row: they lie one after the other in memory.
  Eigen::Map<Matrix<Scalar>> joined(Matrix<Scalar>& x) const;
  Eigen::Map<const Matrix<Scalar>> joined(const Matrix<Scalar>& x) const;

  Norm norm_;
  const bn::Reducer* ranks_ = nullptr;
  Eigen::Index pixels_;
  Matrix<Scalar> unused_;
};

extern template class BatchNorm<float>;
extern template class BatchNorm<float, bn::relu>;
extern template class BatchNorm<float, bn::sigmoid>;
extern template class BatchNorm<double>;
extern template class BatchNorm<double, bn::relu>;
extern template class BatchNorm<double, bn::sigmoid>;

}  // namespace nn
