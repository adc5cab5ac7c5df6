#pragma once

#include <cstdint>

#include "nn/layer.hpp"

namespace nn {

/// In training: sets each value to 0 with the given probability and divides the others by 1 - probability, so that the
/// mean stays. Otherwise y = x.
///
/// Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", section 10.
template <class Scalar>
class Dropout final : public Layer<Scalar> {
 public:
  Dropout(double probability, std::uint64_t seed);

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;

  /// Active where parameters have gradients, in training and with frozen statistics: not in a look at a batch (probe).
  /// Not for Mode::recompute, whose second forward pass would draw another mask.
  void set_mode(bn::Mode mode) override { active_ = mode.parameter_gradients; }

 private:
  double probability_;
  Uniform uniform_;
  Matrix<Scalar> mask_;
  bool active_ = true;
};

extern template class Dropout<float>;
extern template class Dropout<double>;

}  // namespace nn
