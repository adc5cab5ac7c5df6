#pragma once

#include <cassert>

#include "nn/layer.hpp"

namespace nn {

/// In training: sets each value to 0 with the given probability and divides the others by 1 - probability, so that the
/// mean stays. Otherwise y = x.
///
/// Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", section 10.
template <class Scalar>
class Dropout final : public Layer<Scalar> {
 public:
  Dropout(double probability, std::uint64_t seed) : probability_(probability), uniform_(seed) {
    assert(probability >= 0 && probability < 1);
  }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    if (!active_) return void(y = x);
    const auto kept = static_cast<Scalar>(1 / (1 - probability_));
    mask_.resizeLike(x);
    for (Scalar& factor : mask_.reshaped()) factor = uniform_() < probability_ ? Scalar(0) : kept;
    y = x.cwiseProduct(mask_);
  }

  void backward(const Matrix<Scalar>&, const Matrix<Scalar>&, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    if (!dx) return;
    if (!active_) return void(*dx = dy);
    *dx = dy.cwiseProduct(mask_);
  }

  /// Active where parameters have gradients, in training and with frozen statistics: not in a look at a batch (probe).
  void set_mode(bn::Mode mode) override { active_ = mode.parameter_gradients; }

 private:
  double probability_;
  Uniform uniform_;
  Matrix<Scalar> mask_;
  bool active_ = true;
};

}  // namespace nn
