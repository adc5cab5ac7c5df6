// Ghost batches: against BatchNorm on the ghosts in turn, with every form of call; modes, single values, values that
// are not finite, and that a wrong call changes nothing.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <batchnorm/layers/ghost_batch_norm.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>
#include <vector>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/small_batch.hpp"
#include "support/state.hpp"
#include "support/throws.hpp"

namespace ghost_batch_norm_test {

namespace bn = batchnorm;
using namespace testing_support;

using Rows = FloatRows;
using Ghosts = bn::GhostBatchNorm<float>;

/// A BatchNorm that takes the ghosts in turn, as batches of their own.
template <class Layer, class Plain, class Pass>
void expect_turns(Layer& layer, Plain& plain, const std::vector<Index>& ghosts, const Pass& pass) {
  set_parameters(layer);
  set_parameters(plain);
  pass(layer, 0, std::accumulate(ghosts.begin(), ghosts.end(), Index(0)));
  Index first = 0;
  for (const Index count : ghosts) {
    pass(plain, first, count);
    first += count;
  }
  EXPECT_TRUE(equal_statistics(layer.gradients().gamma, plain.gradients().gamma));
  EXPECT_TRUE(equal_statistics(layer.gradients().beta, plain.gradients().beta));
  EXPECT_TRUE(equal_statistics(layer.running().mean, plain.running().mean));
  EXPECT_TRUE(equal_statistics(layer.running().variance, plain.running().variance));
}

const Rows x = some_values(20, 5, 1), dy = some_values(20, 5, 2);

TEST(GhostBatchNorm, FusesActivationsAndResiduals) {
  Rows y(20, 5), dx(20, 5), plain_y(20, 5), plain_dx(20, 5);
  {
    bn::GhostBatchNorm<float, bn::samples_in_rows, bn::relu> layer({.channels = 5}, {.samples = 8});
    bn::BatchNorm<float, bn::samples_in_rows, bn::relu> plain({.channels = 5});
    expect_turns(layer, plain, {8, 8, 4}, [&](auto& any, Index first, Index n) {
      auto& to = std::is_same_v<decltype(any), decltype(plain)&> ? plain_y : y;
      auto& dto = std::is_same_v<decltype(any), decltype(plain)&> ? plain_dx : dx;
      any.forward(x.middleRows(first, n), to.middleRows(first, n));
      any.backward(x.middleRows(first, n), dy.middleRows(first, n), dto.middleRows(first, n));
    });
    EXPECT_TRUE(equal_bits(y, plain_y));
    EXPECT_TRUE(equal_bits(dx, plain_dx));
    EXPECT_EQ(y.minCoeff(), 0);
  }
  {
    const Rows skip = some_values(20, 5, 3);
    Rows dskip(20, 5), plain_dskip(20, 5);
    bn::GhostBatchNorm<float, bn::samples_in_rows, bn::add_relu> layer({.channels = 5}, {.samples = 8});
    bn::BatchNorm<float, bn::samples_in_rows, bn::add_relu> plain({.channels = 5});
    expect_turns(layer, plain, {8, 8, 4}, [&](auto& any, Index first, Index n) {
      auto& to = std::is_same_v<decltype(any), decltype(plain)&> ? plain_y : y;
      auto& dto = std::is_same_v<decltype(any), decltype(plain)&> ? plain_dx : dx;
      auto& dskip_to = std::is_same_v<decltype(any), decltype(plain)&> ? plain_dskip : dskip;
      any.forward(x.middleRows(first, n), skip.middleRows(first, n), to.middleRows(first, n));
      any.backward(x.middleRows(first, n), skip.middleRows(first, n), dy.middleRows(first, n), dto.middleRows(first, n),
                   dskip_to.middleRows(first, n));
    });
    EXPECT_TRUE(equal_bits(y, plain_y));
    EXPECT_TRUE(equal_bits(dx, plain_dx));
    EXPECT_TRUE(equal_bits(dskip, plain_dskip));
    layer.infer(x, skip, y);
    plain.infer(x, skip, plain_y);
    EXPECT_TRUE(equal_bits(y, plain_y));
  }
}

TEST(GhostBatchNorm, TrainsInPlace) {
  Rows in_place = x, gradient = dy, plain_in_place = x, plain_gradient = dy;
  bn::GhostBatchNorm<float, bn::samples_in_rows, bn::leaky_relu> layer({.channels = 5}, {.samples = 8});
  bn::BatchNorm<float, bn::samples_in_rows, bn::leaky_relu> plain({.channels = 5});
  expect_turns(layer, plain, {8, 8, 4}, [&](auto& any, Index first, Index n) {
    constexpr bool is_plain = std::is_same_v<decltype(any), decltype(plain)&>;
    auto values = (is_plain ? plain_in_place : in_place).middleRows(first, n);
    auto gradients = (is_plain ? plain_gradient : gradient).middleRows(first, n);
    any.forward(values, values);
    any.backward_from_output(values, gradients, gradients);
  });
  EXPECT_TRUE(equal_bits(in_place, plain_in_place));
  EXPECT_TRUE(equal_bits(gradient, plain_gradient));
}

TEST(GhostBatchNorm, HasNoGhostsWhereRunningStatisticsNormalize) {
  Ghosts layer({.channels = 5}, {.samples = 8});
  bn::BatchNorm<float> plain({.channels = 5});
  set_parameters(layer);
  set_parameters(plain);
  Rows y, dx, plain_y, plain_dx;
  layer.forward(x, y);
  plain.running() = layer.running();
  EXPECT_TRUE(equal_bits(layer.infer(x), plain.infer(x)));
  EXPECT_TRUE(equal_bits(layer.infer(x.topRows(1)), plain.infer(x.topRows(1))));
  for (const bn::Mode mode :
       {bn::Mode::inference, bn::Mode::frozen, bn::Mode{bn::StatisticsSource::running, true, true}}) {
    layer.set_mode(mode);
    plain.set_mode(mode);
    layer.forward(x, y);
    plain.forward(x, plain_y);
    layer.backward(x, dy, dx);
    plain.backward(x, dy, plain_dx);
    EXPECT_TRUE(equal_bits(y, plain_y)) << mode;
    EXPECT_TRUE(equal_bits(dx, plain_dx)) << mode;
    EXPECT_TRUE(equal_statistics(layer.gradients().gamma, plain.gradients().gamma)) << mode;
    EXPECT_TRUE(equal_statistics(layer.running().mean, plain.running().mean)) << mode;
  }
  Rows nothing(0, 5);
  layer.set_mode(bn::Mode::inference);
  layer.forward(nothing, y = nothing);
}

TEST(GhostBatchNorm, HasTheModesOfBatchNorm) {
  Ghosts layer({.channels = 5}, {.samples = 8});
  const bn::RunningStatistics before = layer.running();
  Rows y, dx, again;
  layer.set_mode(bn::Mode::probe);
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  EXPECT_TRUE(equal_statistics(layer.running().mean, before.mean));
  EXPECT_TRUE((layer.gradients().beta == 0).all());
  layer.set_mode(bn::Mode::recompute);
  layer.forward(x, again);
  layer.backward(x, dy, dx);
  EXPECT_TRUE(equal_bits(again, y));
  EXPECT_TRUE(equal_statistics(layer.running().mean, before.mean));
  EXPECT_FALSE((layer.gradients().beta == 0).any());
  EXPECT_EQ(layer.moments().count, 4) << "the last ghost's";
}

TEST(GhostBatchNorm, MeetsSingleValuesWithThePolicy) {
  Rows y;
  Ghosts layer({.channels = 5}, {.samples = 8});
  EXPECT_TRUE(
      has_parts(message_of([&] { layer.forward(x.topRows(1), y); }), "forward(x)", "at least 2 values", "[1, 5]"));
  Ghosts of_one({.channels = 5}, {.samples = 1});
  y.resize(0, 5);
  EXPECT_TRUE(has_parts(message_of([&] { of_one.forward(x, y); }), "forward(x)", "at least 2 values"));
  EXPECT_EQ(of_one.running().skipped, 0);
  Ghosts zero({.channels = 5, .single_value = bn::SingleValue::zero_variance}, {.samples = 1});
  set_parameters(zero);
  y = x;
  zero.forward(y, y);
  EXPECT_TRUE((y.rowwise() - zero.affine().beta.matrix().transpose()).isZero(0));
  EXPECT_EQ(zero.running().skipped, 20);
}

// A ghost of one sample then changes nothing that the next one is normalized with.
TEST(GhostBatchNorm, NormalizesSingleValuesWithTheRunningStatisticsIfAsked) {
  const bn::Options options{.channels = 5, .single_value = bn::SingleValue::running};
  Ghosts layer(options, {.samples = 1});
  bn::BatchNorm<float> frozen(options);
  for (auto* any : {static_cast<bn::BatchNorm<float>*>(&layer), &frozen}) {
    set_parameters(*any);
    any->running().mean.setConstant(0.5);
    any->running().variance.setConstant(4);
  }
  frozen.set_mode(bn::Mode::frozen);
  Rows y, dx, expected_y, expected_dx;
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  frozen.forward(x, expected_y);
  frozen.backward(x, dy, expected_dx);
  EXPECT_TRUE(equal_bits(y, expected_y));
  EXPECT_TRUE(equal_bits(dx, expected_dx));
  EXPECT_TRUE((layer.running().mean == 0.5).all() && (layer.running().variance == 4).all());
  EXPECT_EQ(layer.running().skipped, 20);
  EXPECT_EQ(layer.running().batches, 0);

  Ghosts of_eight(options, {.samples = 8});
  of_eight.forward(x.topRows(1), y = x.topRows(1));
  EXPECT_TRUE(equal_bits(y, Rows(of_eight.infer(x.topRows(1)))));
  of_eight.forward(x, y = x);
  EXPECT_EQ(of_eight.running().batches, 3);
  EXPECT_EQ(of_eight.running().skipped, 1);
}

TEST(GhostBatchNorm, LetsNaNInWhereThatIsSaid) {
  Rows bad = x, y(20, 5), dx(20, 5), plain_y(20, 5), plain_dx(20, 5);
  bad(9, 2) = std::numeric_limits<float>::quiet_NaN();
  const bn::Options options{.channels = 5, .non_finite = bn::NonFinite::propagate};
  Ghosts layer(options, {.samples = 8});
  bn::BatchNorm<float> plain(options);
  expect_turns(layer, plain, {8, 8, 4}, [&](auto& any, Index first, Index n) {
    constexpr bool is_plain = std::is_same_v<decltype(any), decltype(plain)&>;
    auto &to = is_plain ? plain_y : y, &dto = is_plain ? plain_dx : dx;
    any.forward(bad.middleRows(first, n), to.middleRows(first, n));
    any.backward(bad.middleRows(first, n), dy.middleRows(first, n), dto.middleRows(first, n));
  });
  EXPECT_TRUE(equal_bits(y, plain_y));
  EXPECT_TRUE(equal_bits(dx, plain_dx));
  EXPECT_EQ(layer.running().batches, 3);
  EXPECT_EQ(layer.running().skipped, 0);
  EXPECT_TRUE(std::isnan(layer.running().mean[2]));
  EXPECT_TRUE(y.bottomRows(4).allFinite());
  EXPECT_TRUE(layer.running().mean.head(2).isFinite().all() && layer.running().mean.tail(2).isFinite().all());
}

TEST(GhostBatchNorm, LeavesOutAGhostThatIsNotFinite) {
  Rows bad = x, y;
  bad(9, 2) = std::numeric_limits<float>::quiet_NaN();
  Ghosts layer({.channels = 5}, {.samples = 8});
  layer.forward(bad, y);
  EXPECT_EQ(layer.running().batches, 2);
  EXPECT_EQ(layer.running().skipped, 1);
  EXPECT_TRUE(y.topRows(8).allFinite());
  EXPECT_TRUE(y.bottomRows(4).allFinite());
  EXPECT_TRUE(y.middleRows(8, 8).col(2).array().isNaN().all());
}

TEST(GhostBatchNorm, ChangesNothingWhereALaterGhostIsRefused) {
  Rows bad = x, y, dx, expected_dx;
  bad(19, 2) = std::numeric_limits<float>::infinity();
  Ghosts layer({.channels = 5, .non_finite = bn::NonFinite::error}, {.samples = 8});
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  Ghosts before = layer;
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(bad, y); }), "expected finite statistics", "channel 2"));
  Rows in_place = bad;
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(in_place, in_place); }), "expected finite statistics"));
  EXPECT_TRUE(equal_bits(in_place, bad));
  EXPECT_TRUE(equal_state(layer, before));
  layer.backward(x, dy, dx);
  before.backward(x, dy, expected_dx);
  EXPECT_TRUE(equal_bits(dx, expected_dx));
  EXPECT_TRUE(equal_state(layer, before));
}

TEST(GhostBatchNorm, ChangesNoGradientWhereALaterGhostHasAnotherX) {
  // The hash of the whole batch looks at some of its 640 elements, that of a ghost at all of its 160.
  Rows large = some_values(64, 10, 5), y, dx;
  const Rows large_dy = some_values(64, 10, 6);
  Ghosts layer({.channels = 10}, {.samples = 16});
  layer.forward(large, y);
  const Ghosts before = layer;
  int refused_for_a_ghost = 0;
  for (Index row = 48; row < 64; ++row) {
    for (Index c = 0; c < 10; ++c) {
      const float kept = large(row, c);
      large(row, c) = 100;
      const std::string message = message_of([&] { layer.backward(large, large_dy, dx); });
      large(row, c) = kept;
      EXPECT_TRUE(has_parts(message, "backward(x)", "got other values"));
      ASSERT_TRUE(equal_state(layer, before));
      refused_for_a_ghost += message.find("[16, 10]") != std::string::npos;
    }
  }
  EXPECT_GT(refused_for_a_ghost, 0);
}

TEST(GhostBatchNorm, RefusesWrongCalls) {
  const auto make = [](Index samples) { return [samples] { Ghosts({.channels = 5}, {.samples = samples}); }; };
  EXPECT_TRUE(has_parts(message_of(make(0)), "GhostBatches", "at least 1 sample, got 0", "{.samples = 32}"));
  EXPECT_TRUE(has_parts(message_of(make(-3)), "GhostBatches", "got -3"));
  EXPECT_TRUE(has_parts(message_of([] { Ghosts({.channels = 0}, {.samples = 8}); }), "channels >= 1"));

  Ghosts layer({.channels = 5}, {.samples = 8});
  Rows y, dx;
  EXPECT_TRUE(
      has_parts(message_of([&] { layer.backward(x, dy, dx); }), "backward(x)", "expected a forward pass before"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(Rows(0, 5), y = Rows(0, 5)); }), "at least 1 value"));
  layer.forward(x, y = x);
  const Rows fewer = x.topRows(16), fewer_dy = dy.topRows(16);
  EXPECT_TRUE(
      has_parts(message_of([&] { layer.backward(fewer, fewer_dy, dx); }), "backward(x)", "other extents", "[16, 5]"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(dy, dy, dx = x); }), "backward(x)", "other values"));

  // y of the first ghost is x of the second: neither ghost by itself would notice.
  Rows both(28, 5);
  both.topRows(20) = x;
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(both.topRows(20), both.bottomRows(20)); }), "forward(y)",
                        "overlaps part of x"));
}

TEST(GhostBatchNorm, IsABatchNormToWhatTakesOne) {
  Ghosts layer({.channels = 5}, {.samples = 8});
  bn::recalibrate(layer, std::vector<Rows>{x, dy});
  EXPECT_EQ(layer.running().batches, 2);
  EXPECT_EQ(layer.describe(), "GhostBatchNorm of 8 samples: " + bn::BatchNorm<float>(layer).describe());
  EXPECT_EQ(layer.ghosts().samples, 8);
  Ghosts copy = layer;
  Rows y;
  copy.forward(x, y);
  EXPECT_EQ(layer.running().batches, 2);
}

}  // namespace ghost_batch_norm_test
