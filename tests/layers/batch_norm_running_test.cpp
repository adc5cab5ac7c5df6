// Running statistics in a layer, in every layout: how accurate they are, and what is refused before anything is
// written.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/hard_data.hpp"
#include "support/kernels.hpp"
#include "support/shapes.hpp"
#include "support/throws.hpp"

namespace testing_support::batch_norm_running_test {

namespace bn = batchnorm;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

/// Rows, planes that are fused, short planes, and planes that are not fused.
template <class A>
std::vector<Extents<A::rank>> shapes() {
  std::vector<Extents<A::rank>> result;
  if constexpr (A::rank == 2) {
    result = {{60, 100}, {7, 3}, {1031, 5}, {3000, 1}};
  } else {
    result = {{8, 5, 7, 7}, {5, 6, 28, 28}, {17, 5, 3, 2}, {2, 3, 97, 89}};
  }
  for (auto& extents : result) extents = with_channels_on(A::axis, extents);
  return result;
}

template <class A>
using LayerOf = bn::BatchNorm<bn::statistics_t<typename A::Scalar>, typename A::Layout>;

template <class A>
class Running : public testing::Test {
 protected:
  using Container = typename A::Container;

  template <class Body>
  static void for_each_shape(const Body& body) {
    for (const auto& extents : shapes<A>()) {
      SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
      body(extents, count_of(extents, A::axis), extents[std::size_t(A::axis)]);
    }
  }
};

using Cases = testing::Types<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>,
                             Arrangement<OwnedMatrix<float, Eigen::ColMajor>, bn::samples_in_rows, 1>,
                             Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_columns, 0>,
                             Arrangement<BlockOfMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>,
                             Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_first, 1>,
                             Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_last, 3>,
                             Arrangement<OwnedTensor<double, 4, Eigen::ColMajor>, bn::channel_first, 1>,
                             Arrangement<OwnedTensor<Eigen::half, 4, Eigen::RowMajor>, bn::channel_first, 1>>;

TYPED_TEST_SUITE(Running, Cases);

// Data whose deviation is a millionth of its mean: a mean kept in float would err by a tenth of that deviation. In 16
// bits the channels are constant.
TYPED_TEST(Running, InferIsAsAccurateAsForwardAfterABatchOfWeightOne) {
  using Element = typename TypeParam::Scalar;
  this->for_each_shape([&](const auto& extents, Index count, Index channels) {
    Random random(31);
    const Values values = rounded_to<Element>(values_about(1e4L, 1e-2L, count, channels, random));
    typename TestFixture::Container x(extents), y(extents), inferred(extents);
    assign(values, x.view(), TypeParam::axis);
    LayerOf<TypeParam> layer(
        {.channels = channels, .averaging = bn::exponential(1), .running_variance = bn::RunningVariance::biased});
    layer.forward(x.view(), y.view());
    layer.infer(x.view(), inferred.view());
    const PerChannel one = PerChannel::Ones(channels), zero = PerChannel::Zero(channels);
    const auto expected = reference::forward(values, one, zero, 1e-5);
    EXPECT_TRUE(close_forward<Element>(values_of(inferred.view(), TypeParam::axis), expected.y, 3e-7L));
    EXPECT_TRUE(equal_bits(inferred.view(), y.view()));
  });
}

TYPED_TEST(Running, ABatchThatIsRefusedLeavesXInPlaceAndTheLayerAsTheyWere) {
  for (const auto source : {bn::StatisticsSource::batch, bn::StatisticsSource::running}) {
    this->for_each_shape([&](const auto& extents, Index count, Index channels) {
      Random random(37);
      Values values = random_values(count, channels, random);
      values(count / 2, channels - 1) = std::numeric_limits<Real>::quiet_NaN();
      typename TestFixture::Container x(extents), as_it_was(extents);
      assign(values, x.view(), TypeParam::axis);
      assign(values, as_it_was.view(), TypeParam::axis);
      LayerOf<TypeParam> layer(
          {.channels = channels, .non_finite = bn::NonFinite::error, .mode = {source, true, true}});
      EXPECT_TRUE(has_parts(message_of([&] { layer.forward(x.view(), x.view()); }), "finite",
                            "channel " + std::to_string(channels - 1), "NonFinite::skip"));
      const Values left = values_of(x.view(), TypeParam::axis), before = values_of(as_it_was.view(), TypeParam::axis);
      EXPECT_TRUE((left == before || (left.isNaN() && before.isNaN())).all());
      EXPECT_TRUE(layer.saved().tensors.extents.empty());
      EXPECT_EQ(layer.running().batches, 0);
      EXPECT_EQ(layer.moments().count, 0);
    });
  }
}

// forward that may refuse reads the moments first, and is not fused.
TYPED_TEST(Running, ForwardThatMayRefuseGivesTheBitsOfTheFusedPass) {
  this->for_each_shape([&](const auto& extents, Index count, Index channels) {
    Random random(41);
    typename TestFixture::Container x(extents), y(extents), fused_y(extents);
    assign(random_values(count, channels, random), x.view(), TypeParam::axis);
    LayerOf<TypeParam> fused({.channels = channels}),
        refusing({.channels = channels, .non_finite = bn::NonFinite::error});
    fused.forward(x.view(), fused_y.view());
    refusing.forward(x.view(), y.view());
    EXPECT_TRUE(equal_bits(y.view(), fused_y.view()));
    refusing.forward(x.view(), x.view());
    EXPECT_TRUE(equal_bits(x.view(), fused_y.view()));
    EXPECT_TRUE(equal_statistics(refusing.moments().mean, fused.moments().mean));
    EXPECT_TRUE(equal_statistics(refusing.moments().m2, fused.moments().m2));
    EXPECT_TRUE(equal_statistics(refusing.saved().statistics.inv_std, fused.saved().statistics.inv_std));
  });
}

TYPED_TEST(Running, StatisticsThatMakeNoSenseAreRefusedByEveryPassThatUsesThem) {
  const auto extents = shapes<TypeParam>().front();
  const Index channels = extents[std::size_t(TypeParam::axis)], channel = channels - 2;
  const std::string named = "in channel " + std::to_string(channel);
  Random random(43);
  typename TestFixture::Container x(extents), y(extents), before(extents);
  assign(random_values(count_of(extents, TypeParam::axis), channels, random), x.view(), TypeParam::axis);
  assign(values_of(x.view(), TypeParam::axis), before.view(), TypeParam::axis);
  const auto refused = [&](const auto& layer) {
    EXPECT_TRUE(has_parts(message_of([&] { layer.infer(x.view(), y.view()); }), "infer: expected running statistics",
                          named, "assign others"));
    for (const bn::Mode mode : {bn::Mode::inference, bn::Mode::frozen,
                                bn::Mode{bn::StatisticsSource::running, true, false}, bn::Mode::training}) {
      auto other = layer;
      other.set_mode(mode);
      EXPECT_TRUE(has_parts(message_of([&] { other.forward(x.view(), x.view()); }),
                            "forward: expected running statistics", named));
      EXPECT_TRUE(other.saved().tensors.extents.empty());
    }
    auto probed = layer;
    probed.set_mode(bn::Mode::probe);
    EXPECT_NO_THROW(probed.forward(x.view(), y.view()));
  };
  for (const double mean : {not_a_number, infinity, -infinity}) {
    LayerOf<TypeParam> layer({.channels = channels});
    layer.running().mean[channel] = mean;
    refused(layer);
  }
  for (const double variance : {-1.1e-5, -1e-300, not_a_number, infinity, -infinity}) {
    LayerOf<TypeParam> layer({.channels = channels});
    layer.running().variance[channel] = variance;
    refused(layer);
  }
  EXPECT_TRUE(equal_bits(x.view(), before.view()));
  LayerOf<TypeParam> zero({.channels = channels});
  zero.running().variance.setZero();
  EXPECT_NO_THROW(zero.infer(x.view(), y.view()));
  zero.running().variance.setConstant(-0.0);
  EXPECT_NO_THROW(zero.infer(x.view(), y.view()));
}

// Neighbors in float lie 2^-10 apart: a mean kept in float would stay at the first of the two, and infer 0 and 1.41.
TEST(RunningOfALayer, FollowTheMeanBetweenTwoNeighboringFloats) {
  using Matrix = Eigen::MatrixXf;
  bn::BatchNorm<float> layer({.channels = 1, .epsilon = 1e-12});
  const Matrix x{{10000.0f}, {10000.0078125f}};
  Matrix y;
  for (int k = 0; k < 1000; ++k) layer.forward(x, y);
  EXPECT_NEAR(layer.running().mean[0], 10000.00390625, 1e-6);
  EXPECT_NEAR(layer.running().variance[0], 3.0517578125e-05, 1e-6 * 3.0517578125e-05);  // 2 * (2^-8)^2
  layer.infer(x, y);
  EXPECT_NEAR(y(0, 0), -0.70710678, 3e-7);
  EXPECT_NEAR(y(1, 0), 0.70710678, 3e-7);
}

TEST(RunningOfALayer, ABatchThatIsRefusedLeavesXAndTheResidualAsTheyWere) {
  bn::BatchNorm<float, bn::samples_in_rows, bn::add_relu> layer({.channels = 2, .non_finite = bn::NonFinite::error});
  Eigen::MatrixXf x{{1, 2}, {3, std::numeric_limits<float>::infinity()}, {5, 6}},
      residual = Eigen::MatrixXf::Ones(3, 2);
  const Eigen::MatrixXf x_before = x, residual_before = residual;
  EXPECT_THROW(layer.forward(x, residual, x), std::invalid_argument);
  EXPECT_THROW(layer.forward(x, residual, residual), std::invalid_argument);
  EXPECT_EQ(x, x_before);
  EXPECT_EQ(residual, residual_before);
}

TEST(RunningOfALayer, NaNThatPropagateLetInIsRefusedWhereItWouldBeUsed) {
  bn::BatchNorm<double> layer({.channels = 2, .non_finite = bn::NonFinite::propagate});
  const Eigen::MatrixXd bad{{1, 2}, {not_a_number, 4}}, good{{1, 2}, {3, 4}};
  Eigen::MatrixXd y;
  layer.forward(bad, y);
  EXPECT_NO_THROW(layer.forward(good, y)) << "training does not normalize with them";
  EXPECT_EQ(layer.running().batches, 2);
  EXPECT_TRUE(has_parts(message_of([&] { layer.infer(good, y); }), "infer: expected running statistics", "got mean ",
                        "nan", "in channel 0", "NonFinite::propagate", "assign others, or gather them anew"));
  bn::recalibrate(layer, std::vector<Eigen::MatrixXd>{good});
  EXPECT_NO_THROW(layer.infer(good, y));
}

}  // namespace testing_support::batch_norm_running_test
