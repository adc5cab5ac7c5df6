#include <gtest/gtest.h>

#include <batchnorm/kernels/moments.hpp>
#include <bit>
#include <limits>
#include <vector>

#include "support/compare.hpp"
#include "support/hard_data.hpp"
#include "support/kernel_step.hpp"

namespace moments_test {

namespace bn = batchnorm;
using testing_support::equal_statistics;
using testing_support::Index;
using testing_support::LaidOut;
using testing_support::PerChannel;
using testing_support::Random;
using testing_support::Real;
using testing_support::Values;

template <class Scalar>
bn::Moments moments_of(const bn::ChannelView<const Scalar>& x) {
  bn::Moments result;
  bn::detail::batch_moments<Scalar>(bn::Device(), x, result);
  return result;
}
template <class Scalar>
bn::Moments moments_of(const Values& x, Index inner) {
  return moments_of<Scalar>(LaidOut<Scalar>(x, inner).view());
}

/// count = outer * inner. The boundaries of the kernels: packets, eight rows, chunks of 512 rows and of 8192 values,
/// groups of 1024 columns, rows that are folded, and planes that are walked as rows: shorter than 64, 16 or more.
struct Shape {
  Index count, channels, inner;
};
constexpr Shape shapes[] = {
    {2, 5, 1},         {7, 3, 1},          {8, 17, 1},         {9, 33, 1},        {511, 6, 1},       {512, 6, 1},
    {513, 6, 1},       {1025, 9, 1},       {1031, 1, 1},       {5, 1025, 1},      {70, 3, 7},        {63, 3, 63},
    {64, 3, 64},       {65, 3, 65},        {8191, 2, 8191},    {8192, 2, 8192},   {8193, 2, 8193},   {20000, 2, 20000},
    {24576, 2, 4096},  {30000, 2, 3},      {9000, 2, 4500},    {40960, 3, 20480}, {15 * 7, 5, 7},    {16 * 7, 5, 7},
    {17 * 49, 50, 49}, {16 * 63, 3, 63},   {16 * 64, 3, 64},   {520 * 49, 3, 49}, {520 * 4, 300, 4}, {4101, 40, 1},
    {40 * 70, 50, 70}, {16 * 511, 3, 511}, {16 * 512, 3, 512}, {300, 511, 1}};

/// The most additions that a value goes through before its chunk's sum is a double.
template <class Scalar>
Real additions_in_a_lane(const Shape& shape) {
  constexpr Index W = bn::Packet<Scalar>::size, over_lanes = std::bit_width(std::size_t(W)) - 1;
  const auto parts = [](Index extent, Index part) { return (extent + part - 1) / part; };
  const Index outer = shape.count / shape.inner;
  if (shape.channels > 1 && (shape.inner == 1 || (shape.inner < 64 && outer >= 16))) {
    // Eight rows, then those sums over a chunk of at most 512 rows. The rows of a matrix, folded ones too, go on in
    // double. The columns of a short plane are added up in Scalar: by Eigen, one by one up to a whole packet at either
    // end, between them two packets at a time, and then their lanes.
    const Index rows = 8 + parts(std::min<Index>(outer, 512), 8);
    if (shape.inner == 1) return Real(rows);
    return Real(rows + parts(shape.inner, 2 * W) + 1 + over_lanes + 2 * (W - 1));
  }
  // Four accumulators, which are added up in the end, and then their lanes.
  const bool one_plane = shape.channels == 1;
  const Index length = std::min<Index>(8192, one_plane ? shape.count : shape.inner);
  const Index slices = one_plane ? 1 : std::min(outer, 8192 / length);
  const Index in_an_accumulator = length >= 4 * W ? slices * (length / (4 * W) + 1)       // along each plane
                                                  : parts(slices, 4) * parts(length, W);  // across planes
  return Real(in_an_accumulator + 2 + over_lanes);
}

/// `allowance` is relative: of the deviation for the mean, which may be large beside it, and of m2 for m2.
template <class Scalar>
void expect_accurate(const Values& ideal, const Shape& shape, Real allowance) {
  SCOPED_TRACE(testing::Message() << shape.count << " values of " << shape.channels << " channels, inner "
                                  << shape.inner);
  const Values x = testing_support::rounded_to<Scalar>(ideal);
  const auto moments = moments_of<Scalar>(x, shape.inner);
  const PerChannel mean = testing_support::reference::batch_mean(x);
  const PerChannel variance = testing_support::reference::batch_variance(x, mean);
  ASSERT_EQ(moments.count, x.rows());
  ASSERT_EQ(moments.channels(), x.cols());
  for (Index c = 0; c < x.cols(); ++c) {
    // The mean is a double. Its own rounding d, which counts for double data, enters m2 as sum (x - mean + d)^2.
    const Real rounding = Real(0x1p-50) * std::abs(mean(c));
    EXPECT_LE(std::abs(Real(moments.mean[c]) - mean(c)), allowance * std::sqrt(variance(c)) + rounding)
        << "mean of channel " << c;
    const Real m2 = variance(c) * Real(x.rows());
    const Real from_mean = 2 * rounding * std::sqrt(Real(x.rows()) * m2) + Real(x.rows()) * rounding * rounding;
    EXPECT_LE(std::abs(Real(moments.m2[c]) - m2), allowance * m2 + from_mean) << "m2 of channel " << c;
  }
}

/// Rounding errors of random data cancel, as tolerance.hpp has it.
template <class Scalar>
void expect_accurate(const Values& x, const Shape& shape) {
  expect_accurate<Scalar>(x, shape, testing_support::tolerance<Scalar>());
}

/// Rounding errors of data with a pattern may all go the same way: half an epsilon for each addition. A shift that is
/// up to twice the deviation away, which is not summed again, makes up to (1 + 2^2) times that.
template <class Scalar>
void expect_accurate_for_a_pattern(const Values& x, const Shape& shape) {
  const Real half_epsilon = Real(std::numeric_limits<Scalar>::epsilon()) / 2;
  expect_accurate<Scalar>(x, shape, 5 * half_epsilon * additions_in_a_lane<Scalar>(shape));
}

template <class Scalar>
class BatchMoments : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(BatchMoments, Scalars);

TYPED_TEST(BatchMoments, AreAccurateForOrdinaryData) {
  Random random(1);
  for (const Shape& shape : shapes) {
    expect_accurate<TypeParam>(testing_support::random_values(shape.count, shape.channels, random), shape);
  }
}

TYPED_TEST(BatchMoments, AreAccurateWhereTheMeanIsLargeBesideTheSpread) {
  Random random(2);
  for (const Shape& shape : shapes) {
    expect_accurate<TypeParam>(testing_support::values_about(1e4, 1e-2L, shape.count, shape.channels, random), shape);
    expect_accurate<TypeParam>(testing_support::values_about(-1000, 1, shape.count, shape.channels, random), shape);
  }
}

// Every sample from which a shift could be taken may lie at 0, the rest of the data at 1000.
TYPED_TEST(BatchMoments, AreAccurateWhereTheDataBeginFarFromTheirMean) {
  Random random(3);
  for (const Shape& shape : shapes) {
    for (const Index part : {20, 1000}) {
      Values x = testing_support::values_about(1000, 0.1L, shape.count, shape.channels, random);
      x.topRows(std::max<Index>(1, shape.count / part)).setZero();
      SCOPED_TRACE(testing::Message() << "one part in " << part << " at 0");
      expect_accurate_for_a_pattern<TypeParam>(x, shape);
    }
  }
}

TYPED_TEST(BatchMoments, AreAccurateWithOneHugeOutlierWhereverItIs) {
  Random random(4);
  for (const Shape& shape : shapes) {
    for (const Index at : {Index(0), shape.count / 2, shape.count - 1}) {
      Values x = testing_support::values_about(1, 1, shape.count, shape.channels, random);
      x.row(at) = 1e6;
      SCOPED_TRACE(testing::Message() << "outlier at " << at);
      expect_accurate_for_a_pattern<TypeParam>(x, shape);
    }
  }
}

// The level moves: what was a good shift for one chunk is a bad one for the next.
TYPED_TEST(BatchMoments, AreAccurateOnARamp) {
  for (const Shape& shape : shapes) {
    Values x(shape.count, shape.channels);
    for (Index i = 0; i < shape.count; ++i) x.row(i) = Real(i) + Real(i % 7) / 8;
    expect_accurate_for_a_pattern<TypeParam>(x, shape);
  }
}

TYPED_TEST(BatchMoments, OfAConstantAreThatConstantAndZero) {
  for (const Shape& shape : shapes) {
    for (const Real constant : testing_support::constants) {
      const auto moments =
          moments_of<TypeParam>(testing_support::constant_values(constant, shape.count, shape.channels), shape.inner);
      for (Index c = 0; c < shape.channels; ++c) {
        ASSERT_EQ(moments.mean[c], double(static_cast<TypeParam>(constant)));
        ASSERT_EQ(moments.m2[c], 0.0);
      }
    }
  }
}

TYPED_TEST(BatchMoments, OfAChannelDependOnItsOwnDataAlone) {
  const TypeParam strange[] = {std::numeric_limits<TypeParam>::quiet_NaN(), std::numeric_limits<TypeParam>::infinity(),
                               TypeParam(1e6), TypeParam(-1e30)};
  Random random(5);
  for (const Shape& shape : shapes) {
    if (shape.channels == 1) continue;
    const Values x = testing_support::random_values(shape.count, shape.channels, random);
    const auto before = moments_of<TypeParam>(x, shape.inner);
    for (const TypeParam value : strange) {
      for (const Index at : {Index(0), shape.count / 2, shape.count - 1}) {
        const Index bad = shape.channels / 2;
        Values changed = x;
        changed(at, bad) = value;
        auto after = moments_of<TypeParam>(changed, shape.inner);
        after.mean[bad] = before.mean[bad];
        after.m2[bad] = before.m2[bad];
        SCOPED_TRACE(testing::Message() << shape.count << " values of " << shape.channels << " channels, inner "
                                        << shape.inner << ": " << value << " at " << at);
        ASSERT_TRUE(equal_statistics(after.mean, before.mean));
        ASSERT_TRUE(equal_statistics(after.m2, before.m2));
      }
    }
  }
}

TYPED_TEST(BatchMoments, OfAChannelWithNaNOrInfinityAreNotFinite) {
  Random random(6);
  for (const Shape& shape : shapes) {
    for (const TypeParam value :
         {std::numeric_limits<TypeParam>::quiet_NaN(), std::numeric_limits<TypeParam>::infinity()}) {
      for (const Index at : {Index(0), shape.count / 2, shape.count - 1}) {
        Values x = testing_support::random_values(shape.count, shape.channels, random);
        x(at, shape.channels - 1) = value;
        const auto moments = moments_of<TypeParam>(x, shape.inner);
        EXPECT_FALSE(std::isfinite(moments.mean[shape.channels - 1]));
        EXPECT_TRUE(std::isnan(moments.m2[shape.channels - 1]) || std::isinf(moments.m2[shape.channels - 1]));
      }
    }
  }
}

TYPED_TEST(BatchMoments, DoNotDependOnTheAddressOfTheData) {
  Random random(7);
  for (const Shape& shape : shapes) {
    LaidOut<TypeParam> laid(testing_support::random_values(shape.count, shape.channels, random), shape.inner);
    bn::ChannelView<const TypeParam> view = laid.view();
    const auto expected = moments_of<TypeParam>(view);
    for (const std::size_t offset : {1u, 3u, 5u}) {
      std::vector<TypeParam> moved(offset + laid.memory.size());
      std::copy(laid.memory.begin(), laid.memory.end(), moved.begin() + std::ptrdiff_t(offset));
      view.data = moved.data() + offset;
      const auto moments = moments_of<TypeParam>(view);
      ASSERT_TRUE(equal_statistics(moments.mean, expected.mean));
      ASSERT_TRUE(equal_statistics(moments.m2, expected.m2));
    }
  }
}

}  // namespace moments_test
