// Eigen with indices of 32 bits, EIGEN_DEFAULT_DENSE_INDEX_TYPE=int: sizes are computed in 64 bits all the same.
#ifndef EIGEN_DEFAULT_DENSE_INDEX_TYPE
#define EIGEN_DEFAULT_DENSE_INDEX_TYPE int
#endif
#include <gtest/gtest.h>

#include <algorithm>
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/whitening/whitening_norm.hpp>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/throws.hpp"

namespace narrow_index_test {

namespace bn = batchnorm;
using testing_support::has_parts;
using testing_support::message_of;

static_assert(sizeof(Eigen::Index) == 4);
static_assert(sizeof(bn::Index) == 8);

/// That y is x about its mean, by its standard deviation, in every column.
void expect_normalized(const Eigen::MatrixXf& x, const Eigen::MatrixXf& y) {
  const Eigen::MatrixXd centered = x.cast<double>().rowwise() - x.cast<double>().colwise().mean();
  const Eigen::ArrayXd variance = centered.array().square().colwise().mean();
  for (int c = 0; c < x.cols(); ++c) {
    const double inv_std = 1 / std::sqrt(variance[c] + 1e-5);
    EXPECT_TRUE(((y.col(c).cast<double>() - centered.col(c) * inv_std).array().abs() < 1e-6).all());
  }
}

template <class Layout, class Activation = bn::activations::identity, class Tensor>
void run(const Tensor& x, bn::Index channels) {
  bn::BatchNorm<bn::statistics_t<bn::detail::scalar_t<Tensor>>, Layout, Activation> layer(
      {.channels = channels, .averaging = bn::exponential(1), .running_variance = bn::RunningVariance::biased});
  Tensor y, dx, inferred;
  layer.forward(x, y);
  layer.backward(x, y, dx);
  layer.infer(x, inferred);
  EXPECT_EQ(dx.size(), x.size());
  EXPECT_EQ(layer.running().batches, 1);
  ASSERT_EQ(inferred.size(), x.size());
  EXPECT_TRUE(std::equal(y.data(), y.data() + y.size(), inferred.data()));
}

TEST(NarrowIndex, LayersRunOnMatrices) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(1000, 37);
  Eigen::MatrixXf y, dx;
  bn::BatchNorm<float> layer({.channels = 37});
  layer.forward(x, y);
  expect_normalized(x, y);
  layer.backward(x, y, dx);
  // Of dy = x_hat the statistics let through no more than epsilon / (variance + epsilon), here 3e-5, times inv_std.
  EXPECT_TRUE((dx.array().abs() < 2e-4f).all());
  run<bn::samples_in_columns, bn::relu>(x, 1000);
  run<bn::samples_in_rows>(Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>::Random(70, 9).eval(),
                           9);
}

TEST(NarrowIndex, LayersRunOnTensors) {
  Eigen::Tensor<float, 4> columns(6, 5, 7, 9);
  Eigen::Tensor<float, 4, Eigen::RowMajor> rows(6, 5, 7, 9);
  columns.setRandom();
  rows.setRandom();
  run<bn::channel_first>(columns, 5);
  run<bn::channel_last>(columns, 9);
  run<bn::channel_first, bn::relu>(rows, 5);
  run<bn::channel_last>(rows, 9);
}

TEST(NarrowIndex, WhiteningAndFoldingRun) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(100, 6);
  Eigen::MatrixXf y, dx, folded, inferred;
  bn::WhiteningNorm<float> whitening({.channels = 6, .groups = 2});
  whitening.forward(x, y);
  whitening.backward(x, y, dx);
  whitening.infer(x, y);
  bn::BatchNorm<float> layer({.channels = 6});
  bn::recalibrate(layer, std::vector<Eigen::MatrixXf>{x, 2 * x});
  layer.infer(x, inferred);
  bn::scale_shift(x, bn::fold(layer.affine(), bn::statistics(layer.running(), 1e-5)), folded);
  EXPECT_TRUE(((folded - inferred).array().abs() < 1e-5f).all());
}

// 2^30 elements, 4 GiB of floats; nothing reads them.
TEST(NarrowIndex, SizesOfLargeTensorsAreRight) {
  float none = 0;
  const Eigen::Map<const Eigen::MatrixXf> x(&none, 1 << 20, 1024);
  const auto view = bn::channel_view<bn::samples_in_rows>(x);
  EXPECT_EQ(view.size(), bn::Index(1) << 30);
  const std::array<bn::ChannelView<const float>, 1> inputs{view};
  EXPECT_EQ(bn::detail::bytes_of(inputs), bn::Index(1) << 32);
  const auto blocks =
      bn::detail::blocks_for(bn::detail::Pass::writes, inputs,
                             std::array{bn::ChannelView<float>{&none, view.outer, view.channels, view.inner,
                                                               view.outer_stride, view.channel_stride}});
  EXPECT_GE(blocks.count(), 1024);
  EXPECT_LE(blocks.count(), 8192);
  const bn::ChannelView<const float> wide{&none, bn::Index(1) << 40, 8, 1, 8, 1};
  EXPECT_EQ(wide.size(), bn::Index(1) << 43);
  bn::detail::visit_spread(
      view, [&](bn::Index p, bn::Index q) { EXPECT_TRUE(0 <= p && p < view.size() && 0 <= q && q < view.size()); });
}

TEST(NarrowIndex, MessagesSayLargeExtents) {
  float none = 0;
  const Eigen::Map<const Eigen::MatrixXf> x(&none, 1 << 20, 1024);
  Eigen::MatrixXf y;
  bn::BatchNorm<float> layer({.channels = 1023});
  EXPECT_TRUE(has_parts(message_of([&] { layer.infer(x, y); }), "expected 1023 channels", "[1048576, 1024]"));
}

}  // namespace narrow_index_test
