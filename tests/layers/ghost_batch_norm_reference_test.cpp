// Ghost batches, in every kind of layout: each against the formulas, one of them against BatchNorm, and what is left
// over.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <batchnorm/layers/ghost_batch_norm.hpp>
#include <limits>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/small_batch.hpp"
#include "support/throws.hpp"

namespace ghost_batch_norm_reference_test {

namespace bn = batchnorm;
using namespace testing_support;

using Rows = FloatRows;
template <class Scalar>
using RowMajor = Eigen::Tensor<Scalar, 4, Eigen::RowMajor>;
template <class Scalar>
using ColumnMajor = Eigen::Tensor<Scalar, 4, Eigen::ColMajor>;

/// Random values in a tensor of its own, with the channels on this axis.
template <class Tensor, std::size_t Rank>
Tensor random_tensor(const Extents<Rank>& extents, int axis, std::uint64_t seed) {
  Random random(seed);
  Tensor result;
  bn::detail::resize_if_empty(result, extents);
  assign(random_values(count_of(extents, axis), extents[std::size_t(axis)], random), result, axis);
  return result;
}

/// Two batches through a layer and back, against the formulas in long double on each ghost, whose number of samples is
/// given. In the table of all values, one row for each and samples in their order, a ghost is consecutive rows.
template <class Layout, class Tensor, std::size_t Rank>
void expect_formulas(const Extents<Rank>& extents, Index samples_in_a_ghost, const std::vector<Index>& ghosts) {
  using Element = typename Tensor::Scalar;
  using Scalar = bn::statistics_t<Element>;
  constexpr int axis = Layout::template axis<int(Rank)>();
  const Index channels = extents[std::size_t(axis)], samples = extents[axis == 0 ? 1 : 0];
  const Index values_in_a_sample = count_of(extents, axis) / samples;
  bn::GhostBatchNorm<Scalar, Layout> layer({.channels = channels}, {.samples = samples_in_a_ghost});
  set_parameters(layer);
  const PerChannel gamma = layer.affine().gamma.template cast<Real>(), beta = layer.affine().beta.template cast<Real>();
  PerChannel mean = PerChannel::Zero(channels), variance = PerChannel::Ones(channels);
  for (const std::uint64_t seed : {1u, 2u}) {
    const auto x = random_tensor<Tensor>(extents, axis, seed), dy = random_tensor<Tensor>(extents, axis, seed + 7);
    Tensor y, dx;
    layer.zero_gradients();
    layer.forward(x, y);
    layer.backward(x, dy, dx);
    const Values all_x = values_of(x, axis), all_dy = values_of(dy, axis), all_y = values_of(y, axis),
                 all_dx = values_of(dx, axis);
    Values dgamma_terms(all_x.rows(), channels);
    PerChannel dgamma = PerChannel::Zero(channels);
    Index first = 0;
    for (const Index ghost : ghosts) {
      const Index count = ghost * values_in_a_sample;
      const Values ghost_x = all_x.middleRows(first, count), ghost_dy = all_dy.middleRows(first, count);
      const auto f = reference::forward(ghost_x, gamma, beta, 1e-5L);
      const auto b = reference::backward(ghost_x, ghost_dy, gamma, 1e-5L);
      EXPECT_TRUE(close_forward<Element>(all_y.middleRows(first, count), f.y));
      EXPECT_TRUE(close_gradient<Element>(all_dx.middleRows(first, count), b, f.inv_std));
      dgamma_terms.middleRows(first, count) = ghost_dy * f.x_hat;
      dgamma += b.dgamma;
      mean = 0.9L * mean + 0.1L * f.mean;
      variance = 0.9L * variance + 0.1L * f.variance * Real(count) / Real(count - 1);
      first += count;
    }
    ASSERT_EQ(first, all_x.rows());
    EXPECT_TRUE(close_sums<Scalar>(layer.gradients().gamma, dgamma, dgamma_terms));
    EXPECT_TRUE(close_sums<Scalar>(layer.gradients().beta, all_dy.colwise().sum().transpose(), all_dy));
  }
  EXPECT_TRUE(close_sums<Scalar>(layer.running().mean, mean, mean.transpose()));
  EXPECT_TRUE(close_relative<Scalar>(layer.running().variance, variance));
  EXPECT_EQ(layer.running().batches, 2 * std::int64_t(ghosts.size()));
  EXPECT_EQ(layer.saved().size(), ghosts.size());
}

/// Two batches through a layer of one ghost and through BatchNorm.
template <class Scalar, class Layout, class Tensor, std::size_t Rank>
void expect_one_ghost_is_batch_norm(const Extents<Rank>& extents, Index samples_in_a_ghost) {
  constexpr int axis = Layout::template axis<int(Rank)>();
  const bn::Options options{.channels = extents[std::size_t(axis)]};
  bn::GhostBatchNorm<Scalar, Layout> layer(options, {.samples = samples_in_a_ghost});
  bn::BatchNorm<Scalar, Layout> plain(options);
  set_parameters(layer);
  set_parameters(plain);
  for (const std::uint64_t seed : {1u, 2u}) {
    const auto x = random_tensor<Tensor>(extents, axis, seed), dy = random_tensor<Tensor>(extents, axis, seed + 7);
    Tensor y, dx, plain_y, plain_dx;
    layer.forward(x, y);
    plain.forward(x, plain_y);
    layer.backward(x, dy, dx);
    plain.backward(x, dy, plain_dx);
    EXPECT_TRUE(equal_bits(y, plain_y));
    EXPECT_TRUE(equal_bits(dx, plain_dx));
  }
  EXPECT_TRUE(equal_statistics(layer.gradients().gamma, plain.gradients().gamma));
  EXPECT_TRUE(equal_statistics(layer.gradients().beta, plain.gradients().beta));
  EXPECT_TRUE(equal_statistics(layer.running().mean, plain.running().mean));
  EXPECT_TRUE(equal_statistics(layer.running().variance, plain.running().variance));
  EXPECT_TRUE(equal_statistics(layer.moments().mean, plain.moments().mean));
}

TEST(GhostBatchNormReference, GivesEachGhostWhatTheFormulasSay) {
  expect_formulas<bn::samples_in_rows, Rows>(Extents<2>{20, 5}, 8, {8, 8, 4});
  expect_formulas<bn::samples_in_rows, Rows>(Extents<2>{24, 5}, 8, {8, 8, 8});
  expect_formulas<bn::samples_in_columns, Eigen::MatrixXd>(Extents<2>{5, 11}, 4, {4, 4, 3});
  expect_formulas<bn::channel_first, RowMajor<float>>(Extents<4>{7, 5, 3, 2}, 3, {3, 3, 1});
  expect_formulas<bn::channel_first, ColumnMajor<double>>(Extents<4>{7, 5, 3, 2}, 3, {3, 3, 1});
  expect_formulas<bn::channel_last, RowMajor<float>>(Extents<4>{7, 3, 2, 5}, 3, {3, 3, 1});
  expect_formulas<bn::channel_last, ColumnMajor<double>>(Extents<4>{7, 3, 2, 5}, 3, {3, 3, 1});
  expect_formulas<bn::channel_axis<0>, RowMajor<float>>(Extents<4>{5, 7, 3, 2}, 3, {3, 3, 1});
}

TEST(GhostBatchNormReference, GivesTensorsOfSixteenBitsWhatTheFormulasSay) {
  using HalfRows = Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  expect_formulas<bn::samples_in_rows, HalfRows>(Extents<2>{20, 5}, 8, {8, 8, 4});
  expect_formulas<bn::channel_first, RowMajor<Eigen::bfloat16>>(Extents<4>{7, 5, 3, 2}, 3, {3, 3, 1});
  expect_formulas<bn::channel_last, RowMajor<Eigen::bfloat16>>(Extents<4>{7, 3, 2, 5}, 3, {3, 3, 1});
}

TEST(GhostBatchNormReference, GivesASingleValueThatIsLeftOverToTheGhostBefore) {
  expect_formulas<bn::samples_in_rows, Rows>(Extents<2>{17, 5}, 8, {8, 9});
  expect_formulas<bn::samples_in_columns, Eigen::MatrixXd>(Extents<2>{3, 9}, 4, {4, 5});
  expect_formulas<bn::channel_first, RowMajor<float>>(Extents<4>{10, 3, 1, 1}, 3, {3, 3, 4});
  expect_formulas<bn::channel_first, RowMajor<float>>(Extents<4>{10, 3, 1, 3}, 3, {3, 3, 3, 1});
}

TEST(GhostBatchNormReference, TakesABatchThatIsSmallerThanAGhostAsOne) {
  constexpr Index most = std::numeric_limits<Index>::max();
  expect_formulas<bn::samples_in_rows, Rows>(Extents<2>{5, 5}, 8, {5});
  expect_formulas<bn::samples_in_rows, Rows>(Extents<2>{5, 5}, most, {5});
}

TEST(GhostBatchNormReference, OfOneGhostIsBatchNormBitForBit) {
  for (const Index samples : {19, 20, 1000}) {
    expect_one_ghost_is_batch_norm<float, bn::samples_in_rows, Rows>(Extents<2>{19, 70}, samples);
    expect_one_ghost_is_batch_norm<double, bn::samples_in_columns, Eigen::MatrixXd>(Extents<2>{5, 19}, samples);
    expect_one_ghost_is_batch_norm<float, bn::channel_first, RowMajor<float>>(Extents<4>{19, 5, 3, 7}, samples);
    // As a slice of samples this would be another view, with other bits.
    expect_one_ghost_is_batch_norm<double, bn::channel_last, ColumnMajor<double>>(Extents<4>{19, 3, 7, 5}, samples);
    // One ghost is not sliced, so that this, which cannot be, is taken.
    expect_one_ghost_is_batch_norm<double, bn::channel_axis<2>, ColumnMajor<double>>(Extents<4>{19, 3, 5, 7}, samples);
  }
}

// The samples of a column-major tensor lie side by side, those of a ghost have gaps between them.
TEST(GhostBatchNormReference, TrainsInPlaceInEveryStorageOrder) {
  const auto check = [](auto layout, const Extents<4>& extents, Index samples) {
    using Layout = decltype(layout);
    using Tensor = ColumnMajor<double>;
    constexpr int axis = Layout::template axis<4>();
    SCOPED_TRACE(testing::Message() << testing::PrintToString(extents) << " on axis " << axis);
    bn::GhostBatchNorm<double, Layout> layer({.channels = extents[std::size_t(axis)]}, {.samples = samples});
    set_parameters(layer);
    auto other = layer;
    const Tensor x = random_tensor<Tensor>(extents, axis, 1), dy = random_tensor<Tensor>(extents, axis, 2);
    Tensor y, dx, in_place = x, over_x = x, over_dy = dy, from_output = dy;
    layer.forward(x, y);
    layer.backward(x, dy, dx);
    other.forward(in_place, in_place);
    EXPECT_TRUE(equal_bits(in_place, y));
    other.backward(over_x, dy, over_x);
    EXPECT_TRUE(equal_bits(over_x, dx));
    other.backward(x, over_dy, over_dy);
    EXPECT_TRUE(equal_bits(over_dy, dx));
    other.backward_from_output(in_place, dy, from_output);
    for (Index k = 0; k < dx.size(); ++k) ASSERT_NEAR(from_output.data()[k], dx.data()[k], 1e-9);
  };
  for (const Index samples : {1, 2, 3, 4}) {
    check(bn::channel_first(), {6, 3, 2, 2}, samples);
    check(bn::channel_first(), {7, 2, 3, 5}, samples);
    check(bn::channel_first(), {6, 3, 16, 16}, samples);
    check(bn::channel_last(), {6, 2, 2, 3}, samples);
    check(bn::channel_last(), {7, 3, 5, 2}, samples);
  }
}

TEST(GhostBatchNormReference, RefusesSamplesThatCannotBeSeenByThemselves) {
  bn::GhostBatchNorm<double, bn::channel_axis<2>> between({.channels = 5}, {.samples = 8});
  const ColumnMajor<double> tensor = random_tensor<ColumnMajor<double>>(Extents<4>{20, 3, 5, 2}, 2, 1);
  ColumnMajor<double> out;
  EXPECT_TRUE(has_parts(message_of([&] { between.forward(tensor, out); }), "slice_samples", "channels on axis 2",
                        "store it row-major"));
  EXPECT_EQ(between.running().batches, 0);
}

}  // namespace ghost_batch_norm_reference_test
