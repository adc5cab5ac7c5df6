/// \file
/// One shape, in one arrangement of memory, filled with data: what the public functions make of it and what the
/// reference does.
#pragma once

#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/forward.hpp>

#include "caches.hpp"
#include "compare.hpp"
#include "containers.hpp"
#include "reference.hpp"

namespace testing_support {

inline constexpr double epsilon = 1e-3;

/// The same tensors are streamed everywhere.
inline const EarlyStreaming early_streaming;

/// One shape filled with data, and what the reference says of them.
template <class A>
struct Problem {
  using Element = typename A::Scalar;
  using Scalar = batchnorm::statistics_t<Element>;
  using Layout = typename A::Layout;

  Extents<A::rank> extents;
  Values x_values, dy_values;
  batchnorm::AffineParameters<Scalar> affine;
  batchnorm::RunningStatistics running;
  typename A::Container x, dy, y, dx;

  Problem(const Extents<A::rank>& extents_, Random& random)
      : extents(extents_),
        x_values(rounded_to<Element>(random_values(count(), channels(), random))),
        dy_values(rounded_to<Element>(normal_values(count(), channels(), random))),
        affine(channels()),
        running(channels()),
        x(extents),
        dy(extents),
        y(extents),
        dx(extents) {
    affine.gamma = random_per_channel(channels(), 0.5, 1.5, random).template cast<Scalar>();
    affine.beta = random_per_channel(channels(), -1, 1, random).template cast<Scalar>();
    running.mean = random_per_channel(channels(), -2, 2, random).template cast<double>();
    running.variance = random_per_channel(channels(), 0.5, 4, random).template cast<double>();
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
    return reference::normalize(x_values, gamma(), beta(), running.mean.template cast<Real>(),
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

/// `allowance` is that of tolerance.hpp, unless a test says why it is another.
template <class A>
void expect_training(Problem<A>& p, Real allowance = tolerance<typename A::Scalar>()) {
  using Element = typename A::Scalar;
  using Scalar = batchnorm::statistics_t<Element>;
  using L = typename A::Layout;
  batchnorm::Moments moments;
  batchnorm::train_forward<L>(p.x.view(), p.affine, epsilon, p.y.view(), moments);
  const auto forward = p.expected_forward();
  EXPECT_EQ(moments.count, p.count());
  EXPECT_TRUE(close_sums<Scalar>(moments.mean, forward.mean, p.x_values / Real(p.count()), allowance));
  EXPECT_TRUE(close_relative<Scalar>(moments.variance().eval(), forward.variance, allowance));
  EXPECT_TRUE(close_forward<Element>(values_of(p.y.view(), A::axis), forward.y, allowance));

  batchnorm::Gradients<Scalar> gradients(p.channels());
  batchnorm::backward<L>(p.x.view(), p.dy.view(), p.affine, batchnorm::statistics(moments, epsilon), p.dx.view(),
                         gradients);
  const auto backward = p.expected_backward(p.dy_values);
  EXPECT_TRUE(close_gradient<Element>(values_of(p.dx.view(), A::axis), backward, forward.inv_std, allowance));
  EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, p.dy_values * forward.x_hat, allowance));
  EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, p.dy_values, allowance));
  p.expect_the_rest_untouched();
}

template <class A>
void expect_running_statistics(Problem<A>& p, Real allowance = tolerance<typename A::Scalar>()) {
  using Element = typename A::Scalar;
  using Scalar = batchnorm::statistics_t<Element>;
  using L = typename A::Layout;
  batchnorm::normalize<L>(p.x.view(), p.affine, batchnorm::statistics(p.running, epsilon), p.y.view());
  const auto forward = p.expected_inference();
  EXPECT_TRUE(close_forward<Element>(values_of(p.y.view(), A::axis), forward.y, allowance));

  batchnorm::Gradients<Scalar> gradients(p.channels());
  batchnorm::backward<L>(p.x.view(), p.dy.view(), p.affine, batchnorm::statistics(p.running, epsilon), p.dx.view(),
                         gradients);
  const auto backward = p.expected_frozen(p.dy_values);
  EXPECT_TRUE(close_gradient<Element>(values_of(p.dx.view(), A::axis), backward, forward.inv_std, allowance));
  EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, p.dy_values * forward.x_hat, allowance));
  EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, p.dy_values, allowance));
  p.expect_the_rest_untouched();
}

}  // namespace testing_support
