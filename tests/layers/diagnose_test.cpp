// Each finding: provoked by a layer in that state, absent in a healthy one and on the near side of its bound.
#include <gtest/gtest.h>

#include <algorithm>
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/layers/batch_renorm.hpp>
#include <batchnorm/layers/diagnose.hpp>
#include <batchnorm/layers/ghost_batch_norm.hpp>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "support/kernels.hpp"
#include "support/moments.hpp"
#include "support/random.hpp"
#include "support/throws.hpp"

namespace diagnose_test {

namespace bn = batchnorm;
using bn::FindingKind;
using Eigen::Index;
using testing_support::has_parts;
using testing_support::message_of;
using testing_support::Random;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

Eigen::MatrixXd drawn(Index rows, Index channels, Random& random) {
  Eigen::MatrixXd x(rows, channels);
  for (Index c = 0; c < channels; ++c) {
    for (Index i = 0; i < rows; ++i) x(i, c) = double(c) + 2 * random.normal();
  }
  return x;
}

/// Trained on forty batches of so many normal values, of mean c and standard deviation 2 in channel c.
template <class Layer>
Layer trained(Layer layer, Index samples = 60) {
  const Index channels = layer.options().channels;
  Random random(11);
  Eigen::MatrixXd y(samples, channels), dx(samples, channels);
  for (int step = 0; step < 40; ++step) {
    const Eigen::MatrixXd x = drawn(samples, channels, random);
    layer.forward(x, y);
    layer.backward(x, y, dx);
  }
  return layer;
}

template <class Activation = bn::activations::identity>
bn::BatchNorm<double, bn::samples_in_rows, Activation> healthy(bn::Options options = {.channels = 4}) {
  return trained(bn::BatchNorm<double, bn::samples_in_rows, Activation>(options));
}

/// The kinds of all findings; whatever is not in a test's list fails it.
std::vector<FindingKind> kinds(const bn::Diagnosis& diagnosis) {
  std::vector<FindingKind> result;
  for (const bn::Finding& finding : diagnosis) result.push_back(finding.kind);
  return result;
}

using Kinds = std::vector<FindingKind>;
const Kinds none;

template <class Printed>
std::string printed(const Printed& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

/// The one finding of a diagnosis, as it prints.
std::string only(const bn::Diagnosis& diagnosis) {
  EXPECT_EQ(diagnosis.findings.size(), 1u) << diagnosis;
  return diagnosis.findings.empty() ? "" : printed(diagnosis.findings.front());
}

/// P(from < u < to) of a standard normal u, by Simpson's rule: errs by far less than 1e-12 on so smooth a function.
double normal_share(double from, double to) {
  constexpr int steps = 20000;
  const double width = (to - from) / steps;
  double sum = 0;
  for (int k = 0; k <= steps; ++k) {
    const double u = from + k * width, weight = k == 0 || k == steps ? 1 : k % 2 == 1 ? 4 : 2;
    sum += weight * std::exp(-u * u / 2);
  }
  return sum * width / 3 / std::sqrt(2 * std::acos(-1.0));
}

bn::Moments moments_of(double count, double mean, double variance, Index channels = 4) {
  return testing_support::moments(count, mean, variance * count, channels);
}

/// Layers whose running statistics are those of a standard normal population.
bn::BatchNorm<double> standard_normal(bn::Options options = {.channels = 4}) {
  bn::BatchNorm<double> layer(options);
  layer.running().batches = 1000;
  return layer;
}

TEST(Diagnose, FindsNothingInAHealthyLayer) {
  EXPECT_EQ(kinds(diagnose(healthy())), none);
  EXPECT_EQ(kinds(diagnose(healthy<bn::relu>())), none);
  EXPECT_EQ(kinds(diagnose(healthy<bn::sigmoid>())), none);
  EXPECT_EQ(kinds(diagnose(healthy<bn::activations::tanh>())), none);
  EXPECT_EQ(kinds(diagnose(healthy({.channels = 3, .scale = false, .shift = false}))), none);
  EXPECT_EQ(kinds(diagnose(healthy({.channels = 1, .averaging = bn::cumulative()}))), none);
}

// What they pass on of large and small inputs is not looked at.
TEST(Diagnose, FindsNothingWhereOtherActivationsAreFused) {
  const auto check = [](auto layer) {
    layer.affine().gamma << 1, -100, 0.5, 1;
    layer.affine().beta << 0, 1, -100, 100;
    const bn::Diagnosis diagnosis = diagnose(layer);
    EXPECT_EQ(kinds(diagnosis), none) << diagnosis;
    EXPECT_FALSE(diagnosis.with_sigmoid || diagnosis.with_tanh);
    layer.affine().gamma[3] = 0;
    EXPECT_EQ(kinds(diagnose(layer)), Kinds{FindingKind::dead});
  };
  check(healthy<bn::leaky_relu>());
  bn::BatchNorm<double, bn::samples_in_rows, bn::add_relu> block({.channels = 4});
  block.running() = healthy().running();
  check(block);
}

TEST(Diagnose, LooksAtLayersOfOtherKinds) {
  const auto ghosts = trained(bn::GhostBatchNorm<double>({.channels = 4}, {.samples = 60}), 120);
  const bn::Diagnosis of_ghosts = diagnose(ghosts);
  EXPECT_EQ(kinds(of_ghosts), none) << of_ghosts;
  EXPECT_EQ(of_ghosts.layer, ghosts.describe());
  EXPECT_EQ(of_ghosts.count, 60) << "the last ghost's";
  EXPECT_EQ(of_ghosts.batches, 80);

  auto renorm = trained(bn::BatchRenorm<double>({.channels = 4}, {.plain_steps = 20}));
  EXPECT_GT(renorm.correction().r.size(), 0);
  EXPECT_EQ(kinds(diagnose(renorm)), none) << diagnose(renorm);
  EXPECT_EQ(diagnose(renorm).layer, renorm.describe());
  renorm.running().mean[2] += 5;
  EXPECT_EQ(kinds(diagnose(renorm)), Kinds{FindingKind::running_differs});
}

TEST(Diagnose, FindsNothingInAHealthyLayerOfImages) {
  bn::BatchNorm<float, bn::channel_first> layer({.channels = 3});
  Eigen::Tensor<float, 4, Eigen::RowMajor> x(8, 3, 5, 5), y;
  Random random(7);
  for (int step = 0; step < 60; ++step) {
    for (Index i = 0; i < x.size(); ++i) x.data()[i] = float(3 + random.normal());
    layer.forward(x, y);
  }
  const bn::Diagnosis diagnosis = diagnose(layer);
  EXPECT_EQ(kinds(diagnosis), none) << diagnosis;
  EXPECT_EQ(diagnosis.count, 200);
}

TEST(Diagnose, SaysWhatTheLayerHas) {
  auto layer = healthy();
  layer.affine().gamma << 1, -2, 3, 4;
  layer.affine().beta << 0, 1, 2, 3;
  const bn::Diagnosis diagnosis = diagnose(layer);
  EXPECT_EQ(diagnosis.layer, layer.describe());
  EXPECT_EQ(diagnosis.count, 60);
  EXPECT_EQ(diagnosis.batches, 40);
  EXPECT_EQ(diagnosis.weight, 0.1);
  ASSERT_EQ(diagnosis.channels.size(), 4u);
  const bn::ChannelDiagnosis& channel = diagnosis.channels[1];
  EXPECT_EQ(channel.gamma, -2);
  EXPECT_EQ(channel.beta, 1);
  EXPECT_EQ(channel.running_mean, layer.running().mean[1]);
  EXPECT_EQ(channel.running_variance, layer.running().variance[1]);
  EXPECT_EQ(channel.batch_mean, layer.moments().mean[1]);
  EXPECT_EQ(channel.batch_variance, layer.moments().variance()[1]);
  EXPECT_EQ(channel.z[1], 1);
  EXPECT_NEAR(channel.z[2] - channel.z[0], 4 * 1.036433, 1e-5);
}

// What inference would do, against inference.
TEST(Diagnose, SaysWhatInferenceMakesOfTheLastBatch) {
  Random random(19);
  auto layer = healthy();
  const Eigen::MatrixXd x = drawn(30, 4, random);
  Eigen::MatrixXd y;
  layer.set_mode(bn::Mode::probe);
  layer.forward(x, y);
  const Eigen::MatrixXd inferred = layer.infer(x);
  const bn::Diagnosis diagnosis = diagnose(layer);
  for (Index c = 0; c < 4; ++c) {
    const auto& channel = diagnosis.channels[std::size_t(c)];
    const double mean = inferred.col(c).mean();
    EXPECT_NEAR(channel.inferred_mean, mean, 1e-13);
    EXPECT_NEAR(channel.inferred_deviation, std::sqrt((inferred.col(c).array() - mean).square().mean()), 1e-13);
  }
}

TEST(Diagnose, ANewLayerHasSeenNoBatch) {
  bn::BatchNorm<double> layer({.channels = 4});
  const bn::Diagnosis diagnosis = diagnose(layer);
  EXPECT_TRUE(only(diagnosis).starts_with("the running statistics have seen no batch"));
  EXPECT_EQ(kinds(diagnosis), Kinds{FindingKind::no_batches});
  EXPECT_EQ(diagnosis.findings[0].channel, -1);
  EXPECT_EQ(diagnosis.count, 0);
  EXPECT_EQ(diagnosis.suggested_weight, 0);
  EXPECT_EQ(diagnosis.share_of_start, 1);

  // Nor has one that only looked at a batch, which is no reason to complain of every channel.
  Eigen::MatrixXd y;
  Random random(3);
  layer.set_mode(bn::Mode::probe);
  layer.forward(drawn(60, 4, random), y);
  EXPECT_EQ(kinds(diagnose(layer)), Kinds{FindingKind::no_batches});

  // Running statistics that were read from a file without a number of batches are running statistics.
  layer.running() = healthy().running();
  layer.running().batches = 0;
  EXPECT_EQ(kinds(diagnose(layer)), none);
}

TEST(Diagnose, CountsSkippedBatches) {
  auto layer = healthy();
  Random random(5);
  Eigen::MatrixXd x = drawn(60, 4, random), y;
  x(3, 2) = infinity;
  layer.forward(x, y);
  EXPECT_EQ(kinds(diagnose(layer)),
            (Kinds{FindingKind::skipped_batches, FindingKind::not_finite, FindingKind::not_finite}));
  layer.forward(drawn(60, 4, random), y);
  EXPECT_TRUE(only(diagnose(layer)).starts_with("1 of 42 batches were left out"));
  EXPECT_EQ(diagnose(layer).skipped, 1);
}

// w / (2 - w) / count is at 0.01, the square of a tenth: of exponential(0.1) at 5.26 values.
TEST(Diagnose, FindsAnAverageOfTooFewValues) {
  const auto of = [](const bn::Averaging& averaging, double count) {
    return kinds(diagnose(standard_normal({.channels = 4, .averaging = averaging}), moments_of(count, 0, 1)));
  };
  const Kinds noisy{FindingKind::noisy_average};
  EXPECT_EQ(of(bn::exponential(0.1), 5), noisy);
  EXPECT_EQ(of(bn::exponential(0.1), 6), none);
  EXPECT_EQ(of(bn::exponential_decay(0.9), 5), noisy);
  EXPECT_EQ(of(bn::debiased_decay(0.9), 5), noisy);
  EXPECT_EQ(of(bn::exponential(1), 99), noisy);
  EXPECT_EQ(of(bn::exponential(1), 101), none);
  EXPECT_EQ(of(bn::cumulative(9), 5), noisy);
  EXPECT_EQ(of(bn::cumulative(), 2), none);
  EXPECT_EQ(of(bn::none(), 2), none);
  EXPECT_TRUE(has_parts("batchnorm: " + only(diagnose(standard_normal(), moments_of(4, 0, 1))), "exponential(0.1)",
                        "batches of 4 values", "0.115 standard deviations", "exponential(0.001) is suggested"));
}

TEST(Diagnose, SuggestsAWeightForTheSizeOfTheBatch) {
  const auto suggested = [](double count) {
    return diagnose(standard_normal(), moments_of(count, 0, 1)).suggested_weight;
  };
  for (const double count : {6.0, 60.0, 500.0}) {
    const double w = suggested(count);
    // The variance of the average, a sum over the batches that it has, in units of the variance of a value.
    double variance = 0;
    for (int k = 0; k < 100000; ++k) variance += std::pow(w * std::pow(1 - w, k), 2) / count;
    EXPECT_NEAR(std::sqrt(variance), 0.01, 1e-12) << count;
  }
  EXPECT_EQ(suggested(2), 0.001);
  EXPECT_EQ(suggested(1e6), 0.1);
}

TEST(Diagnose, FindsWhatIsNotFinite) {
  for (const double bad : {not_a_number, infinity, -infinity}) {
    const auto found = [](auto change) {
      auto layer = healthy();
      change(layer);
      const bn::Diagnosis diagnosis = diagnose(layer);
      EXPECT_EQ(kinds(diagnosis), Kinds{FindingKind::not_finite});
      return only(diagnosis);
    };
    EXPECT_TRUE(found([&](auto& layer) { layer.affine().gamma[2] = bad; }).starts_with("channel 2: gamma is "));
    EXPECT_TRUE(found([&](auto& layer) { layer.affine().beta[0] = bad; }).starts_with("channel 0: beta is "));
    EXPECT_TRUE(found([&](auto& layer) {
                  layer.gradients().gamma[1] = bad;
                }).starts_with("channel 1: the gradient of gamma is "));
    EXPECT_TRUE(found([&](auto& layer) {
                  layer.gradients().beta[3] = bad;
                }).starts_with("channel 3: the gradient of beta is "));
    EXPECT_TRUE(
        found([&](auto& layer) { layer.running().mean[3] = bad; }).starts_with("channel 3: the running mean is "));
    EXPECT_TRUE(found([&](auto& layer) {
                  layer.running().variance[0] = bad;
                }).starts_with("channel 0: the running variance is "));
  }
}

TEST(Diagnose, FindsANegativeVariance) {
  auto layer = healthy();
  layer.running().variance[1] = -0.25;
  EXPECT_EQ(only(diagnose(layer)), "channel 1: the running variance is -0.25, which inference refuses");
  EXPECT_EQ(kinds(diagnose(layer)), Kinds{FindingKind::negative_variance});
  layer.running().variance[1] = 4;
  EXPECT_EQ(kinds(diagnose(layer)), none);
}

TEST(Diagnose, FindsAChannelWithoutScale) {
  auto layer = healthy();
  layer.affine().gamma[2] = 1e-5;
  EXPECT_EQ(only(diagnose(layer)), "channel 2: gamma is 1e-05, so y is hardly more than beta");
  layer.affine().gamma[2] = 0;
  EXPECT_EQ(kinds(diagnose(layer)), Kinds{FindingKind::dead});
  layer.affine().gamma[2] = -1e-3;
  EXPECT_EQ(kinds(diagnose(layer)), none);
}

TEST(Diagnose, FindsAConstantChannel) {
  auto layer = healthy();
  Random random(23);
  Eigen::MatrixXd x = drawn(60, 4, random), y;
  x.col(1).setConstant(1.25);
  layer.forward(x, y);
  EXPECT_EQ(only(diagnose(layer)), "channel 1: x is 1.25 in all of the last batch, so y is beta");
  // Nor is that more than one finding when running statistics have come to it.
  for (int step = 0; step < 300; ++step) {
    x = drawn(60, 4, random);
    x.col(1).setConstant(1.25);
    layer.forward(x, y);
  }
  EXPECT_LT(layer.running().variance[1], 1e-10);
  EXPECT_EQ(kinds(diagnose(layer)), Kinds{FindingKind::dead});
}

// Phi(-4) = 3e-5.
TEST(Diagnose, FindsARelu) {
  auto layer = healthy<bn::relu>();
  layer.affine().gamma[3] = -0.5;
  layer.affine().beta[3] = -2.001;
  EXPECT_EQ(only(diagnose(layer)), "channel 3: relu makes 0 of nearly all inputs: gamma is -0.5 and beta -2");
  EXPECT_EQ(kinds(diagnose(layer)), Kinds{FindingKind::dead});
  layer.affine().beta[3] = -1.999;
  EXPECT_EQ(kinds(diagnose(layer)), none);
  auto without_relu = healthy();
  without_relu.affine().beta[3] = -100;
  EXPECT_EQ(kinds(diagnose(without_relu)), none);
}

TEST(Diagnose, FindsAVarianceBelowEpsilon) {
  auto layer = healthy({.channels = 4, .epsilon = 1e-3});
  Random random(29);
  Eigen::MatrixXd x, y;
  const auto train = [&](double scale, int steps) {
    for (int step = 0; step < steps; ++step) {
      x = drawn(60, 4, random);
      x.col(2) = (x.col(2).array() - 2) * scale;
      layer.forward(x, y);
    }
  };
  train(0.01, 150);  // a variance of 4e-4
  const bn::Diagnosis diagnosis = diagnose(layer);
  EXPECT_EQ(kinds(diagnosis), (Kinds{FindingKind::variance_below_epsilon, FindingKind::variance_below_epsilon}));
  EXPECT_TRUE(printed(diagnosis.findings[0]).starts_with("channel 2: the running variance is 0.000"));
  EXPECT_TRUE(printed(diagnosis.findings[1]).starts_with("channel 2: the last batch's variance is 0.000"));
  train(0.03, 150);  // 4e-3
  EXPECT_EQ(kinds(diagnose(layer)), none);
}

TEST(Diagnose, FindsRunningStatisticsThatDoNotFit) {
  const Kinds differs(4, FindingKind::running_differs);
  const auto of = [](double count, double mean, double variance) {
    return kinds(diagnose(standard_normal(), moments_of(count, mean, variance)));
  };
  EXPECT_EQ(of(200, 1, 1), differs);
  EXPECT_EQ(of(200, -1, 1), differs);
  EXPECT_EQ(of(200, 0, 5), differs);
  EXPECT_EQ(of(200, 0, 0.2), differs);
  EXPECT_EQ(of(200, 0.1, 1.1), none);
  // More than chance, and not enough to be seen.
  EXPECT_EQ(of(1e6, 0.4, 2), none);
  EXPECT_EQ(of(1e6, 0.6, 1), differs);
  EXPECT_EQ(of(1e6, 0, 4.1), differs);
  // Enough to be seen, and not more than chance.
  EXPECT_EQ(of(8, 1.7, 1), none);
  EXPECT_EQ(of(8, 1.8, 1), differs);
  EXPECT_EQ(of(8, 0, 4.5), none);
  EXPECT_EQ(of(1, 1.8, 0), Kinds{FindingKind::noisy_average});
}

TEST(Diagnose, SaysHowLittleTheRunningStatisticsHaveSeen) {
  bn::BatchNorm<double> layer({.channels = 4, .averaging = bn::exponential_decay(0.99)});
  Random random(31);
  Eigen::MatrixXd y;
  for (int step = 0; step < 20; ++step) {
    const Eigen::MatrixXd x = 5 * drawn(60, 4, random);
    layer.forward(x, y);
  }
  const bn::Diagnosis diagnosis = diagnose(layer);
  EXPECT_EQ(kinds(diagnosis), Kinds(4, FindingKind::running_differs));
  EXPECT_TRUE(has_parts(
      "batchnorm: " + printed(diagnosis.findings[0]), "channel 0: inference would give",
      "; if they were averaged in training, after 20 batches exponential_decay(0.99) leaves 81.8 % of what they "
      "began with"));
}

// Blends as often as the layer has: what is left of a running mean of 1 when all batches have mean 0.
TEST(Diagnose, SaysWhatTheAveragingLeavesOfTheStart) {
  for (const bn::Averaging averaging : {bn::exponential(0.1), bn::exponential(1), bn::exponential_decay(0.99),
                                        bn::debiased_decay(0.99), bn::cumulative(), bn::cumulative(5), bn::none()}) {
    bn::BatchNorm<double> layer({.channels = 1, .averaging = averaging});
    bn::RunningStatistics running(1);
    running.mean.setOnes();
    for (int batches = 0; batches < 30; ++batches) {
      EXPECT_NEAR(diagnose(layer).share_of_start, running.mean[0], 1e-14) << averaging << " after " << batches;
      running.update(moments_of(60, 0, 1, 1), averaging);
      layer.running().batches = running.batches;
    }
  }
}

TEST(Diagnose, FindsStatisticsOfOtherDataThanTheLastBatch) {
  auto layer = healthy();
  Random random(37);
  bn::Moments moments;
  Eigen::MatrixXd x = drawn(500, 4, random);
  bn::batch_moments(x, moments);
  EXPECT_EQ(kinds(diagnose(layer, moments)), none);
  x.array() += 3;
  bn::batch_moments(x, moments);
  EXPECT_EQ(kinds(diagnose(layer, moments)), Kinds(4, FindingKind::running_differs));
  EXPECT_EQ(kinds(diagnose(layer, bn::Moments())), none);
}

// Over 2000 channels of one normal population both scores are nearly standard normal: their mean errs by 0.022 and
// their standard deviation by 0.016. The bounds are five times that, and for the variance 0.03 more: the cube root of a
// chi-square of 7 degrees of freedom is not quite normal.
TEST(Diagnose, ScoresAreStandardNormal) {
  constexpr Index channels = 2000;
  Random random(41);
  for (const auto kind : {bn::RunningVariance::unbiased, bn::RunningVariance::biased}) {
    bn::BatchNorm<double> layer({.channels = channels, .running_variance = kind});
    layer.running().batches = 1000;
    layer.running().variance.setConstant(kind == bn::RunningVariance::unbiased ? 9 : 9 * 7.0 / 8);
    layer.running().mean.setConstant(-2);
    Eigen::MatrixXd x(8, channels);
    for (Index i = 0; i < x.size(); ++i) x.data()[i] = -2 + 3 * random.normal();
    bn::Moments moments;
    bn::batch_moments(x, moments);
    const bn::Diagnosis diagnosis = diagnose(layer, moments);
    const auto expect_standard_normal = [&](double bn::ChannelDiagnosis::*score, double scale, double more) {
      double sum = 0, squares = 0;
      for (const auto& channel : diagnosis.channels) sum += channel.*score / channels;
      for (const auto& channel : diagnosis.channels) squares += std::pow(channel.*score - sum, 2) / channels;
      EXPECT_NEAR(sum, 0, 0.11 + more);
      EXPECT_NEAR(std::sqrt(squares), scale, 0.08 + more);
    };
    // Of a biased estimate the standard error of a mean is smaller by the root of 7 / 8.
    const double scale = kind == bn::RunningVariance::unbiased ? 1 : std::sqrt(8.0 / 7);
    expect_standard_normal(&bn::ChannelDiagnosis::mean_z, scale, 0);
    expect_standard_normal(&bn::ChannelDiagnosis::variance_z, 1, 0.03);
    EXPECT_FALSE(diagnosis.has(FindingKind::running_differs));
  }
}

// From tables of the chi-square distribution of 7 degrees of freedom: its quantiles at 5, 50 and 95 %, and those of the
// normal distribution. The cube root, an approximation, is good to two digits there.
TEST(Diagnose, TheScoreOfAVarianceIsAsRareAsTheVariance) {
  const double rows[][2] = {{2.167, -1.645}, {6.346, 0}, {14.067, 1.645}};
  for (const auto& [chi_square, normal] : rows) {
    const bn::Diagnosis diagnosis = diagnose(standard_normal(), moments_of(8, 0, chi_square / 8));
    EXPECT_NEAR(diagnosis.channels[0].variance_z, normal, 0.01);
  }
}

// The activation's slope where it begins to be called flat, and the share of what lies beyond, integrated.
TEST(Diagnose, SharesOfFlatInputsAreIntegralsOverANormalDistribution) {
  const double from = bn::detail::flat_from_sigmoid, s = 1 / (1 + std::exp(-from));
  EXPECT_NEAR(s * (1 - s), 0.25 / 10, 1e-15);
  EXPECT_NEAR(1 - std::pow(std::tanh(bn::detail::flat_from_tanh), 2), 1.0 / 10, 1e-15);
  auto layer = healthy();
  layer.affine().gamma << 1, -3, 0.5, 10;
  layer.affine().beta << 0, 2, -4, -5;
  const bn::Diagnosis diagnosis = diagnose(layer);
  for (Index c = 0; c < 4; ++c) {
    const double scale = std::abs(layer.affine().gamma[c]), beta = layer.affine().beta[c];
    const auto beyond = [&](double bound) { return 1 - normal_share((-bound - beta) / scale, (bound - beta) / scale); };
    EXPECT_NEAR(diagnosis.channels[std::size_t(c)].flat_sigmoid, beyond(from), 1e-12);
    EXPECT_NEAR(diagnosis.channels[std::size_t(c)].flat_tanh, beyond(from / 2), 1e-12);
  }
}

// Of 100,000 normal values a quantile at 15 % errs by sqrt(0.15 * 0.85 / 100000) / 0.233 = 0.005 standard deviations.
TEST(Diagnose, QuantilesAreThoseOfZ) {
  Random random(43);
  bn::BatchNorm<double> layer({.channels = 2});
  layer.affine().gamma << 2, -0.5;
  layer.affine().beta << 1, -3;
  const Eigen::MatrixXd x = drawn(100000, 2, random);
  Eigen::MatrixXd z;
  layer.forward(x, z);
  const bn::Diagnosis diagnosis = diagnose(layer);
  for (Index c = 0; c < 2; ++c) {
    std::sort(z.col(c).data(), z.col(c).data() + z.rows());
    const double bound = 5 * 0.005 * std::abs(layer.affine().gamma[c]);
    const auto& expected = diagnosis.channels[std::size_t(c)].z;
    EXPECT_NEAR(z(15000, c), expected[0], bound);
    EXPECT_NEAR(z(50000, c), expected[1], bound);
    EXPECT_NEAR(z(85000, c), expected[2], bound);
  }
}

// Half of the inputs of a sigmoid lie beyond 3.64 at gamma = 3.64 / 0.6745 = 5.39, of a tanh at half of that.
TEST(Diagnose, FindsSaturation) {
  const auto of = [](auto layer, double gamma, double beta) {
    layer.affine().gamma[1] = gamma;
    layer.affine().beta[1] = beta;
    return diagnose(layer);
  };
  const Kinds saturated{FindingKind::saturated};
  EXPECT_EQ(kinds(of(healthy<bn::sigmoid>(), -5.5, 0)), saturated);
  EXPECT_EQ(kinds(of(healthy<bn::sigmoid>(), -5.3, 0)), none);
  EXPECT_EQ(kinds(of(healthy<bn::sigmoid>(), 0.5, -4)), saturated);
  EXPECT_EQ(kinds(of(healthy<bn::sigmoid>(), 0.5, -3)), none);
  EXPECT_EQ(kinds(of(healthy<bn::activations::tanh>(), 2.75, 0)), saturated);
  EXPECT_EQ(kinds(of(healthy<bn::activations::tanh>(), 2.65, 0)), none);
  EXPECT_EQ(kinds(of(healthy(), 100, 0)), none);
  EXPECT_EQ(kinds(of(healthy<bn::relu>(), 100, 0)), none);
  EXPECT_TRUE(has_parts("batchnorm: " + only(of(healthy<bn::sigmoid>(), 0.5, -4)),
                        "channel 1: sigmoid is flat for 76.6 % of its inputs", "-4.52, -4 and -3.48"));
}

TEST(Diagnose, CountsTheChannelsThatAreFlatAtEachQuantile) {
  auto layer = healthy<bn::sigmoid>();
  layer.affine().gamma << 1, 1, 4, 0;
  layer.affine().beta << 0, -3, 0, 9;
  const bn::Diagnosis diagnosis = diagnose(layer);
  EXPECT_TRUE(diagnosis.with_sigmoid && !diagnosis.with_tanh);
  EXPECT_EQ(diagnosis.flat_sigmoid, (std::array<double, 3>{0.75, 0.25, 0.5}));
  EXPECT_EQ(diagnosis.channels[3].flat_sigmoid, 1);
  EXPECT_TRUE(diagnose(healthy()).with_sigmoid && diagnose(healthy()).with_tanh);
  EXPECT_FALSE(diagnose(healthy<bn::relu>()).with_sigmoid || diagnose(healthy<bn::relu>()).with_tanh);
}

TEST(Diagnose, PrintsATable) {
  auto layer = healthy<bn::sigmoid>();
  layer.affine().gamma << 1, 0.5, 0, 2;
  const std::string text = printed(diagnose(layer));
  EXPECT_TRUE(has_parts("batchnorm: " + text, layer.describe(), "last batch: 60 values per channel\n",
                        "running statistics: 40 batches, 0 left out\n",
                        "weight of a new batch: 0.1, suggested 0.0119\n",
                        "sigmoid is flat in 0, 0, 0 % of the channels at the quantiles 15, 50, 85 %\n", "running",
                        "z-score", " channel     gamma      beta      mean  variance ", "   15 %      50 %      85 % ",
                        "sigmoid\n", "   least         0 ", "  median         1 ", " largest         2 ",
                        "       2         0 ", "\n1 finding\n  channel 2: gamma is 0"));
  EXPECT_EQ(text.find("tanh"), std::string::npos);
  // A column ends at the same place in all rows.
  std::istringstream lines(text.substr(text.find("\n\n") + 2));
  std::string line, first;
  std::getline(lines, first);
  for (int row = 0; row < 5; ++row) {
    std::getline(lines, line);
    EXPECT_EQ(line.size(), first.size()) << line;
  }
}

TEST(Diagnose, PrintsWhatAPersonCanRead) {
  auto layer = standard_normal({.channels = 100});
  layer.affine().gamma.setZero();
  const std::string text = printed(diagnose(layer));
  EXPECT_TRUE(has_parts("batchnorm: " + text, "      15  ", "\n100 findings\n", "channel 15: ", "and 84 more"));
  EXPECT_EQ(text.find("channel 16: "), std::string::npos);
  EXPECT_EQ(text.find("\n      16 "), std::string::npos);
}

TEST(Diagnose, PrintsWhatIsNotANumber) {
  auto layer = healthy();
  layer.affine().gamma.setConstant(not_a_number);
  layer.running().variance.setZero();
  const std::string text = printed(diagnose(layer));
  EXPECT_TRUE(has_parts("batchnorm: " + text, "   least         - ", "       0         - ", " inf "));
}

TEST(Diagnose, AProgramGoesThroughTheFindings) {
  auto layer = healthy();
  layer.affine().gamma[2] = 0;
  int found = 0;
  for (const bn::Finding& finding : diagnose(layer)) found += finding.kind == FindingKind::dead && finding.channel == 2;
  EXPECT_EQ(found, 1);
}

TEST(Diagnose, RefusesStateOfAnotherSize) {
  const auto refused = [](auto change) {
    auto layer = healthy();
    change(layer);
    return message_of([&] { (void)diagnose(layer); });
  };
  EXPECT_EQ(refused([](auto& layer) { layer.affine().gamma.resize(3); }),
            "batchnorm: diagnose: expected 4 values in affine().gamma, got 3");
  EXPECT_TRUE(has_parts(refused([](auto& layer) { layer.affine().beta.resize(5); }), "diagnose", "affine().beta"));
  EXPECT_TRUE(has_parts(refused([](auto& layer) { layer.gradients().gamma.resize(1); }), "gradients().gamma"));
  EXPECT_TRUE(has_parts(refused([](auto& layer) { layer.gradients().beta.resize(0); }), "gradients().beta"));
  EXPECT_TRUE(has_parts(refused([](auto& layer) { layer.running().mean.resize(5); }), "running().mean"));
  EXPECT_TRUE(has_parts(refused([](auto& layer) { layer.running().variance.resize(0); }), "running().variance"));
}

TEST(Diagnose, RefusesMomentsOfOtherChannels) {
  const auto refused = [](const bn::Moments& moments) {
    return message_of([&] { (void)diagnose(standard_normal(), moments); });
  };
  EXPECT_EQ(refused(moments_of(60, 0, 1, 3)), "batchnorm: diagnose: expected 4 values in batch.mean, got 3");
  bn::Moments moments = moments_of(60, 0, 1);
  moments.m2.resize(2);
  EXPECT_TRUE(has_parts(refused(moments), "batch.m2, got 2"));
  for (const double count : {-1.0, not_a_number, infinity}) {
    EXPECT_TRUE(has_parts(refused(moments_of(count, 0, 1)), "diagnose(batch): expected a count of values, got "));
  }
}

}  // namespace diagnose_test
