/// \file
/// The public functions against the naive reference, written once for every arrangement of memory. A test file gives a
/// list of Arrangements and instantiates AgainstReference for it.
#pragma once

#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/fold.hpp>
#include <batchnorm/functions/forward.hpp>
#include <utility>
#include <vector>

#include "compare.hpp"
#include "containers.hpp"
#include "reference.hpp"
#include "shapes.hpp"

namespace testing_support {

inline constexpr double epsilon = 1e-3;

/// The shapes for an arrangement, as its tensors are written.
template <class A>
std::vector<Extents<A::rank>> shapes_of() {
  if constexpr (requires { A::Container::extents; }) {
    return {A::Container::extents};
  } else if constexpr (A::rank == 2) {
    auto shapes = matrix_shapes<typename A::Scalar>();
    for (auto& shape : shapes) shape = with_channels_on(A::axis, shape);
    return shapes;
  } else if constexpr (A::rank == 4) {
    auto shapes = image_shapes<typename A::Scalar>();
    for (auto& shape : shapes) shape = with_channels_on(A::axis, shape);
    return shapes;
  } else if constexpr (A::rank == 3) {
    return {with_channels_on<3>(A::axis, {2, 3, 5}), with_channels_on<3>(A::axis, {7, 19, 3})};
  } else {
    return {with_channels_on<5>(A::axis, {2, 3, 5, 1, 7}), with_channels_on<5>(A::axis, {3, 5, 2, 7, 4})};
  }
}

/// One shape filled with data, and what the reference says of them.
template <class A>
struct Problem {
  using Scalar = typename A::Scalar;
  using Layout = typename A::Layout;

  Extents<A::rank> extents;
  Values x_values, dy_values;
  batchnorm::Affine<Scalar> affine;
  batchnorm::RunningStatistics<Scalar> running;
  typename A::Container x, dy, y, dx;

  Problem(const Extents<A::rank>& extents_, Random& random)
      : extents(extents_),
        x_values(rounded_to<Scalar>(random_values(count(), channels(), random))),
        dy_values(rounded_to<Scalar>(normal_values(count(), channels(), random))),
        affine(channels()),
        running(channels()),
        x(extents),
        dy(extents),
        y(extents),
        dx(extents) {
    affine.gamma = random_per_channel(channels(), 0.5, 1.5, random).template cast<Scalar>();
    affine.beta = random_per_channel(channels(), -1, 1, random).template cast<Scalar>();
    running.mean = random_per_channel(channels(), -2, 2, random).template cast<Scalar>();
    running.variance = random_per_channel(channels(), 0.5, 4, random).template cast<Scalar>();
    assign(x_values, x.view(), A::axis);
    assign(dy_values, dy.view(), A::axis);
  }

  Index count() const { return count_of(extents, A::axis); }
  Index channels() const { return extents[std::size_t(A::axis)]; }
  PerChannel gamma() const { return affine.gamma.template cast<Real>(); }
  PerChannel beta() const { return affine.beta.template cast<Real>(); }

  reference::Forward expected_forward() const { return reference::forward(x_values, gamma(), beta(), epsilon); }
  reference::Backward expected_backward(const Values& dz) const {
    return reference::backward(x_values, dz, gamma(), epsilon);
  }
  reference::Forward expected_inference() const {
    return reference::normalise(x_values, gamma(), beta(), running.mean.template cast<Real>(),
                                running.variance.template cast<Real>(), epsilon);
  }
  reference::Backward expected_frozen(const Values& dz) const {
    return reference::frozen_backward(x_values, dz, gamma(), running.mean.template cast<Real>(),
                                      running.variance.template cast<Real>(), epsilon);
  }

  /// The outputs keep to their elements, and the inputs are what they were.
  void expect_the_rest_untouched() {
    EXPECT_TRUE(x.untouched() && dy.untouched() && y.untouched() && dx.untouched());
    EXPECT_TRUE(equal_bits(values_of(x.view(), A::axis), x_values));
    EXPECT_TRUE(equal_bits(values_of(dy.view(), A::axis), dy_values));
  }
};

/// Runs body(problem) for every shape of A, and says which shape failed.
template <class A, class Body>
void for_each_problem(const Body& body) {
  Random random(7);
  for (const auto& extents : shapes_of<A>()) {
    SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents) << ", channels on axis "
                                    << A::axis);
    Problem<A> problem(extents, random);
    body(problem);
    if (testing::Test::HasFailure()) return;
  }
}

template <class A>
class AgainstReference : public testing::Test {};

TYPED_TEST_SUITE_P(AgainstReference);

TYPED_TEST_P(AgainstReference, TrainingForwardAndBackward) {
  using Scalar = typename TypeParam::Scalar;
  using L = typename TypeParam::Layout;
  for_each_problem<TypeParam>([](auto& p) {
    batchnorm::Moments<Scalar> moments;
    batchnorm::train_forward<L>(p.x.view(), p.affine, epsilon, p.y.view(), moments);
    const auto forward = p.expected_forward();
    EXPECT_EQ(moments.count, p.count());
    EXPECT_TRUE(close_sums<Scalar>(moments.mean, forward.mean, p.x_values / Real(p.count())));
    EXPECT_TRUE(close_relative<Scalar>(moments.variance().eval(), forward.variance));
    EXPECT_TRUE(close_forward<Scalar>(values_of(p.y.view(), TypeParam::axis), forward.y));

    batchnorm::Gradients<Scalar> gradients(p.channels());
    batchnorm::train_backward<L>(p.x.view(), p.dy.view(), p.affine, moments, epsilon, p.dx.view(), gradients);
    const auto backward = p.expected_backward(p.dy_values);
    EXPECT_TRUE(close_gradient<Scalar>(values_of(p.dx.view(), TypeParam::axis), backward, forward.inv_std));
    EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, p.dy_values * forward.x_hat));
    EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, p.dy_values));
    p.expect_the_rest_untouched();
  });
}

TYPED_TEST_P(AgainstReference, RunningStatisticsForwardAndBackward) {
  using Scalar = typename TypeParam::Scalar;
  using L = typename TypeParam::Layout;
  for_each_problem<TypeParam>([](auto& p) {
    batchnorm::normalise<L>(p.x.view(), p.affine, p.running, epsilon, p.y.view());
    const auto forward = p.expected_inference();
    EXPECT_TRUE(close_forward<Scalar>(values_of(p.y.view(), TypeParam::axis), forward.y));

    batchnorm::Gradients<Scalar> gradients(p.channels());
    batchnorm::frozen_backward<L>(p.x.view(), p.dy.view(), p.affine, p.running, epsilon, p.dx.view(), gradients);
    const auto backward = p.expected_frozen(p.dy_values);
    EXPECT_TRUE(close_gradient<Scalar>(values_of(p.dx.view(), TypeParam::axis), backward, forward.inv_std));
    EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, p.dy_values * forward.x_hat));
    EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, p.dy_values));
    p.expect_the_rest_untouched();
  });
}

REGISTER_TYPED_TEST_SUITE_P(AgainstReference, TrainingForwardAndBackward, RunningStatisticsForwardAndBackward);

}  // namespace testing_support
