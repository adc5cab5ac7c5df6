#pragma once

#include <vector>

#include "nn/sequential.hpp"

namespace nn {

/// Several models side by side on the same input, their outputs put together by channels: the module of an Inception
/// network.
///
/// Shapes: all branches make images of the same rows and columns.
///
/// Unlike the model around it, it keeps the activations inside its branches itself, those of the last forward.
template <class Scalar>
class Branches final : public Layer<Scalar> {
 public:
  explicit Branches(std::vector<Sequential<Scalar>> branches);

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;
  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override;
  void for_each_statistics(const StatisticsVisitor<Scalar>& visit) override;
  void for_each_layer(const std::string& place, const LayerVisitor<Scalar>& visit) override;
  bool is_finite() override;
  void initialize(Normal& normal, const Deviation& deviation) override;
  void set_mode(bn::Mode mode) override;
  void set_across(const bn::Reducer* ranks) override;

 private:
  std::vector<Sequential<Scalar>> branches_;
  std::vector<Matrix<Scalar>> gradients_;
  Matrix<Scalar> part_;
};

extern template class Branches<float>;
extern template class Branches<double>;

}  // namespace nn
