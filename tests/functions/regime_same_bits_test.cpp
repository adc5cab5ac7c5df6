// In every regime of memory, small and large enough for streaming stores: no bit of a result depends on the address of
// the data, on gaps between them, on whether outputs are streamed, on how the pass is cut in halves, or on what other
// channels hold.
#include <gtest/gtest.h>

#include <limits>

#include "support/kernels.hpp"
#include "support/problem.hpp"

namespace testing_support::regime_same_bits_test {

namespace bn = batchnorm;

/// A training step with its results.
template <class A>
struct Step {
  using Element = typename A::Scalar;
  using Scalar = bn::statistics_t<Element>;
  using L = typename A::Layout;
  using Container = typename A::Container;

  Container x, dy, y, dx;
  bn::AffineParameters<Scalar> affine;
  bn::Moments moments;
  bn::Gradients<Scalar> gradients;

  Step(const Extents<A::rank>& extents, const Values& x_values, const Values& dy_values)
      : x(extents), dy(extents), y(extents), dx(extents), affine(x_values.cols()) {
    Random random(71);
    affine.gamma = random_per_channel(x_values.cols(), -1.5, 1.5, random).template cast<Scalar>();
    affine.beta = random_per_channel(x_values.cols(), -1, 1, random).template cast<Scalar>();
    assign(x_values, x.view(), A::axis);
    assign(dy_values, dy.view(), A::axis);
    run(x.view(), dy.view(), y.view(), dx.view());
  }

  void run(auto&& from, auto&& gradient, auto&& to, auto&& gradient_to) {
    bn::train_forward<L, bn::relu>(from, affine, epsilon, to, moments);
    gradients = {};
    bn::backward<L, bn::relu>(from, gradient, affine, bn::statistics(moments, epsilon), gradient_to, gradients);
  }
};

template <class One, class Other>
void expect_equal(Step<One>& one, Step<Other>& other) {
  EXPECT_TRUE(equal_statistics(one.moments.mean, other.moments.mean));
  EXPECT_TRUE(equal_statistics(one.moments.m2, other.moments.m2));
  EXPECT_TRUE(equal_statistics(one.gradients.gamma, other.gradients.gamma));
  EXPECT_TRUE(equal_statistics(one.gradients.beta, other.gradients.beta));
  EXPECT_TRUE(equal_bits(one.y.view(), other.y.view()));
  EXPECT_TRUE(equal_bits(one.dx.view(), other.dx.view()));
}

/// Twice with the same values, in other memory.
template <class One, class Other>
void expect_the_same_at_another_address(const Extents<One::rank>& extents) {
  SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
  Random random(73);
  const Index count = count_of(extents, One::axis), channels = extents[std::size_t(One::axis)];
  const Values x = random_values(count, channels, random), dy = normal_values(count, channels, random);
  Step<One> one(extents, x, dy);
  Step<Other> other(extents, x, dy);
  expect_equal(one, other);
  EXPECT_TRUE(other.x.untouched() && other.dy.untouched() && other.y.untouched() && other.dx.untouched());
}

/// In place, where nothing is streamed.
template <class A>
void expect_the_same_in_place(Step<A>& expected) {
  using L = typename A::Layout;
  auto x = expected.x, dy = expected.dy;
  bn::Moments moments;
  bn::Gradients<typename Step<A>::Scalar> gradients;
  bn::train_forward<L, bn::relu>(x.view(), expected.affine, epsilon, x.view(), moments);
  EXPECT_TRUE(equal_bits(x.view(), expected.y.view())) << "y on x";
  EXPECT_TRUE(equal_statistics(moments.m2, expected.moments.m2));
  x = expected.x;
  const bn::Statistics statistics = bn::statistics(moments, epsilon);
  bn::backward<L, bn::relu>(x.view(), dy.view(), expected.affine, statistics, dy.view(), gradients);
  EXPECT_TRUE(equal_bits(dy.view(), expected.dx.view())) << "dx on dy";
  bn::backward<L, bn::relu>(x.view(), expected.dy.view(), expected.affine, statistics, x.view(), gradients);
  EXPECT_TRUE(equal_bits(x.view(), expected.dx.view())) << "dx on x";
}

template <class A>
void expect_the_same_in_halves(Step<A>& expected, const Extents<A::rank>& extents) {
  using L = typename A::Layout;
  typename A::Container y(extents), dx(extents);
  bn::Moments moments;
  bn::batch_moments<L>(expected.x.view(), moments);
  EXPECT_TRUE(equal_statistics(moments.mean, expected.moments.mean));
  EXPECT_TRUE(equal_statistics(moments.m2, expected.moments.m2));
  const bn::Statistics statistics = bn::statistics(moments, epsilon);
  bn::normalize<L, bn::relu>(expected.x.view(), expected.affine, statistics, y.view());
  EXPECT_TRUE(equal_bits(y.view(), expected.y.view())) << "y in halves";
  bn::GradientSums sums;
  bn::gradient_sums<L, bn::relu>(expected.x.view(), expected.dy.view(), expected.affine, statistics, sums);
  EXPECT_TRUE(equal_statistics(sums.dy.template cast<typename Step<A>::Scalar>().eval(), expected.gradients.beta));
  bn::input_gradient<L, bn::relu>(expected.x.view(), expected.dy.view(), expected.affine, statistics, sums, dx.view());
  EXPECT_TRUE(equal_bits(dx.view(), expected.dx.view())) << "dx in halves";
  EXPECT_TRUE(y.untouched() && dx.untouched());
}

/// Backward, whole and in halves, where the statistics are constants.
template <class A>
void expect_the_same_on_constants(Step<A>& step, const Extents<A::rank>& extents) {
  using L = typename A::Layout;
  typename A::Container whole(extents), dx(extents);
  bn::Statistics constants = bn::statistics(step.moments, epsilon);
  constants.count = 0;
  bn::Gradients<typename Step<A>::Scalar> frozen, in_halves(step.affine.gamma.size());
  bn::backward<L, bn::relu>(step.x.view(), step.dy.view(), step.affine, constants, whole.view(), frozen);
  bn::GradientSums sums;
  bn::gradient_sums<L, bn::relu>(step.x.view(), step.dy.view(), step.affine, constants, sums);
  bn::input_gradient<L, bn::relu>(step.x.view(), step.dy.view(), step.affine, constants, sums, dx.view());
  EXPECT_TRUE(equal_bits(dx.view(), whole.view())) << "dx of constants in halves";
  bn::parameter_gradients(sums, constants, in_halves);
  EXPECT_TRUE(equal_statistics(in_halves.gamma, frozen.gamma));
  EXPECT_TRUE(equal_statistics(in_halves.beta, frozen.beta));
  EXPECT_TRUE(whole.untouched() && dx.untouched());
}

/// Beside a channel of strange values.
template <class A>
void expect_the_same_beside_strange(Step<A>& expected, const Extents<A::rank>& extents, const Values& x_values,
                                    const Values& dy_values) {
  if (x_values.cols() == 1) return;
  const Index bad = x_values.cols() / 2;
  for (const Real value : {std::numeric_limits<Real>::quiet_NaN(), Real(30000)}) {
    Values strange = x_values;
    strange(x_values.rows() / 3, bad) = value;
    Step<A> beside(extents, strange, dy_values);
    EXPECT_FALSE(equal_statistics(beside.moments.m2, expected.moments.m2));
    // The channel itself as it was: the others must be all the same.
    beside.moments.mean[bad] = expected.moments.mean[bad];
    beside.moments.m2[bad] = expected.moments.m2[bad];
    beside.gradients.gamma[bad] = expected.gradients.gamma[bad];
    beside.gradients.beta[bad] = expected.gradients.beta[bad];
    auto &&y_beside = beside.y.view(), &&dx_beside = beside.dx.view();
    auto &&y_expected = expected.y.view(), &&dx_expected = expected.dx.view();
    for_each_index(extents, A::axis, [&](Index, Index c, const auto& index) {
      if (c != bad) return;
      element(y_beside, index) = element(y_expected, index);
      element(dx_beside, index) = element(dx_expected, index);
    });
    SCOPED_TRACE(testing::Message() << "beside a channel with " << value);
    expect_equal(beside, expected);
  }
}

template <class A>
void expect_the_same_in_other_ways(const Extents<A::rank>& extents) {
  SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
  Random random(79);
  const Index count = count_of(extents, A::axis), channels = extents[std::size_t(A::axis)];
  const Values x = random_values(count, channels, random), dy = normal_values(count, channels, random);
  Step<A> expected(extents, x, dy);
  expect_the_same_in_place(expected);
  expect_the_same_in_halves(expected, extents);
  expect_the_same_on_constants(expected, extents);
  expect_the_same_beside_strange(expected, extents, x, dy);
}

template <class Element>
using Rows = Arrangement<OwnedMatrix<Element, Eigen::RowMajor>, bn::samples_in_rows, 1>;
template <class Element>
using BlockOfRows = Arrangement<BlockOfMatrix<Element, Eigen::RowMajor>, bn::samples_in_rows, 1>;
template <class Element>
using OddRows = Arrangement<MappedMatrix<Element, Eigen::RowMajor>, bn::samples_in_rows, 1>;
using Columns = Arrangement<OwnedMatrix<float, Eigen::ColMajor>, bn::samples_in_rows, 1>;
using BlockOfColumns = Arrangement<BlockOfMatrix<float, Eigen::ColMajor>, bn::samples_in_rows, 1>;
using OddColumns = Arrangement<MappedMatrix<float, Eigen::ColMajor>, bn::samples_in_rows, 1>;
template <class Element>
using Nchw = Arrangement<OwnedTensor<Element, 4, Eigen::RowMajor>, bn::channel_first, 1>;
template <class Element>
using OddNchw = Arrangement<MappedTensor<Element, 4, Eigen::RowMajor>, bn::channel_first, 1>;

/// Small; cut into groups or ranges; narrow and folded; and above the threshold of streaming stores.
const Extents<2> rows[] = {{67, 100}, {67, 1100}, {300, 3}, {2101, 40}, {450, 1200}, {180001, 3}, {1100, 511}};
const Extents<2> columns[] = {{60, 100}, {8193, 3}, {18001, 30}, {600011, 2}};
/// Planes, and short ones.
const Extents<4> images[] = {{3, 5, 29, 23},    {17, 40, 7, 7},  {600, 3, 2, 2},
                             {3, 10, 135, 141}, {30, 370, 7, 7}, {42, 150, 13, 13}};

TEST(SameBits, OfRowsAtAnyAddressAndInABlock) {
  for (const auto& extents : rows) {
    expect_the_same_at_another_address<Rows<float>, OddRows<float>>(extents);
    expect_the_same_at_another_address<Rows<float>, BlockOfRows<float>>(extents);
  }
}

TEST(SameBits, OfColumnsAtAnyAddressAndInABlock) {
  for (const auto& extents : columns) {
    expect_the_same_at_another_address<Columns, OddColumns>(extents);
    expect_the_same_at_another_address<Columns, BlockOfColumns>(extents);
  }
}

TEST(SameBits, OfPlanesAtAnyAddress) {
  for (const auto& extents : images) expect_the_same_at_another_address<Nchw<float>, OddNchw<float>>(extents);
}

// Dense data of one channel are one plane wherever it is. (In a block with gaps they are rows, of other bits.)
TEST(SameBits, OfOneChannelAtAnyAddress) {
  for (const Index samples : {13, 8193, 600011}) {
    expect_the_same_at_another_address<Rows<float>, OddRows<float>>({samples, 1});
    expect_the_same_at_another_address<Rows<float>, Columns>({samples, 1});
  }
}

TEST(SameBits, OfHalfAtAnyAddressAndInABlock) {
  for (const Extents<2>& extents : {Extents<2>{67, 100}, {300, 3}, {1060, 1000}}) {
    expect_the_same_at_another_address<Rows<Eigen::half>, OddRows<Eigen::half>>(extents);
    expect_the_same_at_another_address<Rows<Eigen::half>, BlockOfRows<Eigen::half>>(extents);
  }
  expect_the_same_at_another_address<Nchw<Eigen::half>, OddNchw<Eigen::half>>({17, 40, 7, 7});
}

TEST(SameBits, OfRowsInPlaceInHalvesAndBesideStrangeChannels) {
  for (const auto& extents : rows) expect_the_same_in_other_ways<Rows<float>>(extents);
}

TEST(SameBits, OfRowsInABlockInPlaceInHalvesAndBesideStrangeChannels) {
  for (const Extents<2>& extents : {Extents<2>{67, 100}, {300, 3}, {13501, 40}})
    expect_the_same_in_other_ways<BlockOfRows<float>>(extents);
  expect_the_same_in_other_ways<BlockOfRows<float>>({8193, 1});
}

TEST(SameBits, OfColumnsInPlaceInHalvesAndBesideStrangeChannels) {
  for (const auto& extents : columns) expect_the_same_in_other_ways<BlockOfColumns>(extents);
}

TEST(SameBits, OfPlanesInPlaceInHalvesAndBesideStrangeChannels) {
  for (const auto& extents : images) expect_the_same_in_other_ways<Nchw<float>>(extents);
}

TEST(SameBits, OfOneChannelInPlaceAndInHalves) {
  for (const Index samples : {13, 8193, 600011}) expect_the_same_in_other_ways<Rows<float>>({samples, 1});
}

TEST(SameBits, OfHalfInPlaceInHalvesAndBesideStrangeChannels) {
  for (const Extents<2>& extents : {Extents<2>{67, 100}, {300, 3}, {1060, 1000}})
    expect_the_same_in_other_ways<Rows<Eigen::half>>(extents);
  expect_the_same_in_other_ways<Nchw<Eigen::half>>({17, 40, 7, 7});
}

}  // namespace testing_support::regime_same_bits_test
