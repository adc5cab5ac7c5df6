// Values of any size that the element type has: as accurate as ordinary ones, with every instruction set. Built once
// for each.
#include <gtest/gtest.h>

#include <limits>

#include "support/compare.hpp"
#include "support/kernel_step.hpp"

namespace testing_support::extremes_test {

namespace bn = batchnorm;

/// -a, a, 2a, -3a again and again; dy = 1, 0, 0, 0, or less regular.
Values pattern(Real a, Index count) {
  Values x(count, 2);
  for (Index i = 0; i < count; ++i) {
    x(i, 0) = a * (i % 4 == 0 ? -1 : i % 4 == 1 ? 1 : i % 4 == 2 ? 2 : -3);
    x(i, 1) = a * (i % 5 == 0 ? -0.7L : i % 3 == 1 ? 1.3L : 0.1L);
  }
  return x;
}
Values gradient(Real size, Index count) {
  Values dy(count, 2);
  for (Index i = 0; i < count; ++i) {
    dy(i, 0) = size * (i % 4 == 0);
    dy(i, 1) = size * (0.1L + Real(i % 7) / 3);
  }
  return dy;
}

template <class Scalar>
void expect_accurate(const Values& x_values, const Values& dy_values, Index inner, Real epsilon) {
  SCOPED_TRACE(testing::Message() << x_values.rows() << " values like " << double(x_values(0, 0)) << ", inner "
                                  << inner);
  const Values x = rounded_to<Scalar>(x_values), dy = rounded_to<Scalar>(dy_values);
  const KernelStep<Scalar> step(x, dy, inner, double(epsilon));
  const PerChannel one = PerChannel::Ones(x.cols()), zero = PerChannel::Zero(x.cols());
  const auto forward = reference::forward(x, one, zero, epsilon);
  const auto backward = reference::backward(x, dy, one, epsilon);
  const Real allowed = 3e-7L * Real(std::numeric_limits<Scalar>::epsilon() / std::numeric_limits<float>::epsilon());
  EXPECT_LE(forward_error(step.y, forward.y), 4 * allowed);
  for (Index c = 0; c < x.cols(); ++c) {
    const Real largest = std::max(backward.dx.col(c).abs().maxCoeff(), dy.col(c).abs().maxCoeff() * forward.inv_std(c));
    const Real denormal = Real(std::numeric_limits<Scalar>::denorm_min());
    EXPECT_LE(max_abs(step.dx.col(c) - backward.dx.col(c)), 4 * allowed * largest + denormal) << "channel " << c;
    if (std::abs(backward.dgamma(c)) > Real(std::numeric_limits<Scalar>::max())) continue;
    EXPECT_LE(std::abs(Real(step.gradients.gamma[c]) - backward.dgamma(c)),
              10 * allowed * (dy.col(c) * forward.x_hat.col(c)).abs().sum());
  }
}

TEST(Extremes, FloatsOfAnySizeAreNormalizedAsOthersAre) {
  for (const auto& [count, inner] : regimes) {
    for (int exponent = -37; exponent <= 37; exponent += 2) {
      const Real a = std::pow(Real(10), exponent), epsilon = 1e-60L;
      if (exponent > -17) {
        expect_accurate<float>(pattern(a, count), gradient(1, count), inner, epsilon);
      } else {
        expect_accurate<float>(pattern(a, count), gradient(1e-3L, count), inner, 1e-76L);
      }
    }
    expect_accurate<float>(pattern(1e38L, count), gradient(1, count), inner, 1e-5L);
    expect_accurate<float>(pattern(1e-21L, count), gradient(1, count), inner, 1e-60L);
  }
}

TEST(Extremes, DoublesWhoseSquaresAreDoublesAreNormalizedAsOthersAre) {
  for (const auto& [count, inner] : regimes) {
    for (const Real a : {1e-150L, 1e-110L, 1e-60L, 1e60L, 1e108L, 1e110L, 1e150L}) {
      expect_accurate<double>(pattern(a, count), gradient(1, count), inner, a < 1 ? 1e-308L : 1e-5L);
    }
  }
}

// Of -1, 1, 2, -3 times a the mean is -a / 4 and M2 is 59 / 4 a^2: y = -3 / sqrt(59), dx = 168 / (59 sqrt(59) a).
TEST(Extremes, ValuesOfTheFirstFourOfThePattern) {
  const double y0 = -3 / std::sqrt(59.0), dx0 = 168 / (59 * std::sqrt(59.0));
  for (const Index inner : {1, 4}) {
    const Values x = pattern(1e108L, 4).leftCols(1), dy = gradient(1, 4).leftCols(1);
    EXPECT_NEAR(double(KernelStep<double>(x, dy, inner, 1e-5).dx(0, 0)) * 1e108, dx0, 1e-15);
    const KernelStep<double> small(pattern(1e-110L, 4).leftCols(1), dy, inner, 1e-308);
    EXPECT_NEAR(double(small.dx(0, 0)) * 1e-110, dx0, 1e-15);
    const KernelStep<float> tiny(pattern(1e-21L, 4).leftCols(1), dy, inner, 1e-60);
    EXPECT_NEAR(double(tiny.dx(0, 0)) * 1e-21, dx0, 3e-7);
    const KernelStep<float> large(pattern(1e38L, 4).leftCols(1), dy, inner, 1e-5);
    EXPECT_NEAR(double(large.y(0, 0)), y0, 3e-7);
    EXPECT_NEAR(double(large.dx(0, 0)) * 1e38, dx0, 3e-7);
  }
}

TEST(Extremes, GradientsOfAnySizeAreThoseOfOrdinaryOnesTimesThatSize) {
  for (const auto& [count, inner] : regimes) {
    for (const Real size : {1e-34L, 1e-25L, 1e-10L, 1e20L, 1e30L, 1e36L}) {
      expect_accurate<float>(pattern(1, count), gradient(size, count), inner, 1e-5L);
      if (size > 1) expect_accurate<float>(pattern(1e20L, count), gradient(size, count), inner, 1e-5L);
    }
    // The slope of dx over x has no room in a float then, dx has.
    for (const Real size : {1e-18L, 1e-20L, 1e-22L}) {
      expect_accurate<float>(pattern(1e12L, count), gradient(size, count), inner, 1e-5L);
    }
    expect_accurate<float>(pattern(1e8L, count), gradient(1e-25L, count), inner, 1e-5L);
    expect_accurate<float>(pattern(1e5L, count), gradient(1e-32L, count), inner, 1e-5L);
    expect_accurate<float>(pattern(1e3L, count), gradient(1e-34L, count), inner, 1e-5L);
  }
}

// The sample is 0, as padding is; what follows is anything.
TEST(Extremes, ZerosMayBeFollowedByValuesOfAnySize) {
  for (const auto& [count, inner] : regimes) {
    for (const Real a : {1e-36L, 1e-27L, 1e-12L, 1.0L, 1e9L, 1e25L, 1e38L}) {
      Values x = pattern(a, count);
      x.topRows(count / 8).setZero();
      expect_accurate<float>(x, gradient(1e-3L, count), inner, 1e-76L);
    }
  }
}

// dx is of dy's size then, gamma / std of size 1.
TEST(Extremes, AGammaOfTheSizeOfTheDeviationLosesNoGradient) {
  for (const auto& [count, inner] : regimes) {
    for (const auto& [a, size, epsilon] :
         {std::array{1e20L, 1e-26L, 1e-5L}, {1e16L, 1e-25L, 1e-5L}, {1e-20L, 1e25L, 1e-50L}, {1e-16L, 1e30L, 1e-42L}}) {
      const Values x = rounded_to<float>(pattern(a, count)), dy = rounded_to<float>(gradient(size, count));
      bn::AffineParameters<float> affine(2);
      affine.gamma.setConstant(float(a));
      const KernelStep<float> step(x, dy, inner, double(epsilon), affine);
      const auto expected = reference::backward(x, dy, affine.gamma.cast<Real>(), epsilon);
      for (Index c = 0; c < 2; ++c) {
        EXPECT_LE(max_abs(step.dx.col(c) - expected.dx.col(c)), 2e-6L * size) << double(a) << ", inner " << inner;
      }
    }
  }
}

TEST(Extremes, ATinyGammaOfLargeValuesLosesNoDigits) {
  for (const auto& [count, inner] : regimes) {
    const Values x = rounded_to<float>(pattern(1e14L, count)), dy = gradient(1, count);
    bn::AffineParameters<float> affine(2);
    affine.gamma << 1e-28f, -3e-29f;
    const KernelStep<float> step(x, dy, inner, 1e-5, affine);
    const auto expected = reference::forward(x, affine.gamma.cast<Real>(), PerChannel::Zero(2), 1e-5L);
    for (Index c = 0; c < 2; ++c) {
      EXPECT_LE(max_abs(step.y.col(c) - expected.y.col(c)), 1e-6L * expected.y.col(c).abs().maxCoeff());
    }
  }
}

TEST(Extremes, AConstantChannelGivesBetaForAnyMagnitude) {
  for (const auto& [count, inner] : regimes) {
    for (const double constant : {0.0, 1e-38, 1e-20, 3.3, 1e20, -3e38}) {
      for (const double epsilon : {1e-76, 1e-5, 1e30}) {
        const KernelStep<float> step(Values::Constant(count, 2, Real(float(constant))), gradient(1e-3L, count), inner,
                                     epsilon);
        EXPECT_TRUE((step.y == 0).all()) << constant << ", epsilon " << epsilon << ", inner " << inner;
        EXPECT_FALSE(step.dx.isNaN().any()) << constant << ", epsilon " << epsilon << ", inner " << inner;
        EXPECT_TRUE((step.gradients.gamma == 0).all());
        EXPECT_TRUE((step.moments.m2 == 0).all());
        EXPECT_TRUE((step.moments.mean == double(float(constant))).all());
      }
    }
    bn::AffineParameters<float> affine(2);
    affine.gamma.setConstant(2e36f);
    affine.beta.setConstant(0.25f);
    const KernelStep<float> step(Values::Constant(count, 2, 7), gradient(0, count), inner, 1e-5, affine);
    EXPECT_TRUE((step.y == 0.25L).all());
  }
}

TEST(Extremes, AreNormalizedByGivenStatisticsToo) {
  namespace detail = bn::detail;
  for (const Index inner : {1, 5, 700}) {
    LaidOut<float> x(Values::Constant(2 * inner, 3, 3e38L), inner), y(Values::Zero(2 * inner, 3), inner);
    bn::RunningStatistics running(3);
    running.mean << -3e38, 0, double(3e38f);
    running.variance << 1e30, 1, 1;
    const bn::AffineParameters<float> affine;
    const std::array<bn::ChannelView<const float>, 1> inputs{x.view()};
    const detail::Normalization<float, bn::activations::identity> forward{{running, 1e-5}, affine, {}};
    detail::normalize(bn::Device(), inputs, forward, y.view());
    EXPECT_NEAR(double(y.at(0, 0)) / 6e23, 1, 1e-6);
    EXPECT_NEAR(double(y.at(0, 1)) / 3e38, 1, 1e-5);
    EXPECT_EQ(y.at(0, 2), 0.0f);
  }
}

// Whatever x and its mean are: dx is dy times a factor, or times two where one has no room for it.
TEST(Extremes, GradientsThroughGivenStatisticsAreMultiplesOfDy) {
  namespace detail = bn::detail;
  constexpr Real sizes[] = {1, 1e-34L, 1e30L, 1e-3L, 1e3L};
  for (const Index inner : {1, 5, 700}) {
    Values values(2 * inner, 5);
    for (Index c = 0; c < 5; ++c) values.col(c).setLinSpaced(-sizes[c], 1.7L * sizes[c]);
    LaidOut<float> x(Values::Constant(2 * inner, 5, std::numeric_limits<Real>::quiet_NaN()), inner);
    LaidOut<float> dy(values, inner), dx(Values::Zero(2 * inner, 5), inner);
    bn::Statistics statistics{Eigen::ArrayXd(5), Eigen::ArrayXd(5)};
    statistics.mean << 1e4, -3e38, 3e38, 0, 1e-3;
    statistics.inv_std << 7, 3e36, 1e-32, 1e33, 1e-33;
    bn::AffineParameters<float> affine(5);
    affine.gamma << -0.3f, 1, 2, 1e-3f, 1e3f;
    affine.beta.setConstant(3e38f);
    const detail::Normalization<float, bn::activations::identity> forward{statistics, affine, {}};
    const std::array<bn::ChannelView<const float>, 2> inputs{x.view(), dy.view()};
    detail::frozen_input_gradient(bn::Device(), inputs, forward, std::array{dx.view()});
    for (Index c = 0; c < 5; ++c) {
      const Real factor = Real(affine.gamma[c]) * Real(statistics.inv_std[c]);
      for (Index i = 0; i < 2 * inner; ++i) {
        const Real expected = Real(dy.at(i, c)) * factor;
        EXPECT_NEAR(double(dx.at(i, c) / expected), 1, 3e-7)
            << "channel " << c << ", value " << i << ", inner " << inner;
      }
    }
  }
}

TEST(Extremes, ChangeNoBitOfTheChannelsBesideThem) {
  Random random(13);
  for (const auto& [count, inner] : regimes) {
    for (const Real value : {1e-30L, 1e30L, 3e38L, -3e38L, std::numeric_limits<Real>::infinity(),
                             std::numeric_limits<Real>::quiet_NaN()}) {
      for (const Real dy_value : {1.0L, 1e37L, std::numeric_limits<Real>::quiet_NaN()}) {
        const Values x = rounded_to<float>(random_values(count, 5, random)),
                     dy = rounded_to<float>(normal_values(count, 5, random));
        Values beside = x, dy_beside = dy;
        beside.col(2) *= value;
        dy_beside.col(2) *= dy_value;
        const KernelStep<float> a(x, dy, inner, 1e-5);
        KernelStep<float> b(beside, dy_beside, inner, 1e-5);
        b.y.col(2) = a.y.col(2);
        b.dx.col(2) = a.dx.col(2);
        ASSERT_TRUE(equal_bits(b.y, a.y)) << double(value) << ", inner " << inner;
        ASSERT_TRUE(equal_bits(b.dx, a.dx)) << double(value) << ", inner " << inner;
      }
    }
  }
}

// Of numbers whose squares are no doubles there is no variance: NaN, rather than beta for all of them.
TEST(Extremes, DoublesWhoseSquaresAreNoDoublesGiveNaN) {
  for (const auto& [count, inner] : regimes) {
    const KernelStep<double> step(pattern(1e160L, count), gradient(1, count), inner, 1e-5);
    EXPECT_TRUE(step.y.isNaN().all()) << "inner " << inner;
  }
}

}  // namespace testing_support::extremes_test
