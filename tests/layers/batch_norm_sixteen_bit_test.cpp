// BatchNorm<float> on half and bfloat16 tensors: y and dx are one rounding to the stored type from float's results, and
// everything per channel is float's own.
#include <gtest/gtest.h>

#include <batchnorm/layers/batch_norm.hpp>
#include <cmath>
#include <limits>
#include <type_traits>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/kernels.hpp"
#include "support/shapes.hpp"

namespace bn = batchnorm;

namespace testing_support::batch_norm_sixteen_bit_test {

constexpr double epsilon = 1e-3;

template <class Element>
using Rows = Arrangement<OwnedMatrix<Element, Eigen::RowMajor>, bn::samples_in_rows, 1>;
template <class Element>
using Nchw = Arrangement<OwnedTensor<Element, 4, Eigen::RowMajor>, bn::channel_first, 1>;
template <class Element>
using Nhwc = Arrangement<OwnedTensor<Element, 4, Eigen::RowMajor>, bn::channel_last, 3>;

/// 19 channels, no whole number of packets; planes of 6 values beside 17 samples are walked as rows.
template <class A>
Extents<A::rank> extents() {
  if constexpr (A::rank == 2) {
    return {60, 19};
  } else {
    return with_channels_on<4>(A::axis, {17, 19, 3, 2});
  }
}

template <class A>
class SixteenBitLayer : public testing::Test {};
using Arrangements = testing::Types<Rows<Eigen::half>, Rows<Eigen::bfloat16>, Nchw<Eigen::half>, Nhwc<Eigen::bfloat16>>;
TYPED_TEST_SUITE(SixteenBitLayer, Arrangements);

TYPED_TEST(SixteenBitLayer, IsOneRoundingFromTheReference) {
  using Element = typename TypeParam::Scalar;
  constexpr int axis = TypeParam::axis;
  const auto e = extents<TypeParam>();
  const Index channels = e[std::size_t(axis)], count = count_of(e, axis);
  Random random(31);
  typename TypeParam::Container x(e), dy(e), y(e), dx(e);
  assign(random_values(count, channels, random), x.view(), axis);
  assign(normal_values(count, channels, random), dy.view(), axis);
  const Values x_values = values_of(x.view(), axis), dy_values = values_of(dy.view(), axis);
  bn::BatchNorm<float, typename TypeParam::Layout> layer({.channels = channels, .epsilon = epsilon});
  layer.affine().gamma = random_per_channel(channels, -1.5, 1.5, random).cast<float>();
  layer.affine().beta = random_per_channel(channels, -1, 1, random).cast<float>();
  const PerChannel gamma = layer.affine().gamma.template cast<Real>(), beta = layer.affine().beta.template cast<Real>();

  layer.forward(x.view(), y.view());
  const auto forward = reference::forward(x_values, gamma, beta, epsilon);
  EXPECT_TRUE(close_forward<Element>(values_of(y.view(), axis), forward.y));
  EXPECT_TRUE(close_sums<float>(layer.moments().mean, forward.mean, x_values / Real(count)));
  EXPECT_TRUE(close_relative<float>(layer.moments().variance().eval(), forward.variance));
  // 0.1 of the batch and 0.9 of the start, 0 and 1.
  EXPECT_TRUE(close_sums<float>(layer.running().mean, 0.1L * forward.mean, x_values * (0.1L / Real(count))));
  EXPECT_TRUE(close_relative<float>(layer.running().variance,
                                    0.9L + 0.1L * forward.variance * (Real(count) / Real(count - 1))));

  layer.backward(x.view(), dy.view(), dx.view());
  const auto backward = reference::backward(x_values, dy_values, gamma, epsilon);
  EXPECT_TRUE(close_gradient<Element>(values_of(dx.view(), axis), backward, forward.inv_std));
  EXPECT_TRUE(close_sums<float>(layer.gradients().gamma, backward.dgamma, dy_values * forward.x_hat));
  EXPECT_TRUE(close_sums<float>(layer.gradients().beta, backward.dbeta, dy_values));

  const auto inferred = layer.infer(x.view());
  static_assert(std::is_same_v<std::remove_cv_t<decltype(inferred)>, std::remove_reference_t<decltype(x.view())>>);
  const auto inference = reference::normalize(x_values, gamma, beta, layer.running().mean.template cast<Real>(),
                                              layer.running().variance.template cast<Real>(), epsilon);
  EXPECT_TRUE(close_forward<Element>(values_of(inferred, axis), inference.y));

  // In place, dx on dy first, and then y on x: the same bits.
  layer.backward(x.view(), dy.view(), dy.view());
  EXPECT_TRUE(equal_bits(dy.view(), dx.view()));
  layer.forward(x.view(), x.view());
  EXPECT_TRUE(equal_bits(x.view(), y.view()));
}

TYPED_TEST(SixteenBitLayer, LeavesABatchWithNaNOutOfTheRunningStatistics) {
  using Element = typename TypeParam::Scalar;
  constexpr int axis = TypeParam::axis;
  const auto e = extents<TypeParam>();
  Random random(37);
  typename TypeParam::Container x(e), y(e);
  const Index channels = e[std::size_t(axis)], count = count_of(e, axis);
  Values values = random_values(count, channels, random);
  bn::BatchNorm<float, typename TypeParam::Layout> layer({.channels = channels});
  for (const Real bad : {std::numeric_limits<Real>::quiet_NaN(), std::numeric_limits<Real>::infinity()}) {
    values(count - 1, channels - 1) = bad;
    assign(values, x.view(), axis);
    layer.forward(x.view(), y.view());
    const Values result = values_of(y.view(), axis);
    EXPECT_TRUE(result.col(channels - 1).isNaN().all());
    EXPECT_TRUE(result.leftCols(channels - 1).isFinite().all());
  }
  EXPECT_EQ(layer.running().batches, 0);
  EXPECT_EQ(layer.running().skipped, 2);
  EXPECT_TRUE((layer.running().mean == 0).all() && (layer.running().variance == 1).all());
  static_assert(sizeof(Element) == 2);
}

}  // namespace testing_support::batch_norm_sixteen_bit_test
