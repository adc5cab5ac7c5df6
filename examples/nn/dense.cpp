#include "nn/dense.hpp"

namespace nn {

template <class Scalar>
Dense<Scalar>::Dense(Eigen::Index inputs, Eigen::Index outputs, Bias bias)
    : weight_(Weight::Zero(inputs, outputs)),
      weight_gradient_(Weight::Zero(inputs, outputs)),
      bias_(Row::Zero(bias == Bias::yes ? outputs : 0)),
      bias_gradient_(Row::Zero(bias_.size())) {}

template <class Scalar>
void Dense<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  y.resize(x.rows(), weight_.cols());
  multiply(x, y);
}

template <class Scalar>
void Dense<Scalar>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy,
                             Matrix<Scalar>* dx) {
  add_gradients(x, dy);
  if (!dx) return;
  dx->resizeLike(x);
  multiply_transposed(dy, *dx);
}

template <class Scalar>
void Dense<Scalar>::for_each_parameter(const ParameterVisitor<Scalar>& visit) {
  visit({"weight", {weight_.data(), weight_.size()}, {weight_gradient_.data(), weight_gradient_.size()}, true});
  if (has_bias()) visit({"bias", {bias_.data(), bias_.size()}, {bias_gradient_.data(), bias_gradient_.size()}, false});
}

template <class Scalar>
void Dense<Scalar>::initialize(Normal& normal, const Deviation& deviation) {
  const double size = deviation(weight_.rows());
  for (Scalar& value : weight_.reshaped()) value = static_cast<Scalar>(size * normal());
}

template <class Scalar>
void Dense<Scalar>::multiply(const ConstRows<Scalar>& x, Rows<Scalar> y) const {
  y.noalias() = x * weight_;
  if (has_bias()) y.rowwise() += bias_;
}

template <class Scalar>
void Dense<Scalar>::add_gradients(const ConstRows<Scalar>& x, const ConstRows<Scalar>& dy) {
  weight_gradient_.noalias() += x.transpose() * dy;
  if (has_bias()) bias_gradient_ += dy.colwise().sum();
}

template <class Scalar>
void Dense<Scalar>::multiply_transposed(const ConstRows<Scalar>& dy, Rows<Scalar> dx) const {
  dx.noalias() = dy * weight_.transpose();
}

template class Dense<float>;
template class Dense<double>;

}  // namespace nn
