#pragma once

#include "nn/layer.hpp"

namespace nn {

/// Whether a dense layer has a bias. In front of batch normalization it is useless: the mean takes it away again.
enum class Bias { yes, no };

/// y = x W + b.
template <class Scalar>
class Dense final : public Layer<Scalar> {
 public:
  /// Weights and biases start at 0: see initialize_weights().
  Dense(Eigen::Index inputs, Eigen::Index outputs, Bias bias = Bias::yes);

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;
  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override;
  void initialize(Normal& normal, const Deviation& deviation) override;

  /// The three products, for a layer that is made of this one, on blocks of matrices: y = x W + b,
  void multiply(const ConstRows<Scalar>& x, Rows<Scalar> y) const;
  /// the gradients of W and b,
  void add_gradients(const ConstRows<Scalar>& x, const ConstRows<Scalar>& dy);
  /// and dx = dy transpose(W).
  void multiply_transposed(const ConstRows<Scalar>& dy, Rows<Scalar> dx) const;

  /// Column-major: see matrix.hpp for why.
  using Weight = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

  /// W, [inputs, outputs].
  const Weight& weight() const { return weight_; }

 private:
  using Row = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;

  bool has_bias() const { return bias_.size() > 0; }

  Weight weight_, weight_gradient_;
  Row bias_, bias_gradient_;
};

extern template class Dense<float>;
extern template class Dense<double>;

}  // namespace nn
