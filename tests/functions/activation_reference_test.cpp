// A fused activation against the reference followed by that activation.
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/forward.hpp>
#include <cmath>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/kernels.hpp"
#include "support/shapes.hpp"

namespace testing_support::activation_reference_test {

constexpr double epsilon = 1e-3;

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

TYPED_TEST(FusedActivation, IsTheReferenceThenTheActivation) {
  using Scalar = typename TypeParam::Scalar;
  using L = typename TypeParam::Layout;
  const typename TypeParam::Activation activation;
  Random random(13);
  for (const auto& shape : matrix_shapes<Scalar>()) {
    const auto extents = with_channels_on(TypeParam::axis, shape);
    SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
    const Index count = shape[0], channels = shape[1];
    const Values x_values = rounded_to<Scalar>(random_values(count, channels, random));
    const Values dy_values = rounded_to<Scalar>(normal_values(count, channels, random));
    batchnorm::AffineParameters<Scalar> affine(channels);
    affine.gamma = random_per_channel(channels, -1.5, 1.5, random).template cast<Scalar>();
    affine.beta = random_per_channel(channels, -1, 1, random).template cast<Scalar>();
    typename TypeParam::Container x(extents), dy(extents), y(extents), dx(extents);
    assign(x_values, x.view(), TypeParam::axis);
    assign(dy_values, dy.view(), TypeParam::axis);

    const PerChannel gamma = affine.gamma.template cast<Real>(), beta = affine.beta.template cast<Real>();
    const auto forward = reference::forward(x_values, gamma, beta, epsilon);
    batchnorm::Moments moments;
    batchnorm::Gradients<Scalar> gradients;
    batchnorm::train_forward<L, std::remove_cvref_t<decltype(activation)>>(x.view(), affine, epsilon, y.view(), moments,
                                                                           {.activation = activation});
    const Values y_values = values_of(y.view(), TypeParam::axis);
    EXPECT_TRUE(close_forward<Scalar>(y_values, forward_through(activation, forward.y)));

    const Values dz = backward_through(activation, dy_values, forward.y, y_values);
    const auto backward = reference::backward(x_values, dz, gamma, epsilon);
    batchnorm::backward<L, std::remove_cvref_t<decltype(activation)>>(x.view(), dy.view(), affine,
                                                                      batchnorm::statistics(moments, epsilon),
                                                                      dx.view(), gradients, {.activation = activation});
    // The terms that dx is made of are those of dy itself at most: no derivative is above 1. What z errs by, 4.5
    // epsilon of max(1, |z|), a curved activation passes on by |f''| <= 0.77 of dy: that too is relative to dy.
    const Values largest_terms = dy_values.rowwise() * gamma.transpose();
    reference::Backward scale = backward;
    scale.dx_hat = largest_terms;
    EXPECT_TRUE(close_gradient<Scalar>(values_of(dx.view(), TypeParam::axis), scale, forward.inv_std));
    EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, dy_values * forward.x_hat));
    EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, dy_values));

    batchnorm::RunningStatistics running(channels);
    running.mean = random_per_channel(channels, -2, 2, random).template cast<double>();
    running.variance = random_per_channel(channels, 0.5, 4, random).template cast<double>();
    const auto inference = reference::normalize(x_values, gamma, beta, running.mean.template cast<Real>(),
                                                running.variance.template cast<Real>(), epsilon);
    batchnorm::normalize<L, std::remove_cvref_t<decltype(activation)>>(
        x.view(), affine, batchnorm::statistics(running, epsilon), y.view(), {.activation = activation});
    const Values inferred = values_of(y.view(), TypeParam::axis);
    EXPECT_TRUE(close_forward<Scalar>(inferred, forward_through(activation, inference.y)));
    gradients.zero();
    batchnorm::backward<L, std::remove_cvref_t<decltype(activation)>>(x.view(), dy.view(), affine,
                                                                      batchnorm::statistics(running, epsilon),
                                                                      dx.view(), gradients, {.activation = activation});
    const auto frozen =
        reference::frozen_backward(x_values, backward_through(activation, dy_values, inference.y, inferred), gamma,
                                   running.mean.template cast<Real>(), running.variance.template cast<Real>(), epsilon);
    scale = frozen;
    scale.dx_hat = largest_terms;
    EXPECT_TRUE(close_gradient<Scalar>(values_of(dx.view(), TypeParam::axis), scale, inference.inv_std));
    EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, frozen.dgamma, dy_values * inference.x_hat));
    if (this->HasFailure()) return;
  }
}

}  // namespace testing_support::activation_reference_test
