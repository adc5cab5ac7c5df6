// The table of semantics: every row is one test, and its name is the answer.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <functional>
#include <limits>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/state.hpp"
#include "support/throws.hpp"

namespace batch_norm_semantics_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::equal_bits;
using testing_support::equal_state;
using testing_support::equal_statistics;
using testing_support::message_of;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Layer = bn::BatchNorm<float>;

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

/// One channel: mean 0, biased variance 9, unbiased 12. With epsilon 7 inv_std is 1/4 exactly.
Matrix four_values() { return Matrix{{-3}, {3}, {-3}, {3}}; }

Matrix some_values(Index rows, Index columns, std::uint64_t seed = 1) {
  testing_support::Random random(seed);
  return testing_support::random_values(rows, columns, random).cast<float>();
}

/// A layer that has been used: everything it remembers differs from the start.
Layer used_layer(bn::Options options = {.channels = 3}) {
  Layer layer(options);
  layer.affine().gamma << 0.5f, 1.0f, 2.0f;
  layer.affine().beta << 0.25f, -1.0f, 3.0f;
  const Matrix x = some_values(6, 3), dy = some_values(6, 3, 2);
  Matrix y, dx;
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  return layer;
}

TEST(Semantics, DefaultsAreEpsilon1e5ExponentialTenthUnbiasedSkipScaleShiftTraining) {
  const bn::Options options{.channels = 4};
  EXPECT_EQ(options.epsilon, 1e-5);
  EXPECT_EQ(options.averaging, bn::exponential(0.1));
  EXPECT_EQ(options.running_variance, bn::RunningVariance::unbiased);
  EXPECT_EQ(options.non_finite, bn::NonFinite::skip);
  EXPECT_EQ(options.single_value, bn::SingleValue::error);
  EXPECT_TRUE(options.scale);
  EXPECT_TRUE(options.shift);
  EXPECT_EQ(options.mode, bn::Mode::training);
  EXPECT_EQ(Layer(options).mode(), bn::Mode::training);
  EXPECT_EQ(bn::Options{}.channels, 0);
}

TEST(Semantics, ForwardNormalizesWithTheBiasedVariance) {
  Layer layer({.channels = 1, .epsilon = 7});
  Matrix y;
  layer.forward(four_values(), y);
  EXPECT_EQ(y, (Matrix{{-0.75f}, {0.75f}, {-0.75f}, {0.75f}}));
}

TEST(Semantics, RunningVarianceIsUnbiasedByDefault) {
  Layer layer({.channels = 1, .averaging = bn::exponential(0.5)});
  Matrix y;
  layer.forward(four_values(), y);
  EXPECT_EQ(layer.running().variance[0], 6.5f);  // (1 + 12) / 2
}

TEST(Semantics, RunningVarianceIsBiasedIfAsked) {
  Layer layer({.channels = 1, .averaging = bn::exponential(0.5), .running_variance = bn::RunningVariance::biased});
  Matrix y;
  layer.forward(four_values(), y);
  EXPECT_EQ(layer.running().variance[0], 5.0f);  // (1 + 9) / 2
}

TEST(Semantics, TheWeightOfTheNewBatchIsTyped) {
  const auto mean_after_two_batches = [](bn::Averaging averaging) {
    Layer layer({.channels = 1, .averaging = averaging});
    Matrix y;
    layer.forward(Matrix{{7}, {9}}, y);    // mean 8
    layer.forward(Matrix{{15}, {17}}, y);  // mean 16
    return layer.running().mean[0];
  };
  EXPECT_EQ(mean_after_two_batches(bn::exponential(0.25)), 5.5);         // 3/4 * (1/4 * 8) + 1/4 * 16
  EXPECT_EQ(mean_after_two_batches(bn::exponential_decay(0.25)), 13.5);  // 1/4 * (3/4 * 8) + 3/4 * 16
  EXPECT_EQ(mean_after_two_batches(bn::cumulative()), 12.0);
  EXPECT_EQ(mean_after_two_batches(bn::none()), 0.0);
}

TEST(Semantics, RunningStatisticsStartAtMeanZeroVarianceOneAndNoBatches) {
  const Layer layer({.channels = 2});
  EXPECT_TRUE((layer.running().mean == 0).all());
  EXPECT_TRUE((layer.running().variance == 1).all());
  EXPECT_EQ(layer.running().batches, 0);
  EXPECT_EQ(layer.running().skipped, 0);
}

// Two batches of m = 4, means 0 and 10, unbiased variances 12 and 4.
TEST(Semantics, PopulationStatisticsOverProbedBatchesAreAlgorithm2) {
  Layer layer({.channels = 1, .mode = bn::Mode::probe});
  bn::PopulationStatistics population(1);
  const Matrix second{{8}, {10}, {10}, {12}};
  Matrix y;
  for (const Matrix& x : {four_values(), second}) {
    layer.forward(x, y);
    population.add(layer.moments());
  }
  EXPECT_EQ(layer.running().batches, 0);
  layer.running() = population.statistics();
  EXPECT_EQ(layer.running().mean[0], 5.0f);
  EXPECT_DOUBLE_EQ(layer.running().variance[0], (12.0 + 8.0 / 3.0) / 2.0);
  EXPECT_EQ(layer.running().batches, 2);
}

TEST(Semantics, AModeSaysWhichStatisticsWhetherRunningIsUpdatedAndWhetherParametersGetGradients) {
  struct Row {
    bn::Mode mode;
    bool batch, updates, gradients;
  };
  using enum bn::StatisticsSource;
  const Row rows[] = {{bn::Mode::training, true, true, true},      {bn::Mode::inference, false, false, false},
                      {bn::Mode::frozen, false, false, true},      {bn::Mode::probe, true, false, false},
                      {bn::Mode::recompute, true, false, true},    {{batch, true, false}, true, true, false},
                      {{batch, false, true}, true, false, true},   {{running, true, true}, false, true, true},
                      {{running, true, false}, false, true, false}};
  const Matrix x = four_values(), dy{{1}, {2}, {3}, {4}};
  for (const Row& row : rows) {
    SCOPED_TRACE(testing::Message() << row.mode);
    Layer layer({.channels = 1, .epsilon = 7, .averaging = bn::exponential(0.5), .mode = row.mode});
    layer.running().mean[0] = 1;
    layer.running().variance[0] = 57;  // inv_std = 1/8
    Matrix y, dx;
    layer.forward(x, y);
    EXPECT_EQ(y(1, 0), row.batch ? 0.75f : 0.25f);
    EXPECT_EQ(layer.running().batches, row.updates ? 1 : 0);
    EXPECT_EQ(layer.running().mean[0], row.updates ? 0.5f : 1.0f);
    layer.backward(x, dy, dx);
    EXPECT_EQ(layer.gradients().beta[0], row.gradients ? 10.0f : 0.0f);
    // sum dy x_hat = 2 * 3/4 with the batch's statistics, and (-4 + 2*2 - 3*4 + 4*2) / 8 with the running ones.
    EXPECT_EQ(layer.gradients().gamma[0], !row.gradients ? 0.0f : row.batch ? 1.5f : -0.5f);
  }
}

TEST(Semantics, InferUsesRunningStatisticsWhateverTheModeAndKeepsNothing) {
  Layer layer = used_layer();
  const Layer before = layer;
  const Matrix x = some_values(5, 3, 3);
  Matrix expected, y;
  layer.set_mode(bn::Mode::inference);
  std::as_const(layer).infer(x, expected);
  for (const bn::Mode mode : {bn::Mode::training, bn::Mode::frozen, bn::Mode::probe}) {
    layer.set_mode(mode);
    std::as_const(layer).infer(x, y);
    EXPECT_TRUE(equal_bits(y, expected));
    EXPECT_TRUE(equal_state(layer, before));
  }
  EXPECT_TRUE(equal_bits(std::as_const(layer).infer(x), expected));
}

TEST(Semantics, ForwardInModeInferenceGivesTheBitsOfInferAndCanBeFollowedByBackward) {
  Layer layer = used_layer();
  layer.set_mode(bn::Mode::inference);
  const Matrix x = some_values(5, 3, 3), dy = some_values(5, 3, 4);
  Matrix inferred, forwarded, dx;
  layer.infer(x, inferred);
  layer.forward(x, forwarded);
  EXPECT_TRUE(equal_bits(forwarded, inferred));
  EXPECT_NO_THROW(layer.backward(x, dy, dx));
}

TEST(Semantics, BackwardAfterRunningStatisticsTakesThemForConstants) {
  for (const bn::Mode mode : {bn::Mode::inference, bn::Mode::frozen}) {
    Layer layer({.channels = 1, .epsilon = 7, .mode = mode});
    layer.running().variance[0] = 9;
    layer.affine().gamma[0] = 2;
    const Matrix x = four_values(), dy{{1}, {2}, {3}, {4}};
    Matrix y, dx;
    layer.forward(x, y);
    layer.backward(x, dy, dx);
    EXPECT_EQ(dx, (Matrix{{0.5f}, {1.0f}, {1.5f}, {2.0f}}));  // dy * 2 / 4
  }
}

TEST(Semantics, OneValuePerChannelInTrainingThrowsByDefault) {
  Layer layer = used_layer();
  const Layer before = layer;
  Matrix y;
  EXPECT_TRUE(testing_support::has_parts(message_of([&] {
                                           layer.forward(Matrix{{1, 2, 3}}, y);
                                         }),
                                         "forward(x)", "at least 2 values", "got 1", "single_value", "[1, 3]"));
  EXPECT_TRUE(equal_state(layer, before));
}

TEST(Semantics, OneValuePerChannelMayHaveVarianceZero) {
  Layer layer = used_layer({.channels = 3, .single_value = bn::SingleValue::zero_variance});
  const Layer before = layer;
  const Matrix x{{1, 2, 3}}, dy{{5, 6, 7}};
  Matrix y, dx;
  layer.forward(x, y);
  EXPECT_EQ(y, (Matrix{{0.25f, -1.0f, 3.0f}}));  // beta
  layer.backward(x, dy, dx);
  // dx = dy scale - mean(dy) scale = 0, where scale = gamma / sqrt(epsilon): to the rounding of the two terms.
  for (Index c = 0; c < 3; ++c) {
    const float term = dy(0, c) * layer.affine().gamma[c] / std::sqrt(1e-5f);
    EXPECT_LE(std::abs(dx(0, c)), float(testing_support::tolerance<float>()) * term);
  }
  EXPECT_TRUE(equal_statistics(layer.running().mean, before.running().mean));
  EXPECT_TRUE(equal_statistics(layer.running().variance, before.running().variance));
  EXPECT_EQ(layer.running().skipped, before.running().skipped + 1);
}

TEST(Semantics, OneValuePerChannelMayUseTheRunningStatistics) {
  Layer layer = used_layer({.channels = 3, .single_value = bn::SingleValue::running});
  const Layer before = layer;
  const Matrix x{{1, 2, 3}};
  Matrix y, inferred;
  layer.forward(x, y);
  layer.infer(x, inferred);
  EXPECT_TRUE(equal_bits(y, inferred));
  EXPECT_TRUE(equal_statistics(layer.running().variance, before.running().variance));
  EXPECT_EQ(layer.mode(), bn::Mode::training);
  EXPECT_EQ(layer.running().batches, before.running().batches);
  EXPECT_EQ(layer.running().skipped, before.running().skipped + 1);
  EXPECT_EQ(layer.moments().count, 1);
  EXPECT_EQ(layer.moments().mean[2], 3.0);
  layer.set_mode(bn::Mode::probe);
  layer.forward(x, y);
  EXPECT_TRUE(equal_bits(y, inferred));
  EXPECT_EQ(layer.running().skipped, before.running().skipped + 1) << "a probe updates nothing";
}

TEST(Semantics, TheRunningVarianceNeverBecomesNaNFromOneValue) {
  for (const auto policy : {bn::SingleValue::zero_variance, bn::SingleValue::running}) {
    for (const auto kind : {bn::RunningVariance::unbiased, bn::RunningVariance::biased}) {
      for (const auto non_finite : {bn::NonFinite::skip, bn::NonFinite::propagate, bn::NonFinite::error}) {
        Layer layer({.channels = 1, .running_variance = kind, .non_finite = non_finite, .single_value = policy});
        Matrix y;
        layer.forward(Matrix{{5}}, y);
        EXPECT_EQ(layer.running().variance[0], 1.0);
        EXPECT_EQ(layer.running().batches, 0);
        EXPECT_EQ(layer.running().skipped, 1);
      }
    }
  }
}

TEST(Semantics, AnEmptyBatchIsANoOpInInference) {
  const Layer layer = used_layer();
  const Matrix x(0, 3);
  Matrix y(0, 3);
  EXPECT_NO_THROW(layer.infer(x, y));
  Layer inferring = layer;
  inferring.set_mode(bn::Mode::inference);
  EXPECT_NO_THROW(inferring.forward(x, y));
  EXPECT_EQ(y.rows(), 0);
  EXPECT_EQ(y.cols(), 3);
  EXPECT_TRUE(equal_statistics(inferring.running().mean, layer.running().mean));
}

TEST(Semantics, AnEmptyBatchInTrainingThrows) {
  Layer layer = used_layer();
  const Layer before = layer;
  const Matrix x(0, 3);
  Matrix y(0, 3);
  EXPECT_TRUE(testing_support::has_parts(message_of([&] { layer.forward(x, y); }), "forward(x)", "got none", "[0, 3]"));
  EXPECT_TRUE(equal_state(layer, before));
}

TEST(Semantics, NaNAndInfinityInXPropagateToYInTheirChannelOnly) {
  for (const float bad : {not_a_number, infinity, -infinity}) {
    Matrix x = some_values(6, 3), y, clean;
    Layer({.channels = 3}).forward(x, clean);
    x(4, 1) = bad;
    Layer({.channels = 3}).forward(x, y);
    EXPECT_TRUE(y.col(1).array().isNaN().any());
    EXPECT_TRUE(std::isnan(y(4, 1)));
    EXPECT_TRUE(equal_bits(y.col(0), clean.col(0)));
    EXPECT_TRUE(equal_bits(y.col(2), clean.col(2)));
  }
}

TEST(Semantics, RunningStatisticsSkipABatchThatIsNotFinite) {
  Layer layer({.channels = 3});
  Matrix x = some_values(6, 3), y;
  x(4, 1) = not_a_number;
  layer.forward(x, y);
  EXPECT_TRUE((layer.running().mean == 0).all() && (layer.running().variance == 1).all());
  EXPECT_EQ(layer.running().batches, 0);
  EXPECT_EQ(layer.running().skipped, 1);
  x(4, 1) = 0;
  layer.forward(x, y);
  EXPECT_EQ(layer.running().batches, 1);
  EXPECT_EQ(layer.running().skipped, 1);
}

TEST(Semantics, RunningStatisticsPropagateIfAsked) {
  Layer layer({.channels = 3, .non_finite = bn::NonFinite::propagate});
  Matrix x = some_values(6, 3), y;
  x(4, 1) = infinity;
  layer.forward(x, y);
  EXPECT_FALSE(std::isfinite(layer.running().mean[1]));
  EXPECT_FALSE(std::isfinite(layer.running().variance[1]));
  EXPECT_TRUE(std::isfinite(layer.running().mean[0]) && std::isfinite(layer.running().variance[2]));
  EXPECT_EQ(layer.running().batches, 1);
}

TEST(Semantics, RunningStatisticsThrowIfAskedAndNoStateChanges) {
  Layer layer = used_layer({.channels = 3, .non_finite = bn::NonFinite::error});
  const Layer before = layer;
  Matrix x = some_values(6, 3, 5), y;
  x(4, 1) = not_a_number;
  EXPECT_TRUE(testing_support::has_parts(message_of([&] { layer.forward(x, y); }), "finite", "channel 1"));
  EXPECT_TRUE(equal_state(layer, before));
}

TEST(Semantics, WhatThrowsChangesNoState) {
  Layer layer = used_layer();
  const Matrix x = some_values(6, 3), dy = some_values(6, 3, 2), other = some_values(6, 3, 9);
  const Matrix narrow = some_values(6, 2), short_x = some_values(4, 3);
  const Layer before = layer;
  Matrix y(6, 3), wrong(5, 3), memory(7, 3);
  EXPECT_THROW(layer.forward(narrow, y), std::invalid_argument);
  EXPECT_TRUE(equal_state(layer, before));
  EXPECT_THROW(layer.forward(x, wrong), std::invalid_argument);
  EXPECT_TRUE(equal_state(layer, before));
  EXPECT_THROW(layer.forward(memory.topRows(6), memory.bottomRows(6)), std::invalid_argument);
  EXPECT_TRUE(equal_state(layer, before));
  EXPECT_THROW(layer.backward(other, dy, y), std::invalid_argument);
  EXPECT_TRUE(equal_state(layer, before));
  EXPECT_THROW(layer.backward(short_x, short_x, y), std::invalid_argument);
  EXPECT_TRUE(equal_state(layer, before));
  EXPECT_THROW(layer.backward(x, short_x, y), std::invalid_argument);
  EXPECT_TRUE(equal_state(layer, before));
  EXPECT_THROW(layer.backward(x, dy, wrong), std::invalid_argument);
  EXPECT_TRUE(equal_state(layer, before));
  EXPECT_THROW(layer.infer(narrow, y), std::invalid_argument);
  EXPECT_TRUE(equal_state(layer, before));
  EXPECT_NO_THROW(layer.backward(x, dy, y));  // and the layer still works
}

TEST(Semantics, AThrowChangesNoStateOfACallersSaved) {
  Layer layer = used_layer();
  const Matrix x = some_values(6, 3, 5), dy = some_values(6, 3, 6), narrow = some_values(6, 2);
  Matrix y, dx;
  bn::Saved<float> saved;
  layer.forward(x, y, {.saved = &saved});
  EXPECT_THROW(layer.forward(narrow, y, {.saved = &saved}), std::invalid_argument);
  EXPECT_NO_THROW(layer.backward(x, dy, dx, {.saved = &saved}));
}

TEST(Semantics, GradientsOfGammaAndBetaAccumulateUntilTheyAreZeroed) {
  Layer layer({.channels = 3});
  const Matrix x = some_values(6, 3), dy = some_values(6, 3, 2);
  Matrix y, dx;
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  const Eigen::ArrayXf gamma = layer.gradients().gamma, beta = layer.gradients().beta;
  EXPECT_TRUE((gamma != 0).all() && (beta != 0).all());
  layer.backward(x, dy, dx);  // twice for one forward
  EXPECT_TRUE(equal_statistics(layer.gradients().gamma, (gamma + gamma).eval()));
  EXPECT_TRUE(equal_statistics(layer.gradients().beta, (beta + beta).eval()));
  layer.zero_gradients();
  EXPECT_TRUE((layer.gradients().gamma == 0).all() && (layer.gradients().beta == 0).all());
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  EXPECT_TRUE(equal_statistics(layer.gradients().gamma, gamma));
}

TEST(Semantics, ScaleAndShiftAreOffSeparatelyAndHaveNoStorageThen) {
  const Matrix x = four_values(), dy{{1}, {2}, {3}, {4}};
  for (const bool scale : {true, false}) {
    for (const bool shift : {true, false}) {
      Layer layer({.channels = 1, .epsilon = 7, .scale = scale, .shift = shift});
      EXPECT_EQ(layer.affine().gamma.size(), scale ? 1 : 0);
      EXPECT_EQ(layer.affine().beta.size(), shift ? 1 : 0);
      if (scale) layer.affine().gamma[0] = 2;
      if (shift) layer.affine().beta[0] = 0.5f;
      Matrix y, dx;
      layer.forward(x, y);
      EXPECT_EQ(y(1, 0), 0.75f * (scale ? 2.0f : 1.0f) + (shift ? 0.5f : 0.0f));
      layer.backward(x, dy, dx);
      EXPECT_EQ(layer.gradients().gamma.size(), scale ? 1 : 0);
      EXPECT_EQ(layer.gradients().beta.size(), shift ? 1 : 0);
      if (scale) {
        EXPECT_EQ(layer.gradients().gamma[0], 1.5f);
      }
      if (shift) {
        EXPECT_EQ(layer.gradients().beta[0], 10.0f);
      }
      // dy - mean(dy) - x_hat mean(dy x_hat), over 4: x_hat = +-3/4, mean(dy x_hat) = 3/8.
      EXPECT_EQ(dx(0, 0), (1.0f - 2.5f + 0.28125f) / 4 * (scale ? 2.0f : 1.0f));
    }
  }
}

TEST(Semantics, SizesThatAUserAssignedAreCheckedInEachCall) {
  const Matrix x = some_values(6, 3), dy = some_values(6, 3, 2);
  struct Change {
    const char* name;
    std::function<void(Layer&)> make;
  };
  const Change changes[] = {{"gamma", [](Layer& l) { l.affine().gamma.resize(2); }},
                            {"beta", [](Layer& l) { l.affine().beta.resize(4); }},
                            {"gamma", [](Layer& l) { l.affine().gamma.resize(0); }},
                            {"mean", [](Layer& l) { l.running().mean.resize(2); }},
                            {"variance", [](Layer& l) { l.running().variance.resize(4); }},
                            {"gamma", [](Layer& l) { l.gradients().gamma.resize(2); }},
                            {"beta", [](Layer& l) { l.gradients().beta.resize(0); }}};
  for (const Change& change : changes) {
    Layer layer = used_layer();
    change.make(layer);
    Matrix y, dx;
    for (const auto& message :
         {message_of([&] { layer.forward(x, y); }), message_of([&] { layer.backward(x, dy, dx); }),
          message_of([&] { layer.infer(x, y); })}) {
      EXPECT_TRUE(testing_support::has_parts(message, change.name, "got "));
    }
  }
}

TEST(Semantics, OptionsThatMakeNoSenseAreRefusedByTheConstructor) {
  EXPECT_EQ(message_of([] { Layer(bn::Options{}); }),
            "batchnorm: Options: expected channels >= 1, got 0; write for example {.channels = 64}");
  EXPECT_THROW(Layer({.channels = -1}), std::invalid_argument);
  for (const double epsilon : {0.0, -1e-5, double(not_a_number), double(infinity)}) {
    EXPECT_TRUE(testing_support::has_parts(message_of([&] { Layer({.channels = 1, .epsilon = epsilon}); }), "Options",
                                           "epsilon > 0", "got "));
  }
  EXPECT_THROW(Layer({.channels = 1, .averaging = bn::exponential(0.0)}), std::invalid_argument);
  EXPECT_THROW(Layer({.channels = 1, .averaging = bn::exponential(1.5)}), std::invalid_argument);
  EXPECT_NO_THROW(Layer({.channels = 1, .averaging = bn::exponential(1.0)}));
}

TEST(Semantics, YMayBeExactlyXAndDxExactlyDyOrX) {
  Layer layer({.channels = 3});
  const Matrix x = some_values(6, 3), dy = some_values(6, 3, 2);
  Matrix y, dx, in_place = x;
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  Layer again({.channels = 3});
  again.forward(in_place, in_place);
  EXPECT_TRUE(equal_bits(in_place, y));
  Matrix over_dy = dy, over_x = x;
  again.backward(x, over_dy, over_dy);
  EXPECT_TRUE(equal_bits(over_dy, dx));
  again.backward(over_x, dy, over_x);
  EXPECT_TRUE(equal_bits(over_x, dx));
}

TEST(Semantics, AConstantChannelGivesBetaExactly) {
  for (const float constant : {1e-3f, 0.1f, -3.3f, 1e4f, 16777217.0f, 1e10f}) {
    for (const float beta : {0.0f, 0.3f, -7.7f}) {
      Layer layer({.channels = 1});
      layer.affine().beta[0] = beta;
      layer.affine().gamma[0] = 1.7f;
      const Matrix x = Matrix::Constant(37, 1, constant);
      Matrix y;
      layer.forward(x, y);
      EXPECT_TRUE((y.array() == beta).all()) << constant << ", beta " << beta;
    }
  }
}

TEST(Semantics, ReLUHasGradientZeroAtZero) {
  bn::BatchNorm<float, bn::samples_in_rows, bn::relu> layer({.channels = 1, .epsilon = 7, .mode = bn::Mode::inference});
  layer.running().variance[0] = 9;
  const Matrix x{{-4}, {0}, {4}}, dy{{1}, {1}, {1}};
  Matrix y, dx;
  layer.forward(x, y);
  EXPECT_EQ(y, (Matrix{{0}, {0}, {1}}));
  layer.backward(x, dy, dx);
  EXPECT_EQ(dx, (Matrix{{0}, {0}, {0.25f}}));
}

TEST(Semantics, NaNSurvivesAFusedReLU) {
  bn::BatchNorm<float, bn::samples_in_rows, bn::relu> layer({.channels = 1, .mode = bn::Mode::inference});
  Matrix y;
  for (const Index rows : {1, 5, 16}) {
    for (Index bad = 0; bad < rows; ++bad) {
      Matrix x = Matrix::Constant(rows, 1, -1);
      x(bad, 0) = not_a_number;
      y.resize(rows, 1);
      layer.forward(x, y);
      for (Index row = 0; row < rows; ++row) EXPECT_TRUE(row == bad ? std::isnan(y(row, 0)) : y(row, 0) == 0);
    }
  }
}

TEST(Semantics, BackwardUsesTheGammaThatForwardRanWith) {
  Layer layer({.channels = 1, .epsilon = 7, .mode = bn::Mode::frozen});
  layer.running().variance[0] = 9;
  const Matrix x{{-4}, {2}, {4}}, dy{{1}, {2}, {3}};
  Matrix y, dx;
  layer.affine().gamma[0] = 2;
  layer.forward(x, y);
  layer.affine().gamma[0] = 100;
  layer.backward(x, dy, dx);
  EXPECT_EQ(dx, (Matrix{{0.5f}, {1}, {1.5f}}));
}

TEST(Semantics, AFusedActivationIsRecomputedFromTheSavedParameters) {
  bn::BatchNorm<float, bn::samples_in_rows, bn::relu> layer({.channels = 1, .epsilon = 7, .mode = bn::Mode::frozen});
  layer.running().variance[0] = 9;
  const Matrix x{{-4}, {2}, {4}}, dy{{1}, {1}, {1}};
  Matrix y, dx;
  layer.forward(x, y);
  layer.affine().gamma[0] = -1;   // would turn the signs round
  layer.affine().beta[0] = -100;  // would switch everything off
  layer.running().variance[0] = 1;
  layer.backward(x, dy, dx);
  EXPECT_EQ(dx, (Matrix{{0}, {0.25f}, {0.25f}}));
  EXPECT_EQ(layer.gradients().beta[0], 2.0f);
  EXPECT_EQ(layer.gradients().gamma[0], 1.5f);
}

}  // namespace batch_norm_semantics_test
