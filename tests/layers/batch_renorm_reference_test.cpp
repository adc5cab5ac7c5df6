// Batch renormalization against the formulas, in several layouts, and against central differences with r and d held.
#include <gtest/gtest.h>

#include <algorithm>
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/layers/batch_renorm.hpp>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/compare.hpp"
#include "support/gradient_check.hpp"
#include "support/kernels.hpp"
#include "support/renorm.hpp"
#include "support/small_batch.hpp"

namespace batch_renorm_reference_test {

namespace bn = batchnorm;
using namespace testing_support;

using Rows = FloatRows;

/// r and d, clipped.
struct Corrections {
  PerChannel r, d;
};

/// By the formulas of the paper, in long double.
Corrections corrections(const reference::Forward& batch, const bn::RunningStatistics& running, Real r_max, Real d_max) {
  const Index channels = batch.mean.size();
  Corrections result{PerChannel(channels), PerChannel(channels)};
  for (Index c = 0; c < channels; ++c) {
    const Real sigma = std::sqrt(Real(running.variance[c]) + 1e-5L);
    result.r[c] = std::min(std::max(std::sqrt(batch.variance[c] + 1e-5L) / sigma, 1 / r_max), r_max);
    result.d[c] = std::min(std::max((batch.mean[c] - Real(running.mean[c])) / sigma, -d_max), d_max);
  }
  return result;
}

/// A batch through a layer and back, against the formulas.
template <class Layout, class Tensor>
void expect_formulas(const Tensor& x, const Tensor& dy, bn::Options options, double r_max, double d_max) {
  using Element = typename Tensor::Scalar;
  using Scalar = bn::statistics_t<Element>;
  constexpr int axis = Layout::template axis<int(bn::detail::rank_of<Tensor>())>();
  options.channels = 5;
  bn::BatchRenorm<Scalar, Layout> layer(options, within(r_max, d_max));
  PerChannel gamma = PerChannel::Ones(5), beta = PerChannel::Zero(5);
  if (options.scale) {
    layer.affine().gamma << 0.5f, 1.0f, 2.0f, -1.0f, 0.75f;
    gamma = layer.affine().gamma.template cast<Real>();
  }
  if (options.shift) {
    layer.affine().beta << 0.25f, -1.0f, 3.0f, 0.0f, 0.5f;
    beta = layer.affine().beta.template cast<Real>();
  }
  set_running(layer);
  const Values all_x = values_of(x, axis), all_dy = values_of(dy, axis);
  const auto batch = reference::forward(all_x, gamma, beta, 1e-5L);
  const auto [r, d] = corrections(batch, layer.running(), r_max, d_max);
  const PerChannel mean = 0.9L * layer.running().mean.template cast<Real>() + 0.1L * batch.mean;

  Tensor y, dx;
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  // d is a difference of two means in units of sigma, of which that of the batch errs as y does.
  EXPECT_TRUE(close_relative<Scalar>(layer.correction().r, r));
  EXPECT_TRUE(close_sums<Scalar>(layer.correction().d, d, 1 + d.abs().transpose()));
  // gamma r and beta + d gamma are rounded to Scalar, as gamma inv_std is: |d gamma| epsilon of y.
  const Real allowance = tolerance<Scalar>() * (1 + (d * gamma).abs().maxCoeff() / 8);
  const auto corrected = reference::normalize(all_x, r * gamma, beta + d * gamma, batch.mean, batch.variance, 1e-5L);
  EXPECT_TRUE(close_forward<Element>(values_of(y, axis), corrected.y, allowance));
  const auto back = reference::backward(all_x, all_dy, r * gamma, 1e-5L);
  EXPECT_TRUE(close_gradient<Element>(values_of(dx, axis), back, batch.inv_std));
  const Values terms = all_dy * (batch.x_hat.rowwise() * r.transpose() + d.transpose().replicate(all_x.rows(), 1));
  ASSERT_EQ(layer.gradients().gamma.size(), options.scale ? 5 : 0);
  ASSERT_EQ(layer.gradients().beta.size(), options.shift ? 5 : 0);
  if (options.scale) {
    const Values magnitudes =
        all_dy.abs() * (batch.x_hat.abs().rowwise() * r.transpose() + d.abs().transpose().replicate(all_x.rows(), 1));
    EXPECT_TRUE(close_sums<Scalar>(layer.gradients().gamma, terms.colwise().sum().transpose(), magnitudes));
  }
  if (options.shift) {
    EXPECT_TRUE(close_sums<Scalar>(layer.gradients().beta, back.dbeta, all_dy));
  }
  if (r_max == 1.75) {  // the limits are reached from both sides
    EXPECT_EQ(layer.correction().r.maxCoeff(), 1.75);
    EXPECT_EQ(layer.correction().r.minCoeff(), 1 / 1.75);
    EXPECT_EQ(layer.correction().d.maxCoeff(), d_max);
    EXPECT_EQ(layer.correction().d.minCoeff(), -d_max);
  }
  EXPECT_TRUE(close_sums<Scalar>(layer.running().mean, mean, Values::Ones(1, 5)));
  EXPECT_EQ(layer.running().batches, 1001);
}

template <class Layout, class Tensor>
void expect_formulas(const Tensor& x, const Tensor& dy) {
  expect_formulas<Layout>(x, dy, {}, 1e9, 1e9);     // no limit is reached
  expect_formulas<Layout>(x, dy, {}, 1.75, 1.125);  // all are
  expect_formulas<Layout>(x, dy, {}, 1, 3);         // no r
  expect_formulas<Layout>(x, dy, {}, 3, 0);         // no d
  expect_formulas<Layout>(x, dy, {.scale = false}, 1.75, 1.125);
  expect_formulas<Layout>(x, dy, {.shift = false}, 1.75, 1.125);
}

/// A batch of rows as a tensor whose samples have so many values of each channel.
template <class Tensor>
Tensor as_tensor(const Rows& rows, int axis, Index width) {
  Extents<3> extents{};
  extents[axis == 0 ? 1 : 0] = rows.rows() / width;
  extents[std::size_t(axis)] = rows.cols();
  extents[axis == 2 ? 1 : 2] = width;
  Tensor result(extents[0], extents[1], extents[2]);
  assign(rows.array().cast<Real>(), result, axis);
  return result;
}

const Rows x = some_values(8, 5, 11), dy = some_values(8, 5, 12);

TEST(BatchRenormReference, DoesWhatTheFormulasSay) {
  expect_formulas<bn::samples_in_rows>(x, dy);
  const Eigen::MatrixXd columns = x.transpose().cast<double>(), dy_columns = dy.transpose().cast<double>();
  expect_formulas<bn::samples_in_columns>(columns, dy_columns);
  using First = Eigen::Tensor<float, 3, Eigen::RowMajor>;
  expect_formulas<bn::channel_first>(as_tensor<First>(x, 1, 2), as_tensor<First>(dy, 1, 2));
  using Last = Eigen::Tensor<double, 3, Eigen::ColMajor>;
  expect_formulas<bn::channel_last>(as_tensor<Last>(x, 2, 2), as_tensor<Last>(dy, 2, 2));
}

TEST(BatchRenormReference, DoesSoOnSixteenBits) {
  using HalfRows = Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  expect_formulas<bn::samples_in_rows>(HalfRows(x.cast<Eigen::half>()), HalfRows(dy.cast<Eigen::half>()));
  using First = Eigen::Tensor<Eigen::bfloat16, 3, Eigen::RowMajor>;
  expect_formulas<bn::channel_first>(as_tensor<First>(x, 1, 2), as_tensor<First>(dy, 1, 2));
}

TEST(BatchRenormReference, HasGradientsThatHoldRAndD) {
  bn::BatchRenorm<double> layer({.channels = 5}, within(1.75, 1.125));
  layer.affine().gamma << 0.5, 1.0, 2.0, -1.0, 0.75;
  set_running(layer);
  Eigen::MatrixXd values = x.cast<double>(), y, dx;
  const Eigen::MatrixXd cotangent = dy.cast<double>();
  layer.forward(values, y);
  layer.backward(values, cotangent, dx);
  const PerChannel r = layer.correction().r.cast<Real>(), d = layer.correction().d.cast<Real>();
  const auto loss = [&] {
    const PerChannel gamma = layer.affine().gamma.cast<Real>(), beta = layer.affine().beta.cast<Real>();
    const auto f = reference::forward(values_of(values, 1), r * gamma, beta + d * gamma, 1e-5L);
    return static_cast<double>((f.y * values_of(cotangent, 1)).sum());
  };
  EXPECT_TRUE(is_gradient(dx, values, loss));
  Eigen::MatrixXd dgamma = layer.gradients().gamma.transpose(), dbeta = layer.gradients().beta.transpose();
  constexpr double tolerance = 10 * static_cast<double>(difference_tolerance);  // of gradients below 10
  for (Index c = 0; c < 5; ++c) {
    EXPECT_NEAR(dgamma(c), central_difference(layer.affine().gamma[c], loss), tolerance);
    EXPECT_NEAR(dbeta(c), central_difference(layer.affine().beta[c], loss), tolerance);
  }
}

}  // namespace batch_renorm_reference_test
