// Statistics as a value: made of moments, of running statistics, or of numbers of one's own.
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/forward.hpp>
#include <limits>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/throws.hpp"

namespace statistics_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::equal_bits;
using testing_support::equal_statistics;
using testing_support::has_parts;
using testing_support::message_of;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Four values of variance 9 in each channel: with epsilon 7 inv_std is 1/4.
bn::Moments some_moments() {
  bn::Moments moments(2);
  moments.count = 4;
  moments.mean << 1, -2;
  moments.m2 << 36, 36;
  return moments;
}

const Matrix x = Matrix::Random(24, 5), dy = Matrix::Random(24, 5);

bn::AffineParameters<float> some_affine() {
  bn::AffineParameters<float> affine(5);
  affine.gamma << 0.5f, 1, -2, 1.5f, 3;
  affine.beta << 1, 0, -1, 0.25f, 2;
  return affine;
}

bn::Statistics statistics_of_x() {
  bn::Moments moments;
  bn::batch_moments(x, moments);
  return bn::statistics(moments, 1e-5);
}

TEST(Statistics, OfMomentsAreTheBiasedVarianceAndTheirCount) {
  const auto statistics = bn::statistics(some_moments(), 7);
  EXPECT_EQ(statistics.channels(), 2);
  EXPECT_EQ(statistics.count, 4);
  EXPECT_EQ(statistics.mean[0], 1.0);
  EXPECT_EQ(statistics.mean[1], -2.0);
  EXPECT_EQ(statistics.inv_std[0], 0.25);  // 1 / sqrt(36 / 4 + 7)
  EXPECT_EQ(statistics.inv_std[1], 0.25);
}

TEST(Statistics, OfRunningStatisticsAreConstants) {
  bn::RunningStatistics running(1);
  running.mean[0] = 3;
  running.variance[0] = 57;
  const auto statistics = bn::statistics(running, 7);
  EXPECT_EQ(statistics.count, 0);
  EXPECT_EQ(statistics.mean[0], 3.0);
  EXPECT_EQ(statistics.inv_std[0], 0.125);
}

TEST(Statistics, OfNoValuesOrOfAnotherNumberOfChannelsAreRefused) {
  EXPECT_TRUE(has_parts(message_of([] { (void)bn::statistics(bn::Moments(3), 1e-5); }), "statistics(moments)",
                        "at least 1 value", "got 0"));
  auto moments = some_moments();
  moments.m2.resize(5);
  EXPECT_TRUE(has_parts(message_of([&] { (void)bn::statistics(moments, 1e-5); }), "statistics", "expected 2 values",
                        "moments.m2", "got 5"));
  for (const double epsilon : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_TRUE(
        has_parts(message_of([&] { (void)bn::statistics(some_moments(), epsilon); }), "statistics", "epsilon > 0"));
  }
}

TEST(Statistics, WhoseSquaresAreNoDoublesHaveNoInverseRatherThanZero) {
  auto moments = some_moments();
  moments.m2[0] = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(std::isnan(bn::statistics(moments, 1e-5).inv_std[0]));
  EXPECT_FALSE(std::isnan(bn::statistics(moments, 1e-5).inv_std[1]));
}

TEST(Statistics, MayBeNumbersOfOnesOwn) {
  bn::Statistics own;
  own.mean = Eigen::ArrayXd::Constant(5, 0.5);
  own.inv_std = Eigen::ArrayXd::Constant(5, 4);
  const Matrix halves = Matrix::Constant(24, 5, 1);
  Matrix y, dx;
  bn::normalize(halves, bn::AffineParameters<float>(), own, y);
  EXPECT_EQ(y, Matrix::Constant(24, 5, 2));  // (1 - .5) * 4
  bn::Gradients<float> gradients(5);
  bn::backward(halves, halves, bn::AffineParameters<float>(5), own, dx, gradients);
  EXPECT_EQ(dx, Matrix::Constant(24, 5, 4));
  EXPECT_TRUE((gradients.gamma == 48).all());  // 24 times 1 * 2
  EXPECT_TRUE((gradients.beta == 24).all());
  own.inv_std.resize(4);
  EXPECT_TRUE(has_parts(message_of([&] { bn::normalize(halves, bn::AffineParameters<float>(), own, y); }), "normalize",
                        "expected 5 values in statistics.inv_std", "got 4"));
}

TEST(Statistics, NormalizeWithTheBitsOfTheFusedPass) {
  Matrix fused, in_halves;
  bn::Moments moments;
  bn::train_forward(x, some_affine(), 1e-5, fused, moments);
  bn::normalize(x, some_affine(), bn::statistics(moments, 1e-5), in_halves);
  EXPECT_TRUE(equal_bits(fused, in_halves));
}

TEST(ParameterGradients, OfTheSumsAreThoseOfTheFusedPass) {
  Matrix dx, in_halves;
  bn::Gradients<float> fused, gradients(5);
  const auto affine = some_affine();
  const auto statistics = statistics_of_x();
  bn::backward(x, dy, affine, statistics, dx, fused);
  bn::GradientSums sums;
  bn::gradient_sums(x, dy, affine, statistics, sums);
  bn::input_gradient(x, dy, affine, statistics, sums, in_halves);
  bn::parameter_gradients(sums, statistics, gradients);
  EXPECT_TRUE(equal_bits(dx, in_halves));
  EXPECT_TRUE(equal_statistics(gradients.gamma, fused.gamma));
  EXPECT_TRUE(equal_statistics(gradients.beta, fused.beta));
}

TEST(ParameterGradients, AddUpAndLeaveOutWhatIsNotThere) {
  bn::GradientSums sums(2);
  sums.dy << 3, -1;
  sums.dy_x << 8, 4;
  const auto statistics = bn::statistics(some_moments(), 7);
  bn::Gradients<float> both(2), no_gamma(2, false, true);
  both.gamma.setConstant(1);
  bn::parameter_gradients(sums, statistics, both);
  bn::parameter_gradients(sums, statistics, no_gamma);
  EXPECT_EQ(both.gamma[0], 3.0f);  // 1 + 8 / 4
  EXPECT_EQ(both.gamma[1], 2.0f);
  EXPECT_EQ(both.beta[0], 3.0f);
  EXPECT_EQ(no_gamma.gamma.size(), 0);
  EXPECT_EQ(no_gamma.beta[1], -1.0f);
  bn::Gradients<float> wide(3);
  EXPECT_TRUE(has_parts(message_of([&] { bn::parameter_gradients(sums, statistics, wide); }), "parameter_gradients",
                        "expected 2 values in gradients.gamma", "got 3"));
}

// Of no channels there is nothing to sum, and nothing to divide by.
TEST(NoChannels, HaveNoStatistics) {
  for (const Index samples : {Index(0), Index(4)}) {
    const Matrix none(samples, 0);
    const Eigen::MatrixXf none_in_columns(samples, 0);
    Matrix y, dx;
    bn::Moments moments(3);
    EXPECT_TRUE(
        has_parts(message_of([&] { bn::train_forward(none, bn::AffineParameters<float>(0), 1e-5, y, moments); }),
                  "train_forward(x): expected at least 1 value per channel", "got none"));
    bn::batch_moments(none, moments);
    EXPECT_EQ(moments.channels(), 0);
    bn::batch_moments(none_in_columns, moments);
    EXPECT_EQ(moments.count, 0);
    bn::GradientSums sums;
    bn::gradient_sums(none, none, bn::AffineParameters<float>(0), bn::Statistics(), sums);
    EXPECT_EQ(sums.dy.size(), 0);
  }
}

}  // namespace statistics_test
