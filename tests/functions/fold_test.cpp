#include <gtest/gtest.h>

#include <batchnorm/functions/fold.hpp>
#include <batchnorm/functions/forward.hpp>
#include <limits>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/by_hand.hpp"
#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/kernels.hpp"
#include "support/throws.hpp"

namespace fold_test {

namespace bn = batchnorm;
using testing_support::has_parts;
using testing_support::message_of;
using testing_support::running_by_hand;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

TEST(Fold, IsScaleAndShiftComputedByHand) {
  const auto folded = bn::fold(testing_support::affine_by_hand(), bn::statistics(running_by_hand(), 7));
  EXPECT_EQ(folded.scale[0], 0.5f);
  EXPECT_EQ(folded.scale[1], -0.5f);
  EXPECT_EQ(folded.shift[0], 2.5f);  // 3 - 1 * 2/4
  EXPECT_EQ(folded.shift[1], 1.5f);  // 1/2 + 2 * 4/8
}

TEST(Fold, TakesAnEmptyGammaForOneAndAnEmptyBetaForZero) {
  const auto folded = bn::fold(bn::AffineParameters<float>(), bn::statistics(running_by_hand(), 7));
  EXPECT_EQ(folded.scale[0], 0.25f);
  EXPECT_EQ(folded.shift[0], -0.25f);
}

TEST(ScaleShift, IsOneMultiplicationAndOneAddition) {
  const bn::ScaleShift<float> folded{Eigen::Array2f(0.5f, -2), Eigen::Array2f(1, 0.25f)};
  const Matrix x{{2, 1}, {4, 3}, {-6, 0}};
  Matrix y;
  bn::scale_shift(x, folded, y);
  EXPECT_EQ(y, (Matrix{{2, -1.75f}, {3, -5.75f}, {-2, 0.25f}}));
  Eigen::MatrixXf turned = x.transpose(), result;
  bn::scale_shift<bn::samples_in_columns>(turned, folded, result);
  EXPECT_EQ(result, y.transpose());
}

TEST(ScaleShift, WorksInPlaceAndOnEmptyX) {
  const bn::ScaleShift<float> folded{Eigen::Array2f(0.5f, -2), Eigen::Array2f(1, 0.25f)};
  Matrix x{{2, 1}}, none(0, 2);
  bn::scale_shift(x, folded, x);
  EXPECT_EQ(x, (Matrix{{2, -1.75f}}));
  EXPECT_NO_THROW(bn::scale_shift(none, folded, none));
}

template <class A>
class ScaleShiftOf : public testing::Test {};
using testing_support::Arrangement;
using Arrangements = testing::Types<
    Arrangement<testing_support::MappedTensor<float, 4, Eigen::RowMajor>, bn::channel_first, 1>,
    Arrangement<testing_support::OwnedTensor<double, 3, Eigen::ColMajor>, bn::channel_last, 2>,
    Arrangement<testing_support::OwnedTensor<Eigen::half, 4, Eigen::RowMajor>, bn::channel_last, 3>,
    Arrangement<testing_support::BlockOfMatrix<Eigen::half, Eigen::ColMajor>, bn::samples_in_rows, 1>,
    Arrangement<testing_support::MappedTensor<Eigen::bfloat16, 3, Eigen::RowMajor>, bn::channel_axis<0>, 0>>;
TYPED_TEST_SUITE(ScaleShiftOf, Arrangements);

TYPED_TEST(ScaleShiftOf, AnyTensorErrsByTwoRoundingsAndThatOfStoring) {
  using namespace testing_support;
  using Element = typename TypeParam::Scalar;
  using Scalar = bn::statistics_t<Element>;
  Extents<TypeParam::rank> extents;
  extents.fill(5);
  extents[0] = 7;
  extents[std::size_t(TypeParam::axis)] = 19;
  const Index count = count_of(extents, TypeParam::axis);
  Random random(6);
  typename TypeParam::Container x(extents), y(extents);
  assign(random_values(count, 19, random), x.view(), TypeParam::axis);
  const bn::ScaleShift<Scalar> folded{random_per_channel(19, -1.5, 1.5, random).template cast<Scalar>(),
                                      random_per_channel(19, -1, 1, random).template cast<Scalar>()};
  bn::scale_shift<typename TypeParam::Layout>(x.view(), folded, y.view());
  const auto per_value = [&](const auto& of) -> Values {
    return of.template cast<Real>().transpose().replicate(count, 1);
  };
  const Values product = values_of(x.view(), TypeParam::axis) * per_value(folded.scale);
  const Values expected = product + per_value(folded.shift);
  EXPECT_TRUE(compare_detail::compare(values_of(y.view(), TypeParam::axis), expected, [&](Index i, Index c) {
    const Real computed = half_epsilon<Element>() * (std::abs(product(i, c)) + std::abs(expected(i, c)));
    return computed + storage_rounding<Element>(std::abs(expected(i, c)) + computed);
  }));
  EXPECT_TRUE(x.untouched() && y.untouched());
  bn::scale_shift<typename TypeParam::Layout>(x.view(), folded, x.view());
  EXPECT_TRUE(equal_bits(x.view(), y.view()));
}

TEST(ScaleShift, OfFoldedStatisticsIsInferenceWhereTheMeanIsNotLargeBesideTheSpread) {
  testing_support::Random random(5);
  Eigen::MatrixXd x = testing_support::random_values(33, 9, random).cast<double>();
  bn::AffineParameters<double> affine(9);
  affine.gamma = testing_support::random_per_channel(9, 0.5, 1.5, random).cast<double>();
  affine.beta = testing_support::random_per_channel(9, -1, 1, random).cast<double>();
  bn::RunningStatistics running(9);
  running.mean = testing_support::random_per_channel(9, -1, 1, random).cast<double>();
  running.variance = testing_support::random_per_channel(9, 0.5, 4, random).cast<double>();
  Eigen::MatrixXd folded, inferred;
  bn::scale_shift(x, bn::fold(affine, bn::statistics(running, 1e-5)), folded);
  bn::normalize(x, affine, bn::statistics(running, 1e-5), inferred);
  EXPECT_TRUE(testing_support::close_forward<double>(folded.array().cast<testing_support::Real>(),
                                                     inferred.array().cast<testing_support::Real>()));
}

TEST(Fold, RefusesWhatDoesNotFit) {
  bn::AffineParameters<float> affine(3);
  EXPECT_TRUE(has_parts(message_of([&] { (void)bn::fold(affine, bn::statistics(running_by_hand(), 7)); }), "fold",
                        "expected 2", "gamma", "got 3"));
  for (const double epsilon : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_TRUE(has_parts(
        message_of([&] { (void)bn::fold(bn::AffineParameters<float>(2), bn::statistics(running_by_hand(), epsilon)); }),
        "statistics", "epsilon > 0"));
  }
  auto running = running_by_hand();
  running.variance.resize(5);
  EXPECT_TRUE(has_parts(message_of([&] { (void)bn::fold(bn::AffineParameters<float>(2), bn::statistics(running, 7)); }),
                        "statistics", "expected 2", "variance", "got 5"));
}

TEST(ScaleShift, RefusesWhatDoesNotFit) {
  bn::ScaleShift<float> folded{Eigen::Array2f(0.5f, -2), Eigen::Array2f(1, 0.25f)};
  const Matrix x = Matrix::Zero(4, 3);
  Matrix y;
  EXPECT_EQ(message_of([&] { bn::scale_shift(x, folded, y); }),
            "batchnorm: scale_shift(x): expected 2 channels on axis 1 (samples_in_rows), got 3; x is [4, 3] row-major");
  folded.shift.resize(3);
  EXPECT_TRUE(has_parts(message_of([&] { bn::scale_shift(x.leftCols(2), folded, y); }), "scale_shift", "expected 2",
                        "shift", "got 3"));
}

TEST(Fold, RefusesWhatNoNumberIsLargeEnoughForAndNamesTheChannel) {
  bn::RunningStatistics running(3);
  running.mean << 0, 3e38, 0;
  bn::AffineParameters<float> affine(3);
  affine.gamma[1] = 10;
  EXPECT_TRUE(
      has_parts(message_of([&] { (void)bn::fold(affine, bn::statistics(running, 1e-5)); }), "fold", "channel 1"));
}

}  // namespace fold_test
