#pragma once

#include "nn/layer.hpp"

namespace nn {

/// The library's batch normalization as a layer of a network, with an activation fused to it or without.
///
/// Shapes: x and y [samples, channels]; a pixel of an image is a sample. With `pixels`, the same images are taken as
/// [samples, pixels * channels], and each place has its own statistics, gamma and beta: then options.channels is
/// pixels * channels. For convolutions the paper joins the places (section 3.2); its ensemble has a few layers that don't.
template <class Scalar, class Activation = bn::activations::identity>
class BatchNorm final : public Layer<Scalar> {
 public:
  using Norm = bn::BatchNorm<Scalar, bn::samples_in_rows, Activation>;

  explicit BatchNorm(const bn::Options& options, Eigen::Index pixels = 1) : norm_(options), pixels_(pixels) {}

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    y.resizeLike(x);
    norm_.forward(joined(x), joined(y));
  }

  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    if (!dx) dx = &unused_;
    dx->resizeLike(x);
    norm_.backward(joined(x), joined(dy), joined(*dx));
  }

  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override { norm_.for_each_parameter(visit); }

  void for_each_statistics(const StatisticsVisitor<Scalar>& visit) override { visit(norm_.moments(), norm_.running()); }

  void set_mode(bn::Mode mode) override { norm_.set_mode(mode); }

  /// The library's layer, for its statistics.
  Norm& norm() { return norm_; }

 private:
  /// The pixels of an image as one row: they lie one after the other in memory.
  auto joined(Matrix<Scalar>& x) const {
    return Eigen::Map<Matrix<Scalar>>(x.data(), x.rows() / pixels_, x.cols() * pixels_);
  }
  auto joined(const Matrix<Scalar>& x) const {
    return Eigen::Map<const Matrix<Scalar>>(x.data(), x.rows() / pixels_, x.cols() * pixels_);
  }

  Norm norm_;
  Eigen::Index pixels_;
  Matrix<Scalar> unused_;
};

}  // namespace nn
