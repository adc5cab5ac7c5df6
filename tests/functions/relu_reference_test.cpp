// A fused ReLU against the reference followed by a ReLU.
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/forward.hpp>
#include <limits>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/shapes.hpp"

namespace testing_support {

namespace {

constexpr double epsilon = 1e-3;

}  // namespace

template <class A>
class FusedReLU : public testing::Test {};
using Arrangements = testing::Types<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, batchnorm::samples_in_rows, 1>,
                                    Arrangement<OwnedMatrix<double, Eigen::ColMajor>, batchnorm::samples_in_rows, 1>,
                                    Arrangement<OwnedMatrix<float, Eigen::RowMajor>, batchnorm::samples_in_columns, 0>>;
TYPED_TEST_SUITE(FusedReLU, Arrangements);

TYPED_TEST(FusedReLU, IsTheReferenceThenReLU) {
  using Scalar = typename TypeParam::Scalar;
  using L = typename TypeParam::Layout;
  Random random(13);
  for (const auto& shape : matrix_shapes<Scalar>()) {
    const auto extents = with_channels_on(TypeParam::axis, shape);
    SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
    const Index count = shape[0], channels = shape[1];
    const Values x_values = rounded_to<Scalar>(random_values(count, channels, random));
    const Values dy_values = rounded_to<Scalar>(normal_values(count, channels, random));
    batchnorm::Affine<Scalar> affine(channels);
    affine.gamma = random_per_channel(channels, -1.5, 1.5, random).template cast<Scalar>();
    affine.beta = random_per_channel(channels, -1, 1, random).template cast<Scalar>();
    typename TypeParam::Container x(extents), dy(extents), y(extents), dx(extents);
    assign(x_values, x.view(), TypeParam::axis);
    assign(dy_values, dy.view(), TypeParam::axis);

    const PerChannel gamma = affine.gamma.template cast<Real>(), beta = affine.beta.template cast<Real>();
    const auto forward = reference::forward(x_values, gamma, beta, epsilon);
    batchnorm::Moments<Scalar> moments;
    batchnorm::Gradients<Scalar> gradients;
    batchnorm::train_forward<L>(x.view(), affine, epsilon, y.view(), moments, batchnorm::relu{});
    const Values y_values = values_of(y.view(), TypeParam::axis);
    EXPECT_TRUE(close_forward<Scalar>(y_values, reference::relu(forward.y)));

    // Where y is within rounding of 0 the ReLU may be on or off: what the library's own forward said is what backward
    // must follow.
    const Values dz = reference::through_relu(dy_values, y_values);
    const auto backward = reference::backward(x_values, dz, gamma, epsilon);
    batchnorm::train_backward<L>(x.view(), dy.view(), affine, moments, epsilon, dx.view(), gradients,
                                 batchnorm::relu{});
    // The terms that dx is made of are those of the unmasked dy at most.
    reference::Backward scale = backward;
    scale.dx_hat = dy_values.rowwise() * gamma.transpose();
    EXPECT_TRUE(close_gradient<Scalar>(values_of(dx.view(), TypeParam::axis), scale, forward.inv_std));
    EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, dy_values * forward.x_hat));
    EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, dy_values));

    batchnorm::RunningStatistics<Scalar> running(channels);
    running.mean = random_per_channel(channels, -2, 2, random).template cast<Scalar>();
    running.variance = random_per_channel(channels, 0.5, 4, random).template cast<Scalar>();
    const auto inference = reference::normalise(x_values, gamma, beta, running.mean.template cast<Real>(),
                                                running.variance.template cast<Real>(), epsilon);
    batchnorm::normalise<L>(x.view(), affine, running, epsilon, y.view(), batchnorm::relu{});
    const Values inferred = values_of(y.view(), TypeParam::axis);
    EXPECT_TRUE(close_forward<Scalar>(inferred, reference::relu(inference.y)));
    gradients.zero();
    batchnorm::frozen_backward<L>(x.view(), dy.view(), affine, running, epsilon, dx.view(), gradients,
                                  batchnorm::relu{});
    const auto frozen =
        reference::frozen_backward(x_values, reference::through_relu(dy_values, inferred), gamma,
                                   running.mean.template cast<Real>(), running.variance.template cast<Real>(), epsilon);
    EXPECT_TRUE(close_gradient<Scalar>(values_of(dx.view(), TypeParam::axis), frozen, inference.inv_std));
    EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, frozen.dgamma, dy_values * inference.x_hat));
    if (this->HasFailure()) return;
  }
}

}  // namespace testing_support
