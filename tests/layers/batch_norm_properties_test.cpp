// What must hold whatever the data, and needs no reference.
#include <gtest/gtest.h>

#include <array>
#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <limits>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/compare.hpp"
#include "support/kernels.hpp"

namespace batch_norm_properties_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::equal_bits;
using testing_support::equal_statistics;
using testing_support::Real;
using testing_support::Values;

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Layer = bn::BatchNorm<double>;

constexpr double epsilon = 1e-5;
constexpr Index samples = 30, channels = 6;

Matrix data(std::uint64_t seed, Index rows = samples, Index columns = channels) {
  testing_support::Random random(seed);
  return testing_support::random_values(rows, columns, random).cast<double>();
}

bn::AffineParameters<double> some_affine() {
  testing_support::Random random(99);
  bn::AffineParameters<double> affine(channels);
  affine.gamma = testing_support::random_per_channel(channels, 0.5, 1.5, random).cast<double>();
  affine.beta = testing_support::random_per_channel(channels, -1, 1, random).cast<double>();
  return affine;
}

struct Pass {
  Matrix y, dx;
  bn::Moments moments;
  bn::Gradients<double> gradients;
};

Pass train(const Matrix& x, const Matrix& dy, double eps = epsilon) {
  Pass pass;
  bn::train_forward(x, some_affine(), eps, pass.y, pass.moments);
  bn::backward(x, dy, some_affine(), bn::statistics(pass.moments, eps), pass.dx, pass.gradients);
  return pass;
}

testing::AssertionResult close(const Matrix& actual, const Matrix& expected, double allowance) {
  return testing_support::compare_detail::compare(actual.array().cast<Real>(), expected.array().cast<Real>(),
                                                  [&](Index, Index) { return Real(allowance); });
}

/// Values here are near 1 and come from data with |mean| / std up to 3: a few of double's 8 epsilon.
constexpr double rounding = 16 * double(testing_support::tolerance<double>());

// x + 4 and its mean are rounded by 4 u each, half an epsilon: 16 u of a deviation of .5, of the 256 that are allowed.
TEST(Training, IsInvariantUnderAShiftOfX) {
  const Matrix x = data(1), dy = data(2);
  const Matrix shifted = (x.array() + 4.0).matrix();
  const Pass before = train(x, dy), after = train(shifted, dy);
  EXPECT_TRUE(close(after.y, before.y, rounding));
  EXPECT_TRUE(close(after.dx, before.dx, rounding));
}

// With epsilon scaled along: y the same, dx divided by the factor.
TEST(Training, IsInvariantUnderAScaleOfX) {
  const Matrix x = data(1), dy = data(2);
  const double factor = 8;  // exact in binary, so every bit must be the same
  const Pass before = train(x, dy), after = train(factor * x, dy, epsilon * factor * factor);
  EXPECT_TRUE(equal_bits(after.y, before.y));
  EXPECT_TRUE(equal_bits((factor * after.dx).eval(), before.dx));
  EXPECT_TRUE(equal_statistics(after.gradients.gamma, before.gradients.gamma));
}

TEST(Training, GivesEveryChannelMeanBetaAndDeviationGamma) {
  const Matrix x = data(1);
  const Pass pass = train(x, data(2), 1e-30);
  const auto affine = some_affine();
  for (Index c = 0; c < channels; ++c) {
    const Eigen::ArrayXd y = pass.y.col(c).array();
    EXPECT_NEAR(y.mean(), affine.beta[c], rounding);
    EXPECT_NEAR(std::sqrt((y - y.mean()).square().mean()), affine.gamma[c], rounding);
  }
}

// Section 3.3 of the paper: BN(Wu) = BN((aW)u), dBN((aW)u)/du = dBN(Wu)/du, dBN((aW)u)/d(aW) = 1/a dBN(Wu)/dW.
TEST(Training, IsInvariantUnderTheScaleOfTheWeightsBeforeIt) {
  const double a = 4;  // exact in binary, so every bit must be the same
  const Matrix u = data(3, samples, 4), w = data(4, 4, channels), dy = data(5);
  const auto through = [&](const Matrix& weights) {
    struct Result {
      Matrix y, du, dw;
    } result;
    const Pass pass = train(u * weights, dy, 1e-30);  // the paper's statement is for epsilon = 0
    result.y = pass.y;
    result.du = pass.dx * weights.transpose();
    result.dw = u.transpose() * pass.dx;
    return result;
  };
  const auto plain = through(w), scaled = through(a * w);
  EXPECT_TRUE(equal_bits(scaled.y, plain.y));
  EXPECT_TRUE(equal_bits(scaled.du, plain.du));
  EXPECT_TRUE(equal_bits((a * scaled.dw).eval(), plain.dw));
}

TEST(Training, GivesGradientsThatSumToZeroInEveryChannel) {
  const Matrix x = data(1), dy = data(2);
  const Pass pass = train(x, dy);
  for (Index c = 0; c < channels; ++c) {
    const double magnitude = pass.dx.col(c).array().abs().sum();
    EXPECT_GT(magnitude, 0);
    EXPECT_LE(std::abs(pass.dx.col(c).sum()), rounding * magnitude) << "channel " << c;
  }
}

TEST(Training, GivesGradientsThatAreOrthogonalToXUpToEpsilon) {
  const Matrix x = data(1), dy = data(2);
  Pass pass;
  bn::train_forward(x, some_affine(), 1e-30, pass.y, pass.moments);
  bn::backward(x, dy, some_affine(), bn::statistics(pass.moments, 1e-30), pass.dx, pass.gradients);
  for (Index c = 0; c < channels; ++c) {
    const Eigen::ArrayXd deviation = x.col(c).array() - pass.moments.mean[c];
    EXPECT_LE(std::abs((pass.dx.col(c).array() * deviation).sum()),
              rounding * (pass.dx.col(c).array() * deviation).abs().sum());
  }
}

TEST(Training, CanBeUndoneByGammaAndBeta) {
  const Matrix x = data(1);
  bn::Moments moments;
  bn::batch_moments(x, moments);
  bn::AffineParameters<double> affine(channels);
  affine.gamma = (moments.variance() + epsilon).sqrt();
  affine.beta = moments.mean;
  Matrix y;
  bn::train_forward(x, affine, epsilon, y, moments);
  for (Index c = 0; c < channels; ++c) {
    EXPECT_TRUE(close(y.col(c), x.col(c), rounding * x.col(c).cwiseAbs().maxCoeff()));
  }
}

using Image = Eigen::Tensor<double, 4, Eigen::RowMajor>;

template <class Layout>
struct ImagePass {
  Image y, dx;
  bn::Moments moments;
  bn::Gradients<double> gradients;

  ImagePass(const Image& x, const Image& dy) {
    bn::train_forward<Layout>(x, some_affine(), epsilon, y, moments);
    bn::backward<Layout>(x, dy, some_affine(), bn::statistics(moments, epsilon), dx, gradients);
  }
};

TEST(Training, AgreesBetweenNCHWAndNHWCAfterTransposing) {
  testing_support::Random random(8);
  Image x(3, channels, 5, 7), dy(3, channels, 5, 7);
  testing_support::assign(testing_support::random_values(105, channels, random), x, 1);
  testing_support::assign(testing_support::normal_values(105, channels, random), dy, 1);
  const std::array<int, 4> to_nhwc{0, 2, 3, 1};
  const Image x_last = x.shuffle(to_nhwc), dy_last = dy.shuffle(to_nhwc);
  const ImagePass<bn::channel_first> first(x, dy);
  const ImagePass<bn::channel_last> last(x_last, dy_last);
  const auto agree = [](const Image& a, const Image& b) {
    return testing_support::compare_detail::compare(testing_support::values_of(b, 3), testing_support::values_of(a, 1),
                                                    [](Index, Index) { return Real(rounding); });
  };
  EXPECT_TRUE(agree(first.y, last.y));
  EXPECT_TRUE(agree(first.dx, last.dx));
  EXPECT_TRUE(testing_support::close_sums<double>(last.gradients.beta, first.gradients.beta.cast<Real>(),
                                                  testing_support::values_of(dy, 1)));
}

TEST(Training, OfPartsWithMergedMomentsAndSumsIsTrainingOfTheWhole) {
  const Matrix x = data(1), dy = data(2);
  const Pass whole = train(x, dy);
  const auto affine = some_affine();
  const Index cuts[] = {0, 1, 8, 29, samples};

  bn::Moments moments;
  for (int part = 0; part < 4; ++part) {
    bn::Moments of_part;
    bn::batch_moments(x.middleRows(cuts[part], cuts[part + 1] - cuts[part]), of_part);
    moments.merge(of_part);
  }
  EXPECT_EQ(moments.count, samples);
  EXPECT_TRUE(testing_support::close_relative<double>(moments.m2, whole.moments.m2.cast<Real>()));

  Matrix y(samples, channels), dx(samples, channels);
  bn::GradientSums sums(channels);
  for (int part = 0; part < 4; ++part) {
    const Index first = cuts[part], rows = cuts[part + 1] - cuts[part];
    bn::normalize(x.middleRows(first, rows), affine, bn::statistics(moments, epsilon), y.middleRows(first, rows));
    bn::GradientSums of_part;
    bn::gradient_sums(x.middleRows(first, rows), dy.middleRows(first, rows), affine, bn::statistics(moments, epsilon),
                      of_part);
    sums.add(of_part);
  }
  for (int part = 0; part < 4; ++part) {
    const Index first = cuts[part], rows = cuts[part + 1] - cuts[part];
    bn::input_gradient(x.middleRows(first, rows), dy.middleRows(first, rows), affine, bn::statistics(moments, epsilon),
                       sums, dx.middleRows(first, rows));
  }
  EXPECT_TRUE(close(y, whole.y, rounding));
  EXPECT_TRUE(close(dx, whole.dx, rounding));
}

TEST(Training, OfOneChannelDoesNotDependOnItsNeighbors) {
  const Matrix x = data(1), dy = data(2);
  const Pass all = train(x, dy);
  Matrix strange = x;
  strange.col(2).setConstant(std::numeric_limits<double>::quiet_NaN());
  strange(3, 4) = 1e300;
  const Pass others = train(strange, dy);
  for (const Index c : {0, 1, 3, 5}) {
    EXPECT_TRUE(equal_bits(others.y.col(c).eval(), all.y.col(c).eval()));
    EXPECT_TRUE(equal_bits(others.dx.col(c).eval(), all.dx.col(c).eval()));
    EXPECT_TRUE(testing_support::same_bits(others.gradients.gamma[c], all.gradients.gamma[c]));
  }
}

}  // namespace batch_norm_properties_test
