// A layer whose activation takes a residual: against the reference in every mode, by finite differences, with an
// activation of a user's own, and what is refused.
#include <gtest/gtest.h>

#include <batchnorm/layers/batch_norm.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/gradient_check.hpp"
#include "support/kernels.hpp"
#include "support/shapes.hpp"
#include "support/throws.hpp"

namespace bn = batchnorm;

namespace testing_support::batch_norm_residual_test {

constexpr double epsilon = 1e-3;

/// A user's own: y = tanh(z + residual).
struct add_tanh {
  template <class Scalar>
  bn::Packet<Scalar> forward(const bn::Packet<Scalar>& z, const bn::Packet<Scalar>& residual) const {
    return bn::activations::tanh{}.forward(z + residual);
  }
  template <class Scalar>
  bn::Packet<Scalar> backward(const bn::Packet<Scalar>& z, const bn::Packet<Scalar>& residual,
                              const bn::Packet<Scalar>& dy) const {
    return bn::activations::tanh{}.backward(z + residual, dy);
  }
  static std::string name() { return "add_tanh"; }
};

using Rows = Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>;
using Columns = Arrangement<OwnedMatrix<double, Eigen::ColMajor>, bn::samples_in_rows, 1>;
using Nchw = Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_first, 1>;
using Nhwc = Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_last, 3>;

/// Planes of 6 values and 17 samples: short planes, which are walked as rows.
template <class A>
Extents<A::rank> extents() {
  if constexpr (A::rank == 2) {
    return {60, 19};
  } else {
    return with_channels_on<4>(A::axis, {17, 5, 3, 2});
  }
}

template <class A, class Activation>
struct Fixture {
  using Scalar = typename A::Scalar;
  using Layer = bn::BatchNorm<Scalar, typename A::Layout, Activation>;

  Extents<A::rank> e = extents<A>();
  Index channels = e[std::size_t(A::axis)];
  typename A::Container x{e}, residual{e}, dy{e}, y{e}, dx{e}, dresidual{e};
  Layer layer;

  explicit Fixture(bn::Mode mode) : layer({.channels = channels, .epsilon = epsilon, .mode = mode}) {
    Random random(29);
    const Index count = count_of(e, A::axis);
    assign(random_values(count, channels, random), x.view(), A::axis);
    assign(normal_values(count, channels, random), residual.view(), A::axis);
    assign(normal_values(count, channels, random), dy.view(), A::axis);
    layer.affine().gamma = random_per_channel(channels, -1.5, 1.5, random).template cast<Scalar>();
    layer.affine().beta = random_per_channel(channels, -1, 1, random).template cast<Scalar>();
    layer.running().mean = random_per_channel(channels, -2, 2, random).template cast<double>();
    layer.running().variance = random_per_channel(channels, 0.5, 4, random).template cast<double>();
  }
  static Values table(auto& container) { return values_of(container.view(), A::axis); }
  PerChannel gamma() const { return layer.affine().gamma.template cast<Real>(); }
  PerChannel beta() const { return layer.affine().beta.template cast<Real>(); }
  reference::Forward inference(const bn::RunningStatistics& running) {
    return reference::normalize(table(x), gamma(), beta(), running.mean.template cast<Real>(),
                                running.variance.template cast<Real>(), epsilon);
  }
};

template <class A>
class LayerWithResidual : public testing::Test {};
using Arrangements = testing::Types<Rows, Columns, Nchw, Nhwc>;
TYPED_TEST_SUITE(LayerWithResidual, Arrangements);

TYPED_TEST(LayerWithResidual, IsTheReferenceThenTheSumInEveryMode) {
  using Scalar = typename TypeParam::Scalar;
  for (const auto mode : {bn::Mode::training, bn::Mode::inference, bn::Mode::frozen, bn::Mode::probe}) {
    SCOPED_TRACE(testing::Message() << "mode " << mode);
    Fixture<TypeParam, bn::add_relu> f(mode);
    const auto running = f.layer.running();
    const bool of_batch = mode.statistics == bn::StatisticsSource::batch;
    const auto x = f.table(f.x), residual = f.table(f.residual), dy = f.table(f.dy);
    f.layer.forward(f.x.view(), f.residual.view(), f.y.view());
    const auto y = f.table(f.y);
    const auto forward = of_batch ? reference::forward(x, f.gamma(), f.beta(), epsilon) : f.inference(running);
    EXPECT_TRUE(close_add_relu<Scalar>(y, forward.y, residual));

    f.layer.backward(f.x.view(), f.residual.view(), f.dy.view(), f.dx.view(), f.dresidual.view());
    // Within rounding of the kink either side is right, and y says which one forward took.
    const Values dz = (y > 0).select(dy, Values::Zero(dy.rows(), dy.cols()));
    EXPECT_TRUE(equal_bits(f.table(f.dresidual), dz));
    const auto backward = of_batch ? reference::backward(x, dz, f.gamma(), epsilon)
                                   : reference::frozen_backward(x, dz, f.gamma(), running.mean.template cast<Real>(),
                                                                running.variance.template cast<Real>(), epsilon);
    EXPECT_TRUE(close_gradient<Scalar>(f.table(f.dx), backward, forward.inv_std));
    if (mode.parameter_gradients) {
      EXPECT_TRUE(close_sums<Scalar>(f.layer.gradients().gamma, backward.dgamma, dz * forward.x_hat));
      EXPECT_TRUE(close_sums<Scalar>(f.layer.gradients().beta, backward.dbeta, dz));
    } else {
      EXPECT_TRUE((f.layer.gradients().gamma == 0).all() && (f.layer.gradients().beta == 0).all());
    }
    EXPECT_EQ(f.layer.running().batches, mode.update_running ? 1 : 0);

    const auto inferred = f.inference(f.layer.running());
    f.layer.infer(f.x.view(), f.residual.view(), f.y.view());
    EXPECT_TRUE(close_add_relu<Scalar>(f.table(f.y), inferred.y, residual));
  }
}

// y on x or on the residual; dx on x with dresidual on dy, and dx on dy with dresidual on the residual.
TYPED_TEST(LayerWithResidual, GivesTheSameBitsInPlace) {
  Fixture<TypeParam, bn::add_relu> f(bn::Mode::training);
  const auto start = f.layer;
  f.layer.forward(f.x.view(), f.residual.view(), f.y.view());
  f.layer.backward(f.x.view(), f.residual.view(), f.dy.view(), f.dx.view(), f.dresidual.view());
  auto layer = start;
  auto x = f.x, residual = f.residual, dy = f.dy;
  layer.forward(x.view(), residual.view(), x.view());
  EXPECT_TRUE(equal_bits(x.view(), f.y.view()));
  layer.forward(f.x.view(), residual.view(), residual.view());
  EXPECT_TRUE(equal_bits(residual.view(), f.y.view()));
  x = f.x, residual = f.residual;
  layer.backward(x.view(), residual.view(), dy.view(), x.view(), dy.view());
  EXPECT_TRUE(equal_bits(x.view(), f.dx.view()));
  EXPECT_TRUE(equal_bits(dy.view(), f.dresidual.view()));
  dy = f.dy;
  layer.zero_gradients();
  layer.backward(f.x.view(), residual.view(), dy.view(), dy.view(), residual.view());
  EXPECT_TRUE(equal_bits(dy.view(), f.dx.view()));
  EXPECT_TRUE(equal_bits(residual.view(), f.dresidual.view()));
  EXPECT_TRUE(equal_statistics(layer.gradients().gamma, f.layer.gradients().gamma));
  EXPECT_TRUE(equal_statistics(layer.gradients().beta, f.layer.gradients().beta));
}

TEST(LayerWithResidualRefuses, WhatForwardDidNotHave) {
  Fixture<Rows, bn::add_relu> f(bn::Mode::training);
  auto &x = f.x.view(), &residual = f.residual.view(), &dy = f.dy.view(), &dx = f.dx.view();
  auto& dresidual = f.dresidual.view();
  const auto call = [&](auto& r, auto& dr) { return message_of([&] { f.layer.backward(x, r, dy, dx, dr); }); };
  EXPECT_TRUE(has_parts(call(residual, dresidual), "backward(x)", "expected a forward pass before"));
  f.layer.forward(x, residual, f.y.view());
  EXPECT_TRUE(has_parts(call(dy, dresidual), "backward(residual)", "expected the residual of the last forward pass",
                        "other values", "[60, 19] row-major"));
  EXPECT_TRUE(has_parts(call(residual, dx), "backward(dresidual)", "apart from that of dx"));
  const std::remove_reference_t<decltype(x)> shorter = residual.topRows(59);
  EXPECT_TRUE(has_parts(call(shorter, dresidual), "backward(residual)", "the extents of x", "[59, 19]"));
  EXPECT_TRUE(has_parts(message_of([&] { f.layer.forward(x, shorter, f.y.view()); }), "forward(residual)",
                        "the extents of x", "[59, 19]"));
  EXPECT_TRUE(has_parts(message_of([&] { f.layer.infer(x, shorter, f.y.view()); }), "infer(residual)", "[59, 19]"));
  EXPECT_TRUE((dx.array() == guard).all() && (dresidual.array() == guard).all());
  EXPECT_TRUE((f.layer.gradients().gamma == 0).all());
  EXPECT_EQ(f.layer.running().batches, 1);
}

template <class Activation>
void expect_gradients(bn::Mode mode) {
  SCOPED_TRACE(testing::Message() << "mode " << mode << ", " << Activation::name());
  Fixture<Columns, Activation> f(mode);
  const Index rows = 7, channels = 19;
  Eigen::MatrixXd x = f.x.view().topRows(rows), residual = f.residual.view().topRows(rows), y, dx, dresidual;
  const Eigen::MatrixXd cotangent = f.dy.view().topRows(rows);
  const auto start = f.layer;
  auto layer = start;
  layer.forward(x, residual, y);
  if constexpr (std::same_as<Activation, bn::add_relu>) {
    // A kink within reach of the difference step would make the differences meaningless.
    bn::BatchNorm<double> linear({.channels = channels, .epsilon = epsilon, .mode = mode});
    linear.affine() = start.affine();
    linear.running() = start.running();
    Eigen::MatrixXd z;
    linear.forward(x, z);
    ASSERT_GT((z + residual).cwiseAbs().minCoeff(), 1e-3) << "choose another seed";
  }
  layer.backward(x, residual, cotangent, dx, dresidual);
  auto affine = start.affine();
  const auto loss = [&] {
    auto fresh = start;
    fresh.affine() = affine;
    Eigen::MatrixXd result;
    fresh.forward(x, residual, result);
    return projection(result, cotangent);
  };
  EXPECT_TRUE(is_gradient(dx, x, loss)) << "dx";
  EXPECT_TRUE(is_gradient(dresidual, residual, loss)) << "dresidual";
  EXPECT_TRUE(is_gradient(layer.gradients().gamma, affine.gamma, loss)) << "dgamma";
  EXPECT_TRUE(is_gradient(layer.gradients().beta, affine.beta, loss)) << "dbeta";
}

TEST(LayerWithResidualGradient, IsThatOfForward) {
  for (const auto mode : {bn::Mode::training, bn::Mode::frozen}) {
    expect_gradients<bn::add_relu>(mode);
    expect_gradients<add_tanh>(mode);
  }
}

TEST(LayerWithResidualTanh, TakesAnActivationOfTheUsersOwn) {
  Fixture<Rows, add_tanh> f(bn::Mode::training);
  f.layer.forward(f.x.view(), f.residual.view(), f.y.view());
  const auto forward = reference::forward(f.table(f.x), f.gamma(), f.beta(), epsilon);
  const Values z = forward.y, sum = z + f.table(f.residual);
  // tanh passes errors of its argument on by at most 1, and errs itself by 1.2 epsilon of a value below 1.
  const Values expected = sum.unaryExpr([](Real v) { return std::tanh(v); });
  EXPECT_TRUE(compare_detail::compare(f.table(f.y), expected, [&](Index i, Index c) {
    const Real u = Real(std::numeric_limits<float>::epsilon()) / 2;
    return tolerance<float>() * std::max(Real(1), std::abs(z(i, c))) + u * std::abs(sum(i, c)) + 2.4L * u;
  }));
  EXPECT_NE(f.layer.describe().find("add_tanh"), std::string::npos);
}

}  // namespace testing_support::batch_norm_residual_test
