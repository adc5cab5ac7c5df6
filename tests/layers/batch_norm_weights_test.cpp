// A layer with weights and masks: what flax computes, what all of them 1 give, what is kept, and what is refused.
#define EIGEN_USE_THREADS
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <limits>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/caches.hpp"
#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/golden.hpp"
#include "support/gradient_check.hpp"
#include "support/kernels.hpp"
#include "support/small_batch.hpp"
#include "support/throws.hpp"

namespace bn = batchnorm;

namespace testing_support::batch_norm_weights_test {

using Sequences = Eigen::Tensor<double, 3, Eigen::RowMajor>;
using Layer = bn::BatchNorm<float>;
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Largest difference of what was computed and recorded.
template <class A, class B>
double difference(const A& a, const B& b) {
  using Map = Eigen::Map<const Eigen::ArrayXd>;
  return double(max_abs(Map(a.data(), a.size()) - Map(b.data(), b.size())));
}

TEST(Masks, DoWhatFlaxDoes) {
  const Golden golden("masked");
  const auto x = golden.tensor<Sequences>("x"), dy = golden.tensor<Sequences>("dy");
  // Of another storage order, and as bools.
  const auto recorded_mask = golden.tensor<Eigen::Tensor<double, 2, Eigen::RowMajor>>("mask");
  Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor> mask(4, 5);
  for (Index n = 0; n < 4; ++n) {
    for (Index t = 0; t < 5; ++t) mask(n, t) = recorded_mask(n, t) == 1;
  }
  bn::BatchNorm<double, bn::channel_last> layer(bn::presets::flax(3));
  layer.affine().gamma = golden.per_channel<double>("gamma");
  layer.affine().beta = golden.per_channel<double>("beta");
  Sequences y(x.dimensions()), dx(x.dimensions());
  layer.forward(x, y, {.weights = mask});
  layer.backward(x, dy, dx, {.weights = mask});
  EXPECT_LE(difference(y, golden.tensor<Sequences>("y")), 1e-13);
  EXPECT_LE(difference(dx, golden.tensor<Sequences>("dx")), 1e-13);
  EXPECT_LE(difference(layer.gradients().gamma, golden.per_channel<double>("dgamma")), 1e-13);
  EXPECT_LE(difference(layer.gradients().beta, golden.per_channel<double>("dbeta")), 1e-13);
  // Begun in float there.
  EXPECT_LE(difference(layer.running().mean, golden.per_channel<double>("running_mean")), 3e-8);
  EXPECT_LE(difference(layer.running().variance, golden.per_channel<double>("running_var")), 3e-8);
}

TEST(Masks, LeavePaddingOutOfRunningStatistics) {
  Eigen::MatrixXf x(10, 1), y;
  x << 1, 2, 3, 4, 5, nan, std::numeric_limits<float>::infinity(), 1e30f, -7, 0;
  Eigen::ArrayXi mask(10);
  mask << 1, 1, 1, 1, 1, 0, 0, 0, 0, 0;
  Layer layer({.channels = 1, .averaging = bn::cumulative()});
  layer.forward(x, y, {.weights = mask});
  EXPECT_EQ(layer.moments().count, 5);
  EXPECT_EQ(layer.moments().mean[0], 3);
  EXPECT_EQ(layer.moments().variance()[0], 2);
  EXPECT_EQ(layer.running().mean[0], 3);
  EXPECT_EQ(layer.running().variance[0], 2.5);
  EXPECT_EQ(layer.running().batches, 1);
  // Padding gets what the formula makes of it.
  EXPECT_FLOAT_EQ(y(9, 0), float(-3 / std::sqrt(2 + layer.options().epsilon)));
}

template <class A>
class Ones : public testing::Test {};
using Arrangements = testing::Types<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>,
                                    Arrangement<BlockOfMatrix<float, Eigen::ColMajor>, bn::samples_in_rows, 1>,
                                    Arrangement<OwnedTensor<Eigen::half, 4, Eigen::RowMajor>, bn::channel_first, 1>,
                                    Arrangement<OwnedTensor<double, 4, Eigen::ColMajor>, bn::channel_last, 3>>;
TYPED_TEST_SUITE(Ones, Arrangements);

TYPED_TEST(Ones, GiveTheBitsThatNoWeightsGive) {
  using A = TypeParam;
  using Scalar = bn::statistics_t<typename A::Scalar>;
  Extents<A::rank> extents;
  extents.fill(6);
  extents[0] = 37;
  Random random(11);
  const Index count = count_of(extents, A::axis), channels = extents[std::size_t(A::axis)];
  typename A::Container x(extents), dy(extents), y(extents), other_y(extents), dx(extents), other_dx(extents);
  assign(random_values(count, channels, random), x.view(), A::axis);
  assign(normal_values(count, channels, random), dy.view(), A::axis);
  bn::BatchNorm<Scalar, typename A::Layout> layer({.channels = channels}), other({.channels = channels});
  const Eigen::ArrayXd ones = Eigen::ArrayXd::Ones(A::axis == 0 ? extents[1] : extents[0]);
  layer.forward(x.view(), y.view());
  layer.backward(x.view(), dy.view(), dx.view());
  other.forward(x.view(), other_y.view(), {.weights = ones});
  other.backward(x.view(), dy.view(), other_dx.view(), {.weights = ones});
  EXPECT_TRUE(equal_bits(values_of(y.view(), A::axis), values_of(other_y.view(), A::axis)));
  EXPECT_TRUE(equal_bits(values_of(dx.view(), A::axis), values_of(other_dx.view(), A::axis)));
  EXPECT_TRUE((layer.running().variance == other.running().variance).all());
  EXPECT_TRUE((layer.gradients().gamma == other.gradients().gamma).all());
  // As good as none, so that none may follow.
  other.backward(x.view(), dy.view(), other_dx.view());
  EXPECT_TRUE(equal_bits(values_of(dx.view(), A::axis), values_of(other_dx.view(), A::axis)));
}

TEST(WeightsOfALayer, GoWithHalf) {
  using Images = Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor>;
  Images x(3, 2, 4, 5), y(3, 2, 4, 5), dy(3, 2, 4, 5), dx(3, 2, 4, 5);
  Random random(2);
  assign(random_values(60, 2, random), x, 1);
  assign(normal_values(60, 2, random), dy, 1);
  Eigen::Tensor<float, 3> weights(3, 4, 5);  // column-major
  weights.setRandom();
  bn::BatchNorm<float, bn::channel_first> layer({.channels = 2});
  layer.forward(x, y, {.weights = weights});
  layer.backward(x, dy, dx, {.weights = weights});
  bn::BatchNorm<double, bn::channel_first> in_double({.channels = 2});
  const Eigen::Tensor<double, 4, Eigen::RowMajor> x_in_double = x.cast<double>(), dy_in_double = dy.cast<double>();
  Eigen::Tensor<double, 4, Eigen::RowMajor> y_in_double(x_in_double.dimensions()),
      dx_in_double(x_in_double.dimensions());
  in_double.forward(x_in_double, y_in_double, {.weights = weights});
  in_double.backward(x_in_double, dy_in_double, dx_in_double, {.weights = weights});
  EXPECT_LE(max_abs(layer.moments().mean - in_double.moments().mean), 1e-6);
  EXPECT_LE(max_abs(layer.moments().variance() / in_double.moments().variance() - 1), 1e-6);
  for (Index k = 0; k < x.size(); ++k) {
    EXPECT_NEAR(double(y.data()[k]), y_in_double.data()[k], 1e-3 * std::max(1.0, std::abs(y_in_double.data()[k])));
    EXPECT_NEAR(double(dx.data()[k]), dx_in_double.data()[k], 1e-3 * std::max(1.0, std::abs(dx_in_double.data()[k])));
  }
}

// The gradient through weighted statistics is that of the loss sum over i with w_i > 0 of dy_i y_i, by central
// differences: of this loss both of their errors are below 1e-9.
TEST(WeightsOfALayer, HaveTheGradientOfWhatForwardComputes) {
  Random random(8);
  Eigen::MatrixXd x = random_values(9, 3, random).cast<double>().matrix(), y,
                  dy = normal_values(9, 3, random).cast<double>().matrix(), dx;
  Eigen::ArrayXd weights(9);
  weights << 0.3, 0, 2, 1e-3, 0.7, 0, 1.5, 0.2, 5;
  bn::BatchNorm<double> layer({.channels = 3, .averaging = bn::none()});
  layer.affine().gamma << 0.5, 2, -1;
  const auto loss = [&] {
    layer.forward(x, y, {.weights = weights});
    return ((y.array() * dy.array()).colwise() * (weights > 0).cast<double>()).sum();
  };
  loss();
  layer.backward(x, dy, dx, {.weights = weights});
  EXPECT_TRUE(is_gradient(dx, x, loss, 5e-9L));
  EXPECT_TRUE(is_gradient(layer.gradients().gamma, layer.affine().gamma, loss, 5e-9L));
  EXPECT_TRUE(is_gradient(layer.gradients().beta, layer.affine().beta, loss, 5e-9L));
}

TEST(WeightsOfALayer, GoWithAResidual) {
  const FloatRows residual = some_values(7, 5, 9);
  Eigen::ArrayXf mask(7);
  mask << 1, 0, 1, 1, 0, 1, 1;
  const auto pick = [&](const FloatRows& rows) {
    FloatRows picked(5, 5);
    for (Index i = 0, to = 0; i < 7; ++i) {
      if (mask[i] > 0) picked.row(to++) = rows.row(i);
    }
    return picked;
  };
  auto layer = make_layer<bn::BatchNorm<float, bn::samples_in_rows, bn::add_relu>>(), without = layer;
  FloatRows y, dx, dresidual, expected_y, expected_dx, expected_dresidual;
  layer.forward(x1, residual, y, {.weights = mask});
  layer.backward(x1, residual, dy1, dx, dresidual, {.weights = mask});
  without.forward(pick(x1), pick(residual), expected_y);
  without.backward(pick(x1), pick(residual), pick(dy1), expected_dx, expected_dresidual);
  EXPECT_LE(max_abs(pick(y) - expected_y), 1e-6f);
  EXPECT_LE(max_abs(pick(dx) - expected_dx), 2e-6f);
  EXPECT_TRUE(pick(dresidual) == expected_dresidual);
  EXPECT_TRUE((dx.row(1).array() == 0).all() && (dresidual.row(4).array() == 0).all());
}

TEST(WeightsOfALayer, GoThroughTheOutput) {
  Eigen::ArrayXf weights(7);
  weights << 1, 0, 0.5f, 1, 0, 3, 1;
  auto layer = make_layer<bn::BatchNorm<float, bn::samples_in_rows, bn::leaky_relu>>(), other = layer;
  FloatRows y, dx, from_output;
  layer.forward(x1, y, {.weights = weights});
  layer.backward(x1, dy1, dx, {.weights = weights});
  other.forward(x1, y, {.weights = weights});
  other.backward_from_output(y, dy1, from_output, {.weights = weights});
  // x_hat is recovered within epsilon (1 + |beta / gamma|) / 2, here up to 2.
  EXPECT_LE(max_abs(dx - from_output), 4e-6f * dx.cwiseAbs().maxCoeff());
  EXPECT_LE(max_abs(layer.gradients().gamma - other.gradients().gamma), 4e-6f);
}

TEST(WeightsOfALayer, MaskTheGradientsOfAFrozenOne) {
  Eigen::ArrayXf mask(7);
  mask << 1, 0, 1, 1, 0, 1, 1;
  FloatRows x = x1, dy = dy1, y, dx, expected;
  auto layer = make_layer<Layer>(), other = layer;
  layer.set_mode(bn::Mode::frozen);
  other.set_mode(bn::Mode::frozen);
  other.forward(x, y);
  for (const Index i : {1, 4}) dy.row(i).setZero();
  other.backward(x, dy, expected);
  for (const Index i : {1, 4}) {
    x.row(i).setConstant(nan);
    dy.row(i).setConstant(nan);
  }
  layer.forward(x, y, {.weights = mask});
  layer.backward(x, dy, dx, {.weights = mask});
  EXPECT_TRUE(dx == expected);
  EXPECT_LE(max_abs(layer.gradients().gamma - other.gradients().gamma), 1e-6f);
  EXPECT_TRUE((layer.gradients().beta == other.gradients().beta).all());
  // All of it is padding.
  mask.setZero();
  x.setConstant(nan);
  dy.setConstant(nan);
  const auto before = layer.gradients();
  layer.forward(x, y, {.weights = mask});
  layer.backward(x, dy, dx, {.weights = mask});
  EXPECT_TRUE((dx.array() == 0).all());
  EXPECT_TRUE((layer.gradients().gamma == before.gamma).all() && (layer.gradients().beta == before.beta).all());
}

TEST(WeightsOfALayer, AreThoseOfForward) {
  auto layer = make_layer<Layer>();
  FloatRows y, dx = FloatRows::Constant(7, 5, 8);
  Eigen::ArrayXf weights(7), others(7);
  weights << 1, 0, 1, 1, 0, 1, 1;
  others << 1, 0, 1, 1, 1, 1, 1;
  layer.forward(x1, y, {.weights = weights});
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x1, dy1, dx); }),
                        "backward(weights): expected those of the forward pass, got none; pass them again"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x1, dy1, dx, {.weights = others}); }),
                        "backward(weights): expected those of the forward pass, got others"));
  layer.forward(x1, y);
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x1, dy1, dx, {.weights = others}); }),
                        "backward(weights): expected none, as in the forward pass, got some"));
  EXPECT_TRUE((dx.array() == 8).all());
  EXPECT_TRUE((layer.gradients().gamma == 0).all());
}

TEST(WeightsOfALayer, AreRefusedBeforeAnythingHasChanged) {
  auto layer = make_layer<Layer>();
  FloatRows y = FloatRows::Constant(7, 5, 8);
  const auto refused = [&](const auto& weights, auto... parts) {
    EXPECT_TRUE(
        has_parts(message_of([&] { layer.forward(x1, y, {.weights = weights}); }), "forward(weights)", parts...));
    EXPECT_TRUE((y.array() == 8).all());
    EXPECT_EQ(layer.running().batches + layer.running().skipped, 0);
  };
  const Eigen::ArrayXf ones = Eigen::ArrayXf::Ones(7);
  refused(Eigen::ArrayXf(Eigen::ArrayXf::Ones(6)), "expected one for each of the 7 samples, [7]", "got [6]",
          "x is [7, 5]");
  refused(Eigen::ArrayXXf(Eigen::ArrayXXf::Ones(7, 5)), "got [7, 5]");
  for (const float bad : {-1.0f, nan, std::numeric_limits<float>::infinity()}) {
    Eigen::ArrayXf weights = ones;
    weights[3] = bad;
    refused(weights, "expected finite weights >= 0, got ");
  }
  Eigen::ArrayXd too_large = Eigen::ArrayXd::Constant(7, 1e300);
  refused(too_large, "expected finite weights >= 0, got 1e+300");
  refused(Eigen::ArrayXf(0 * ones), "expected a weight above 0 somewhere, got none");
  refused(Eigen::ArrayXf(ones / 7), "expected at least 2 values per channel to take the variance of, got 1");
}

TEST(WeightsOfALayer, ThatAddUpToOneValueFollowThePolicy) {
  Eigen::ArrayXf one = Eigen::ArrayXf::Zero(7);
  one[2] = 1;
  FloatRows y, inferred;
  Layer zero({.channels = 5, .single_value = bn::SingleValue::zero_variance});
  zero.forward(x1, y, {.weights = one});
  EXPECT_TRUE((y.row(2).array() == 0).all());
  EXPECT_EQ(zero.running().skipped, 1);
  Layer running({.channels = 5, .single_value = bn::SingleValue::running});
  running.forward(x1, y, {.weights = one});
  running.infer(x1, inferred);
  EXPECT_TRUE(equal_bits(y, inferred));
}

TEST(WeightsOfALayer, OfNothingAreNone) {
  using Images = Eigen::Tensor<float, 4, Eigen::RowMajor>;
  const Images x(20, 3, 0, 5);
  Images y(x.dimensions());
  const Eigen::ArrayXf weights = Eigen::ArrayXf::Constant(20, 2);
  bn::Moments moments;
  bn::batch_moments<bn::channel_first>(x, moments, {.weights = weights});
  EXPECT_EQ(moments.count, 0);
  EXPECT_EQ(moments.channels(), 3);
  const bn::Statistics statistics{Eigen::ArrayXd::Zero(3), Eigen::ArrayXd::Ones(3), 8};
  bn::Gradients<float> gradients;
  bn::backward<bn::channel_first>(x, x, bn::AffineParameters<float>(3), statistics, y, gradients, {.weights = weights});
  EXPECT_TRUE((gradients.gamma == 0).all());
  bn::BatchNorm<float, bn::channel_first> layer({.channels = 3});
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(x, y, {.weights = weights}); }), "expected at least 1 value"));
  // Some that are there, but with no weight: sums of nothing, not of NaN.
  const Eigen::MatrixXf rows = Eigen::MatrixXf::Random(4, 3);
  bn::GradientSums sums;
  bn::gradient_sums(rows, rows, bn::AffineParameters<float>(3), statistics, sums,
                    {.weights = Eigen::ArrayXf(Eigen::ArrayXf::Zero(4))});
  EXPECT_TRUE((sums.dy == 0).all() && (sums.dy_x == 0).all());
}

// A gradient that is nearly constant is what is left of it, with weights too.
TEST(WeightsOfALayer, KeepTheDigitsOfANearlyConstantGradient) {
  Random random(4);
  const Eigen::MatrixXf x = random_values(500, 3, random).cast<float>().matrix(),
                        dy = (normal_values(500, 3, random) * 1e-3L + 1000).cast<float>().matrix();
  Eigen::ArrayXf mask(500);
  for (Index i = 0; i < 500; ++i) mask[i] = float(i % 3 != 1);
  Eigen::MatrixXf y, dx;
  Eigen::MatrixXd in_double, dx_in_double;
  for (const float weight : {1.0f, 0.3f}) {
    const Eigen::ArrayXf weights = mask * weight;
    bn::BatchNorm<float> layer({.channels = 3});
    bn::BatchNorm<double> reference({.channels = 3});
    layer.forward(x, y, {.weights = weights});
    layer.backward(x, dy, dx, {.weights = weights});
    reference.forward(Eigen::MatrixXd(x.cast<double>()), in_double, {.weights = weights});
    reference.backward(Eigen::MatrixXd(x.cast<double>()), Eigen::MatrixXd(dy.cast<double>()), dx_in_double,
                       {.weights = weights});
    // Of weight 1 as without weights; else w dy itself is rounded: half an epsilon of 1000.
    const double bound = weight == 1 ? 1e-6 * dx_in_double.cwiseAbs().maxCoeff() : 3e-5 * 4;
    EXPECT_LE(max_abs(dx.cast<double>() - dx_in_double), bound) << weight;
  }
}

using Images = Eigen::Tensor<float, 4, Eigen::RowMajor>;

/// That large passes, which go past the caches, have the bits of those over their inputs, which do not, on one thread.
template <class Layout>
void expect_bits_of_in_place(const std::array<Index, 4>& extents, int channel_axis) {
  Images x(extents), dy(extents), y(extents), dx(extents);
  x.setRandom();
  dy.setRandom();
  std::array<Index, 3> positions;
  for (int axis = 0, to = 0; axis < 4; ++axis) {
    if (axis != channel_axis) positions[std::size_t(to++)] = extents[std::size_t(axis)];
  }
  Eigen::Tensor<float, 3> weights(positions);
  weights.setRandom();
  weights = weights.cwiseMax(0.3f) - 0.3f;
  Eigen::ThreadPool pool(3);
  const Eigen::ThreadPoolDevice device(&pool, 3);
  bn::BatchNorm<float, Layout> threaded({.channels = extents[std::size_t(channel_axis)]}), in_place = threaded;
  threaded.forward(x, y, {.device = device, .weights = weights});
  threaded.backward(x, dy, dx, {.device = device, .weights = weights});
  Images over = x;
  in_place.forward(over, over, {.weights = weights});
  in_place.backward(x, dy, dy, {.weights = weights});
  const std::size_t bytes = sizeof(float) * std::size_t(x.size());
  EXPECT_EQ(std::memcmp(y.data(), over.data(), bytes), 0);
  EXPECT_EQ(std::memcmp(dx.data(), dy.data(), bytes), 0);
  EXPECT_TRUE((threaded.gradients().gamma == in_place.gradients().gamma).all());
}

TEST(WeightsOfALayer, GiveTheSameBitsOnAnyNumberOfThreads) {
  const EarlyStreaming early_streaming;
  expect_bits_of_in_place<bn::channel_first>({16, 24, 60, 60}, 1);
  expect_bits_of_in_place<bn::channel_first>({16, 150, 13, 13}, 1);
  expect_bits_of_in_place<bn::channel_first>({32, 400, 7, 7}, 1);
  expect_bits_of_in_place<bn::channel_first>({40, 1500, 3, 3}, 1);
  expect_bits_of_in_place<bn::channel_last>({8, 20, 20, 250}, 3);
  expect_bits_of_in_place<bn::channel_last>({8, 60, 60, 17}, 3);
}

}  // namespace testing_support::batch_norm_weights_test
