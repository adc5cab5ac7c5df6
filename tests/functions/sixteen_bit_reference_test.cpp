// half and bfloat16 against the reference computed from the same 16-bit inputs: one rounding on top of float's errors.
#include <gtest/gtest.h>

#include "support/kernels.hpp"
#include "support/problem.hpp"

namespace testing_support::sixteen_bit_reference_test {

template <class Element>
using Rows = Arrangement<OwnedMatrix<Element, Eigen::RowMajor>, batchnorm::samples_in_rows, 1>;
template <class Element>
using BlockOfRows = Arrangement<BlockOfMatrix<Element, Eigen::RowMajor>, batchnorm::samples_in_rows, 1>;
template <class Element>
using BlockOfColumns = Arrangement<BlockOfMatrix<Element, Eigen::ColMajor>, batchnorm::samples_in_rows, 1>;
template <class Element>
using Nchw = Arrangement<MappedTensor<Element, 4, Eigen::RowMajor>, batchnorm::channel_first, 1>;

template <class A>
void expect_the_reference(const Extents<A::rank>& extents) {
  SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
  Random random(37);
  Problem<A> problem(extents, random);
  const Real allowance = coarse_tolerance<typename A::Scalar>(problem.count());
  expect_training(problem, allowance);
  expect_running_statistics(problem, allowance);
}

template <class Element>
class SixteenBits : public testing::Test {};
using Elements = testing::Types<Eigen::half, Eigen::bfloat16>;
TYPED_TEST_SUITE(SixteenBits, Elements);

TYPED_TEST(SixteenBits, OfRowsAreOneRoundingFromTheReference) {
  for (const Index channels : {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 40, 100, 511, 1027}) {
    expect_the_reference<Rows<TypeParam>>({67, channels});
    expect_the_reference<BlockOfRows<TypeParam>>({21, channels});
  }
  expect_the_reference<Rows<TypeParam>>({2101, 5});
}

TYPED_TEST(SixteenBits, OfColumnsAreOneRoundingFromTheReference) {
  for (const Index samples : {2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 67, 130, 8200})
    expect_the_reference<BlockOfColumns<TypeParam>>({samples, 5});
}

TYPED_TEST(SixteenBits, OfPlanesAreOneRoundingFromTheReference) {
  for (const Extents<4>& extents :
       {Extents<4>{2, 3, 5, 7}, {3, 7, 29, 23}, {17, 40, 7, 7}, {16, 5, 22, 23}, {600, 3, 2, 2}})
    expect_the_reference<Nchw<TypeParam>>(extents);
}

TYPED_TEST(SixteenBits, OfLargeRowsAreStreamed) { expect_the_reference<Rows<TypeParam>>({1060, 1000}); }
TYPED_TEST(SixteenBits, OfLargeShortPlanesAreStreamed) {
  expect_the_reference<Nchw<TypeParam>>({22, 97, 22, 23});
  expect_the_reference<Nchw<TypeParam>>({130, 130, 8, 8});
}

// NaN and infinity reach y as in float, and spoil no other channel.
TYPED_TEST(SixteenBits, CarryNaNAndInfinity) {
  using Matrix = Eigen::Matrix<TypeParam, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto number = [](float value) { return static_cast<TypeParam>(value); };
  Matrix x(40, 19), y, inferred;
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = number(float(i * 37 % 101) / 16);
  x(39, 18) = number(std::numeric_limits<float>::quiet_NaN());
  x(20, 3) = number(std::numeric_limits<float>::infinity());
  x(21, 3) = number(-std::numeric_limits<float>::infinity());
  batchnorm::Moments moments;
  const batchnorm::AffineParameters<float> affine(19);
  batchnorm::train_forward(x, affine, epsilon, y, moments);
  batchnorm::normalize(x, affine, batchnorm::statistics(batchnorm::RunningStatistics(19), epsilon), inferred);
  for (Index c = 0; c < 19; ++c) {
    const bool strange = c == 3 || c == 18;
    EXPECT_EQ(std::isfinite(moments.mean[c]) && std::isfinite(moments.m2[c]), !strange) << "channel " << c;
    for (Index i = 0; i < 40; ++i) EXPECT_EQ((Eigen::numext::isfinite)(y(i, c)), !strange) << i << ", " << c;
  }
  EXPECT_TRUE((Eigen::numext::isnan)(inferred(39, 18)));
  EXPECT_EQ(float(inferred(20, 3)), std::numeric_limits<float>::infinity());
  EXPECT_EQ(float(inferred(21, 3)), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE((Eigen::numext::isfinite)(inferred(22, 3)));
}

// gamma of 1e5 is a float and no half: y overflows to infinity as a conversion does, and bfloat16 holds it.
TYPED_TEST(SixteenBits, OverflowToInfinityWhereTheStoredTypeDoes) {
  Eigen::Matrix<TypeParam, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> x(2, 33), y;
  x.row(0).setConstant(static_cast<TypeParam>(-1.0f));
  x.row(1).setConstant(static_cast<TypeParam>(1.0f));
  batchnorm::AffineParameters<float> affine(33);
  affine.gamma.setConstant(1e5f);
  batchnorm::Moments moments;
  batchnorm::train_forward(x, affine, 1e-12, y, moments);
  for (Index c = 0; c < 33; ++c) {
    EXPECT_EQ(float(y(1, c)), float(static_cast<TypeParam>(1e5f)));
    EXPECT_EQ(float(y(0, c)), float(static_cast<TypeParam>(-1e5f)));
  }
}

}  // namespace testing_support::sixteen_bit_reference_test
