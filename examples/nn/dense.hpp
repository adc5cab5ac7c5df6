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
  Dense(Eigen::Index inputs, Eigen::Index outputs, Bias bias = Bias::yes)
      : weight_(Weight::Zero(inputs, outputs)),
        weight_gradient_(Weight::Zero(inputs, outputs)),
        bias_(Row::Zero(bias == Bias::yes ? outputs : 0)),
        bias_gradient_(Row::Zero(bias_.size())) {}

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    y.resize(x.rows(), weight_.cols());
    multiply(x, y);
  }

  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    add_gradients(x, dy);
    if (!dx) return;
    dx->resizeLike(x);
    multiply_transposed(dy, *dx);
  }

  void for_each_parameter(const ParameterVisitor<Scalar>& visit) override {
    visit({"weight", {weight_.data(), weight_.size()}, {weight_gradient_.data(), weight_gradient_.size()}, true});
    if (has_bias())
      visit({"bias", {bias_.data(), bias_.size()}, {bias_gradient_.data(), bias_gradient_.size()}, false});
  }

  void initialize(Normal& normal, const Deviation& deviation) override {
    const double size = deviation(weight_.rows());
    for (Scalar& value : weight_.reshaped()) value = static_cast<Scalar>(size * normal());
  }

  /// The three products, for a layer that is made of this one, on blocks of matrices: y = x W + b,
  template <class X, class Y>
  void multiply(const X& x, Y& y) const {
    y.noalias() = x * weight_;
    if (has_bias()) y.rowwise() += bias_;
  }
  /// the gradients of W and b,
  template <class X, class DY>
  void add_gradients(const X& x, const DY& dy) {
    weight_gradient_.noalias() += x.transpose() * dy;
    if (has_bias()) bias_gradient_ += dy.colwise().sum();
  }
  /// and dx = dy transpose(W).
  template <class DY, class DX>
  void multiply_transposed(const DY& dy, DX& dx) const {
    dx.noalias() = dy * weight_.transpose();
  }

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

}  // namespace nn
