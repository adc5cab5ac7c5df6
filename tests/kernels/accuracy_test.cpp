// Sums whose rounding errors all go one way, gradients that are large beside their spread, and lanes behind the end of
// the data: as accurate with every instruction set. Built once for each.
#include <gtest/gtest.h>

#include <limits>

#include "support/hard_data.hpp"
#include "support/kernel_step.hpp"
#include "support/tolerance.hpp"

namespace testing_support::accuracy_test {

namespace bn = batchnorm;

/// What is promised whatever the width of a packet.
constexpr Real promised = 3e-7L;

/// |dx - ref| beside the largest term that dx is the sum of: dx itself, or dz about its mean.
Real centered_gradient_error(const Values& dx, const Values& dy, const Values& expected, const PerChannel& inv_std) {
  Real error = 0;
  for (Index c = 0; c < dx.cols(); ++c) {
    const Real term = (dy.col(c) - dy.col(c).mean()).abs().maxCoeff() * inv_std(c);
    error = std::max(error, max_abs(dx.col(c) - expected.col(c)) / std::max(term, expected.col(c).abs().maxCoeff()));
  }
  return error;
}

template <class Element>
void expect_promised_errors(const Values& x_values, const Values& dy_values, Index inner, Real epsilon = 1e-5L) {
  SCOPED_TRACE(testing::Message() << x_values.rows() << " values, inner " << inner);
  const Values x = rounded_to<Element>(x_values), dy = rounded_to<Element>(dy_values);
  const KernelStep<Element> step(x, dy, inner, double(epsilon));
  const PerChannel one = PerChannel::Ones(x.cols()), zero = PerChannel::Zero(x.cols());
  const auto forward = reference::forward(x, one, zero, epsilon);
  const auto backward = reference::backward(x, dy, one, epsilon);
  EXPECT_LE(forward_error(step.y, forward.y), promised);
  EXPECT_LE(centered_gradient_error(step.dx, dy, backward.dx, forward.inv_std), promised);
}

/// y = sign(z) sqrt|z|, whose derivative is infinite at 0.
struct signed_root {
  template <class Scalar>
  bn::Packet<Scalar> forward(const bn::Packet<Scalar>& z) const {
    return copysign(sqrt(abs(z)), z);
  }
  template <class Scalar>
  bn::Packet<Scalar> backward(const bn::Packet<Scalar>& z, const bn::Packet<Scalar>& dy) const {
    return dy / (bn::Packet<Scalar>::broadcast(2) * sqrt(abs(z)));
  }
  static std::string name() { return "signed_root"; }
};

template <class Scalar>
void expect_nothing_from_lanes_behind_the_end() {
  Random random(11);
  for (const Index inner : {1, 2, 3, 5, 9, 15, 17, 33, 63, 64, 65, 66, 67, 130, 700}) {
    for (const Index outer : {2, 3, 19}) {
      for (const Index channels : {1, 2, 5, 19}) {
        if (outer * inner < 3) continue;
        const Values x = rounded_to<Scalar>(random_values(outer * inner, channels, random));
        const Values dy = rounded_to<Scalar>(normal_values(outer * inner, channels, random));
        const KernelStep<Scalar, signed_root> step(x, dy, inner, 1e-5);
        EXPECT_TRUE((step.dx.abs() < 1e6L).all()) << outer << " x " << channels << " x " << inner;
        EXPECT_TRUE((step.gradients.beta.abs() < Scalar(1e6)).all()) << outer << " x " << channels << " x " << inner;
        EXPECT_TRUE((step.gradients.gamma.abs() < Scalar(1e6)).all());
      }
    }
  }
}

// x = 1000 - a, 1000 + a in turn: all squares are alike, and so are the rounding errors of their sum.
TEST(Accuracy, DoesNotDependOnHowManyAdditionsRoundTheSameWay) {
  Random random(4);
  for (const auto& [count, inner] : regimes) {
    for (const Real a : {0.9L, 1.0L, 1.1L, 1.37L, 0.77L, 1e-2L}) {
      Values x(count, 2);
      for (Index i = 0; i < count; ++i) x.row(i) = i % 2 == 0 ? 1000 - a : 1000 + a;
      expect_promised_errors<float>(x, normal_values(count, 2, random), inner);
    }
  }
}

TEST(Accuracy, OfOrdinaryAndOfHardDataIsThePromisedOne) {
  Random random(5);
  for (const auto& [count, inner] : regimes) {
    for (const auto& [mean, deviation] : {std::pair<Real, Real>{0.5L, 1}, {1e4L, 1e-2L}, {-1000, 1}, {1e6L, 1}}) {
      expect_promised_errors<float>(values_about(mean, deviation, count, 3, random), normal_values(count, 3, random),
                                    inner);
    }
  }
}

TEST(Accuracy, OfTheGradientDoesNotSufferFromAMeanOfDy) {
  Random random(6);
  for (const auto& [count, inner] : regimes) {
    for (const auto& [mean, deviation] : {std::pair<Real, Real>{1e4L, 1e-2L}, {-1000, 1}, {20, 1}, {3, 1}}) {
      expect_promised_errors<float>(normal_values(count, 3, random), values_about(mean, deviation, count, 3, random),
                                    inner);
      expect_promised_errors<float>(values_about(1e4L, 1e-2L, count, 3, random),
                                    values_about(mean, deviation, count, 3, random), inner);
    }
  }
}

// What dz is shifted by is estimated from a few of its values: one that is far out may be among them.
TEST(Accuracy, OfTheGradientSumsDoesNotSufferFromAnOutlierInDy) {
  Random random(8);
  for (const auto& [count, inner] : regimes) {
    const Values x = rounded_to<float>(normal_values(count, 3, random));
    for (const Index at : {Index(0), Index(1), inner / 2, count / 2}) {
      for (const Real outlier : {1e3L, 1e6L, -1e6L}) {
        Values dy = rounded_to<float>(Values::Constant(count, 3, std::copysign(7e-3L, outlier)));
        dy.row(at) = outlier;
        const KernelStep<float> step(x, dy, inner, 1e-5);
        const auto exact = reference::backward(x, dy, PerChannel::Ones(3), 1e-5L);
        const Values x_hat = reference::forward(x, PerChannel::Ones(3), PerChannel::Zero(3), 1e-5L).x_hat;
        for (Index c = 0; c < 3; ++c) {
          EXPECT_LE(std::abs(Real(step.gradients.beta[c]) - exact.dbeta(c)), promised * std::abs(exact.dbeta(c)));
          // x_hat has an error of its own, beside 1.
          EXPECT_LE(std::abs(Real(step.gradients.gamma[c]) - exact.dgamma(c)),
                    promised * (dy.col(c) * x_hat.col(c).abs().max(Real(1))).abs().sum())
              << count << " " << inner << " at " << at;
        }
      }
    }
  }
}

// About a given mean distances do not add up to 0. Their sum is as exact of a million values as of a few.
TEST(Accuracy, OfTheSumsAboutAGivenMeanDoesNotDependOnHowManyThereAre) {
  const Index count = 1'000'000;
  for (const Index inner : {count, Index(1), Index(100)}) {
    Values x(count, 1);
    for (Index i = 0; i < count; ++i) x(i, 0) = 0.1L + Real(i * 7919 % 1000) * 1e-6L;
    const Values dy = rounded_to<double>(Values::Constant(count, 1, 0.3L));
    x = rounded_to<double>(x);
    LaidOut<double> x_laid_out(x, inner), dy_laid_out(dy, inner);
    const std::array<bn::ChannelView<const double>, 2> inputs{x_laid_out.view(), dy_laid_out.view()};
    const bn::Statistics statistics{Eigen::ArrayXd::Zero(1), Eigen::ArrayXd::Ones(1), 0};
    const bn::AffineParameters<double> affine;
    const bn::detail::Normalization<double, bn::activations::identity> forward{statistics, affine, {}};
    bn::GradientSums sums;
    bn::detail::gradient_sums(bn::Device(), inputs, forward, sums);
    const Real exact = (x * dy).sum();
    EXPECT_LE(std::abs(Real(sums.dy_x[0]) - exact), 8 * Real(std::numeric_limits<double>::epsilon()) * exact) << inner;
  }
}

// Halves of a batch: the distances from the whole batch's mean do not add up to 0 in either.
TEST(Accuracy, OfTheSumsOfAPartOfABatchDoesNotSufferFromAMeanOfDyEither) {
  Random random(7);
  for (const auto& [count, inner] : regimes) {
    if (count == inner) continue;
    const Values x = rounded_to<float>(normal_values(count, 3, random)),
                 dy = rounded_to<float>(values_about(1e4L, 1e-2L, count, 3, random));
    const Index half = count / inner / 2 * inner;
    bn::GradientSums together(3);
    const KernelStep<float> whole(x, dy, inner, 1e-5);
    for (const bool first : {true, false}) {
      LaidOut<float> x_part(first ? x.topRows(half) : x.bottomRows(count - half), inner),
          dy_part(first ? dy.topRows(half) : dy.bottomRows(count - half), inner);
      bn::GradientSums sums;
      const std::array<bn::ChannelView<const float>, 2> inputs{x_part.view(), dy_part.view()};
      const bn::AffineParameters<float> affine;
      const bn::detail::Normalization<float, bn::activations::identity> forward{
          {whole.moments, whole.moments.count, 1e-5}, affine, {}};
      bn::detail::gradient_sums(bn::Device(), inputs, forward, sums);
      together.add(sums);
    }
    const Values centered = x.rowwise() - whole.moments.mean.cast<Real>().transpose();
    for (Index c = 0; c < 3; ++c) {
      // Both are sums of dy less a shift near its mean, and err as those do.
      const PerChannel distances = (dy.col(c) - dy.col(c).mean()).abs();
      const Real exact = (dy.col(c) * centered.col(c)).sum();
      EXPECT_LE(std::abs(Real(together.dy[c]) - dy.col(c).sum()), promised * distances.sum());
      EXPECT_LE(std::abs(Real(together.dy_x[c]) - exact), promised * (distances * centered.col(c).abs()).sum())
          << count << " " << inner;
    }
  }
}

TEST(LanesBehindTheEnd, NeverEnterASumInFloat) { expect_nothing_from_lanes_behind_the_end<float>(); }
TEST(LanesBehindTheEnd, NeverEnterASumInDouble) { expect_nothing_from_lanes_behind_the_end<double>(); }

}  // namespace testing_support::accuracy_test
