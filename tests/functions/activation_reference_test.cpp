// A fused activation against the reference followed by that activation.
#include <gtest/gtest.h>

#include <cmath>

#include "support/kernels.hpp"
#include "support/problem.hpp"
#include "support/shapes.hpp"

namespace testing_support::activation_reference_test {

// The activations and their derivatives once more, in long double. Where y is within rounding of a kink, z may lie on
// either side of it: what the library's own forward said, y, is what backward must follow.
Real value(batchnorm::relu, Real z) { return z > 0 ? z : 0; }
Real derivative(batchnorm::relu, Real, Real y) { return y > 0 ? 1 : 0; }

Real value(batchnorm::leaky_relu, Real z) { return z > 0 ? z : z / 100; }
Real derivative(batchnorm::leaky_relu, Real, Real y) { return y > 0 ? 1 : 1 / Real(100); }

Real value(batchnorm::sigmoid, Real z) { return 1 / (1 + std::exp(-z)); }
Real derivative(batchnorm::sigmoid, Real z, Real) {
  return value(batchnorm::sigmoid{}, z) * value(batchnorm::sigmoid{}, -z);
}

Real value(batchnorm::activations::tanh, Real z) { return std::tanh(z); }
Real derivative(batchnorm::activations::tanh, Real z, Real) { return 1 / (std::cosh(z) * std::cosh(z)); }

template <class Activation>
Values forward_through(const Activation& activation, const Values& z) {
  return z.unaryExpr([&](Real v) { return value(activation, v); });
}

template <class Activation>
Values backward_through(const Activation& activation, const Values& dy, const Values& z, const Values& y) {
  Values dz = dy;
  for (Index c = 0; c < z.cols(); ++c) {
    for (Index i = 0; i < z.rows(); ++i) dz(i, c) *= derivative(activation, z(i, c), y(i, c));
  }
  return dz;
}

template <class Arrangement_, class Activation_>
struct Case : Arrangement_ {
  using Activation = Activation_;
};

using Rows = Arrangement<OwnedMatrix<float, Eigen::RowMajor>, batchnorm::samples_in_rows, 1>;
using DoublePlanes = Arrangement<OwnedMatrix<double, Eigen::ColMajor>, batchnorm::samples_in_rows, 1>;
using Planes = Arrangement<OwnedMatrix<float, Eigen::RowMajor>, batchnorm::samples_in_columns, 0>;

template <class C>
class FusedActivation : public testing::Test {};
using Cases =
    testing::Types<Case<Rows, batchnorm::relu>, Case<DoublePlanes, batchnorm::relu>, Case<Planes, batchnorm::relu>,
                   Case<Rows, batchnorm::leaky_relu>, Case<DoublePlanes, batchnorm::leaky_relu>,
                   Case<Rows, batchnorm::sigmoid>, Case<DoublePlanes, batchnorm::sigmoid>,
                   Case<Planes, batchnorm::activations::tanh>, Case<DoublePlanes, batchnorm::activations::tanh>>;
TYPED_TEST_SUITE(FusedActivation, Cases);

/// The terms that dx is made of are those of dy itself at most: no derivative is above 1. What z errs by, 4.5 epsilon
/// of max(1, |z|), a curved activation passes on by |f''| <= 0.77 of dy: that too is relative to dy.
template <class C>
testing::AssertionResult close_input_gradient(Problem<C>& p, reference::Backward expected, const PerChannel& inv_std) {
  expected.dx_hat = p.dy_values.rowwise() * p.gamma().transpose();
  return close_gradient<typename C::Scalar>(values_of(p.dx.view(), C::axis), expected, inv_std);
}

template <class C>
void expect_the_reference_in_training(Problem<C>& p) {
  using Scalar = typename C::Scalar;
  using L = typename C::Layout;
  using Activation = typename C::Activation;
  const Activation activation;
  batchnorm::Moments moments;
  batchnorm::train_forward<L, Activation>(p.x.view(), p.affine, epsilon, p.y.view(), moments,
                                          {.activation = activation});
  const auto forward = p.expected_forward();
  const Values y = values_of(p.y.view(), C::axis);
  EXPECT_TRUE(close_forward<Scalar>(y, forward_through(activation, forward.y)));

  batchnorm::Gradients<Scalar> gradients;
  batchnorm::backward<L, Activation>(p.x.view(), p.dy.view(), p.affine, batchnorm::statistics(moments, epsilon),
                                     p.dx.view(), gradients, {.activation = activation});
  const auto backward = p.expected_backward(backward_through(activation, p.dy_values, forward.y, y));
  EXPECT_TRUE(close_input_gradient(p, backward, forward.inv_std));
  EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, p.dy_values * forward.x_hat));
  EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, p.dy_values));
  p.expect_the_rest_untouched();
}

template <class C>
void expect_the_reference_on_constants(Problem<C>& p) {
  using Scalar = typename C::Scalar;
  using L = typename C::Layout;
  using Activation = typename C::Activation;
  const Activation activation;
  const auto statistics = batchnorm::statistics(p.running, epsilon);
  batchnorm::normalize<L, Activation>(p.x.view(), p.affine, statistics, p.y.view(), {.activation = activation});
  const auto forward = p.expected_inference();
  const Values y = values_of(p.y.view(), C::axis);
  EXPECT_TRUE(close_forward<Scalar>(y, forward_through(activation, forward.y)));

  batchnorm::Gradients<Scalar> gradients;
  batchnorm::backward<L, Activation>(p.x.view(), p.dy.view(), p.affine, statistics, p.dx.view(), gradients,
                                     {.activation = activation});
  const auto backward = p.expected_frozen(backward_through(activation, p.dy_values, forward.y, y));
  EXPECT_TRUE(close_input_gradient(p, backward, forward.inv_std));
  EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, p.dy_values * forward.x_hat));
  EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, p.dy_values));
  p.expect_the_rest_untouched();
}

TYPED_TEST(FusedActivation, IsTheReferenceThenTheActivation) {
  using Scalar = typename TypeParam::Scalar;
  Random random(13);
  for (const auto& shape : matrix_shapes<Scalar>()) {
    const auto extents = with_channels_on(TypeParam::axis, shape);
    SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
    Problem<TypeParam> problem(extents, random);
    problem.affine.gamma = random_per_channel(problem.channels(), -1.5, 1.5, random).template cast<Scalar>();
    expect_the_reference_in_training(problem);
    expect_the_reference_on_constants(problem);
    if (this->HasFailure()) return;
  }
}

}  // namespace testing_support::activation_reference_test
