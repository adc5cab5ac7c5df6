// Batch renormalization: the schedule, the cases in which it is batch normalization or inference, every form of call,
// and that a wrong call changes nothing.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <batchnorm/layers/batch_renorm.hpp>
#include <limits>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/renorm.hpp"
#include "support/small_batch.hpp"
#include "support/state.hpp"
#include "support/throws.hpp"

namespace batch_renorm_test {

namespace bn = batchnorm;
using namespace testing_support;

using Rows = FloatRows;
using Renorm = bn::BatchRenorm<float>;

const Rows x = some_values(8, 5, 11), dy = some_values(8, 5, 12);

TEST(RenormSchedule, IsThePapersByDefault) {
  const bn::RenormSchedule schedule;
  const auto expect = [&](std::int64_t step, double r_max, double d_max) {
    EXPECT_DOUBLE_EQ(schedule.limits(step).r_max, r_max) << step;
    EXPECT_DOUBLE_EQ(schedule.limits(step).d_max, d_max) << step;
  };
  expect(0, 1, 0);
  expect(4'999, 1, 0);
  expect(5'000, 1, 0);
  expect(5'001, 1 + 2.0 / 35'000, 5.0 / 20'000);
  expect(15'000, 1 + 2.0 * 10'000 / 35'000, 2.5);
  expect(24'999, 1 + 2.0 * 19'999 / 35'000, 5.0 * 19'999 / 20'000);
  expect(25'000, 1 + 2.0 * 20'000 / 35'000, 5);
  expect(39'999, 1 + 2.0 * 34'999 / 35'000, 5);
  expect(40'000, 3, 5);
  expect(std::numeric_limits<std::int64_t>::max(), 3, 5);
  EXPECT_TRUE(schedule.limits(4'999).is_plain());
  EXPECT_FALSE(schedule.limits(5'001).is_plain());
}

TEST(RenormSchedule, ReachesItsLimitsExactly) {
  const bn::RenormSchedule schedule{.plain_steps = 3, .r_max = 1.1, .r_steps = 7, .d_max = 0.1, .d_steps = 0};
  EXPECT_TRUE(schedule.limits(2).is_plain());
  EXPECT_EQ(schedule.limits(3).d_max, 0.1);
  EXPECT_EQ(schedule.limits(3).r_max, 1);
  EXPECT_EQ(schedule.limits(10).r_max, 1.1);
  EXPECT_EQ(within(1.1, 0.1).limits(0).r_max, 1.1);
}

TEST(RenormSchedule, RefusesWhatMakesNoLimits) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const auto message = [](const bn::RenormSchedule& schedule) {
    EXPECT_EQ(message_of([&] { Renorm({.channels = 5}, schedule); }), message_of([&] { schedule.limits(0); }));
    return message_of([&] { schedule.check(); });
  };
  EXPECT_TRUE(has_parts(message({.r_max = 0.5}), "RenormSchedule", "r_max >= 1", "got 0.5"));
  EXPECT_TRUE(has_parts(message({.r_max = nan}), "r_max >= 1"));
  EXPECT_TRUE(has_parts(message({.r_max = infinity}), "finite r_max"));
  EXPECT_TRUE(has_parts(message({.d_max = -1}), "d_max >= 0", "got -1"));
  EXPECT_TRUE(has_parts(message({.d_max = nan}), "d_max >= 0"));
  EXPECT_TRUE(has_parts(message({.d_max = infinity}), "finite d_max"));
  EXPECT_TRUE(has_parts(message({.plain_steps = -1}), "plain_steps >= 0", "got -1"));
  EXPECT_TRUE(has_parts(message({.r_steps = -2}), "r_steps >= 0", "got -2"));
  EXPECT_TRUE(has_parts(message({.d_steps = -3}), "d_steps >= 0", "got -3"));
  EXPECT_TRUE(has_parts(message_of([] { bn::RenormSchedule().limits(-1); }), "step >= 0", "got -1"));

  Renorm layer({.channels = 5}, within(2, 1));
  message_of([&] { layer.set_schedule({.r_max = 0}); });
  EXPECT_EQ(layer.schedule().r_max, 2);
}

TEST(BatchRenorm, IsInferenceWhereNoLimitIsReached) {
  auto layer = make_layer<bn::BatchRenorm<double>>();
  layer.set_schedule(within(1e6, 1e6));
  set_running(layer);
  const Eigen::MatrixXd values = x.cast<double>(), inferred = layer.infer(values);
  Eigen::MatrixXd y;
  layer.forward(values, y);
  // Both err by tolerance, and y is the difference of terms as large as |d gamma|, below 8.
  EXPECT_TRUE(close_forward<double>(values_of(y, 1), values_of(inferred, 1), 16 * tolerance<double>()));
}

TEST(BatchRenorm, WithoutLimitsIsBatchNormBitForBit) {
  for (const bool all : {true, false}) {
    const bn::Options options{.channels = 5, .scale = all, .shift = all};
    Renorm layer(options, within(1, 0));
    bn::BatchNorm<float> plain(options);
    for (const auto& [batch, gradient] : {std::pair{&x1, &dy1}, std::pair{&x2, &dy2}}) {
      Rows y, dx, plain_y, plain_dx;
      layer.forward(*batch, y);
      plain.forward(*batch, plain_y);
      layer.backward(*batch, *gradient, dx);
      plain.backward(*batch, *gradient, plain_dx);
      EXPECT_TRUE(equal_bits(y, plain_y));
      EXPECT_TRUE(equal_bits(dx, plain_dx));
      EXPECT_TRUE(equal_state(layer, plain));
      EXPECT_EQ(layer.correction().r.size(), 0);
    }
    EXPECT_TRUE(equal_bits(layer.infer(x1), plain.infer(x1)));
  }
}

TEST(BatchRenorm, OfABatchThatIsLikeTheRunningStatisticsIsBatchNormBitForBit) {
  bn::Moments moments;
  bn::batch_moments(x1, moments);
  for (const bool all : {true, false}) {
    const bn::Options options{.channels = 5, .averaging = bn::none(), .scale = all, .shift = all};
    Renorm layer(options, within(3, 5));
    bn::BatchNorm<float> plain(options);
    if (all) layer.affine().gamma << 0.5f, 1.0f, 2.0f, -1.0f, 0.75f;
    plain.affine() = layer.affine();
    layer.running().mean = moments.mean;
    layer.running().variance = moments.variance();
    plain.running() = layer.running();
    for (int time = 0; time < 3; ++time) {  // gradients add up
      Rows y, dx, plain_y, plain_dx;
      layer.forward(x1, y);
      plain.forward(x1, plain_y);
      EXPECT_TRUE((layer.correction().r == 1).all() && (layer.correction().d == 0).all());
      layer.backward(x1, dy1, dx);
      plain.backward(x1, dy1, plain_dx);
      EXPECT_TRUE(equal_bits(y, plain_y));
      EXPECT_TRUE(equal_bits(dx, plain_dx));
      EXPECT_TRUE(equal_numbers(layer, plain));
      EXPECT_TRUE(layer.saved().tensors.x == plain.saved().tensors.x);
    }
  }
}

TEST(BatchRenorm, FollowsItsScheduleByItself) {
  Renorm layer({.channels = 5}, {.plain_steps = 2, .r_max = 3, .r_steps = 2, .d_max = 1, .d_steps = 4});
  Rows y, bad = x1;
  bad(0, 0) = std::numeric_limits<float>::quiet_NaN();
  const double r_max[] = {1, 1, 1, 2, 3, 3, 3, 3}, d_max[] = {0, 0, 0, 0.25, 0.5, 0.75, 1, 1};
  for (int step = 0; step < 8; ++step) {
    EXPECT_EQ(layer.limits().r_max, r_max[step]) << step;
    EXPECT_EQ(layer.limits().d_max, d_max[step]) << step;
    layer.forward(bad, y);  // left out
    layer.set_mode(bn::Mode::probe);
    layer.forward(x2, y);
    layer.set_mode(bn::Mode::training);
    layer.forward(x1, y);
    EXPECT_EQ(layer.correction().r.size() == 0, step <= 2) << step;
    if (step <= 2) continue;
    EXPECT_LE(layer.correction().r.maxCoeff(), r_max[step]);
    EXPECT_LE(layer.correction().d.abs().maxCoeff(), d_max[step]);
  }
  EXPECT_EQ(layer.describe(), "BatchRenorm within r_max 3 and d_max 1: " + bn::BatchNorm<float>(layer).describe());
  Renorm loaded({.channels = 5}, layer.schedule());
  loaded.for_each_state([&](const std::string& name, auto& state) {
    layer.for_each_state([&](const std::string& other, auto& from) {
      if constexpr (std::is_same_v<decltype(state), decltype(from)>) {
        if (name == other) state = from;
      }
    });
  });
  EXPECT_EQ(loaded.limits().r_max, 3) << "the step is part of the state";
}

TEST(BatchRenorm, HasTheModesOfBatchNorm) {
  auto layer = make_layer<Renorm>();
  layer.set_schedule(within(3, 5));
  auto plain = make_layer<bn::BatchNorm<float>>();
  set_running(layer);
  set_running(plain);
  Rows y, dx, plain_y, plain_dx, trained;
  EXPECT_TRUE(equal_bits(layer.infer(x), plain.infer(x)));
  for (const bn::Mode mode : {bn::Mode::inference, bn::Mode::frozen}) {
    layer.set_mode(mode);
    plain.set_mode(mode);
    layer.forward(x, y);
    plain.forward(x, plain_y);
    layer.backward(x, dy, dx);
    plain.backward(x, dy, plain_dx);
    EXPECT_TRUE(equal_bits(y, plain_y)) << mode;
    EXPECT_TRUE(equal_bits(dx, plain_dx)) << mode;
    EXPECT_TRUE(equal_state(layer, plain)) << mode;
  }
  layer.zero_gradients();
  const Renorm before = layer;
  layer.set_mode(bn::Mode::probe);
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  EXPECT_TRUE(equal_statistics(layer.running().mean, before.running().mean));
  EXPECT_TRUE((layer.gradients().gamma == 0).all() && (layer.gradients().beta == 0).all());
  layer.set_mode(bn::Mode::training);
  layer.forward(x, trained);
  EXPECT_TRUE(equal_bits(trained, y)) << "computed again, after a probe";
  layer.backward(x, dy, dx);
  EXPECT_FALSE((layer.gradients().beta == 0).any());
}

TEST(BatchRenorm, FusesActivationsAndResiduals) {
  auto layer = make_layer<Renorm>();
  layer.set_schedule(within(1.75, 1.125));
  set_running(layer);
  Rows z, y, dx, dz, expected_dx;
  layer.forward(x, z);
  {
    auto fused = make_layer<bn::BatchRenorm<float, bn::samples_in_rows, bn::relu>>();
    fused.set_schedule(layer.schedule());
    set_running(fused);
    fused.forward(x, y);
    EXPECT_TRUE(equal_bits(y, Rows(z.cwiseMax(0.0f))));
    dz = (z.array() > 0).select(dy, Rows::Zero(8, 5));
    layer.zero_gradients();
    layer.backward(x, dz, expected_dx);
    fused.backward(x, dy, dx);
    // The same sums, in which a term that is 0 comes by another way.
    EXPECT_TRUE(equal_bits(dx, expected_dx));
    EXPECT_TRUE(equal_statistics(fused.gradients().gamma, layer.gradients().gamma));
  }
  {
    auto fused = make_layer<bn::BatchRenorm<float, bn::samples_in_rows, bn::add_relu>>();
    fused.set_schedule(layer.schedule());
    set_running(fused);
    const Rows skip = some_values(8, 5, 13), sum = z + skip;
    Rows dskip;
    fused.forward(x, skip, y);
    EXPECT_TRUE(equal_bits(y, Rows(sum.cwiseMax(0.0f))));
    dz = (sum.array() > 0).select(dy, Rows::Zero(8, 5));
    layer.zero_gradients();
    layer.backward(x, dz, expected_dx);
    fused.backward(x, skip, dy, dx, dskip);
    EXPECT_TRUE(equal_bits(dx, expected_dx));
    EXPECT_TRUE(equal_bits(dskip, dz));
    EXPECT_TRUE(equal_statistics(fused.gradients().gamma, layer.gradients().gamma));
  }
}

TEST(BatchRenorm, GoesBackFromItsOutput) {
  using Leaky = bn::BatchRenorm<float, bn::samples_in_rows, bn::leaky_relu>;
  auto layer = make_layer<Leaky>();
  for (const double d_max : {0.5, 0.0}) {
    layer.set_schedule(within(d_max == 0 ? 1 : 1.75, d_max));
    layer.affine().beta.setConstant(0.25f);
    set_running(layer);
    Rows y, dx, from_output;
    Leaky other = layer;
    layer.forward(x, y);
    layer.backward(x, dy, dx);
    other.forward(x, y);
    other.backward_from_output(y, dy, from_output);
    // x_hat errs by epsilon (1 + |beta / gamma|) / 2 with |beta / gamma| below 3, beside |x_hat| below 3; S2 has 8 of
    // them.
    EXPECT_TRUE(max_abs(dx - from_output) < 1e-6f * dx.cwiseAbs().maxCoeff() * 4);
    EXPECT_TRUE(
        ((layer.gradients().gamma - other.gradients().gamma).abs() < 8 * 4 * 1.2e-7f * dy.cwiseAbs().maxCoeff()).all());
    EXPECT_TRUE(((layer.gradients().beta - other.gradients().beta).abs() < 1e-6f).all());
  }
}

TEST(BatchRenorm, MeetsSingleValuesWithThePolicy) {
  const Rows one = x.topRows(1);
  Rows y;
  auto layer = make_layer<Renorm>();
  layer.set_schedule(within(3, 5));
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(one, y); }), "forward(x)", "at least 2 values"));
  auto running = make_layer<Renorm>({.channels = 5, .single_value = bn::SingleValue::running});
  running.set_schedule(within(3, 5));
  set_running(running);
  running.forward(one, y);
  EXPECT_TRUE(equal_bits(y, Rows(running.infer(one))));
  auto zero = make_layer<Renorm>({.channels = 5, .single_value = bn::SingleValue::zero_variance});
  zero.set_schedule(within(1e9, 1e9));
  set_running(zero);
  zero.forward(one, y);  // x_hat is 0, so all of y is beta + d gamma: what inference gives
  EXPECT_TRUE(close_forward<float>(values_of(y, 1), values_of(Rows(zero.infer(one)), 1), 8 * tolerance<float>()));
}

TEST(BatchRenorm, RefusesWrongCallsAndChangesNothing) {
  Rows y, dx, expected_dx, bad = x;
  bad(7, 2) = std::numeric_limits<float>::infinity();
  auto layer = make_layer<Renorm>({.channels = 5, .non_finite = bn::NonFinite::error});
  layer.set_schedule(within(1.75, 1.125));
  EXPECT_TRUE(
      has_parts(message_of([&] { layer.backward(x, dy, dx); }), "backward(x)", "expected a forward pass before"));
  set_running(layer);
  layer.forward(x, y);
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(Rows(x.topRows(4)), Rows(dy.topRows(4)), dx); }), "backward(x)",
                        "other extents"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(dy, dy, dx = x); }), "backward(x)", "other values"));
  Renorm before = layer;
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(bad, y); }), "expected finite statistics", "channel 2"));
  EXPECT_TRUE(equal_state(layer, before));
  layer.backward(x, dy, dx);
  before.backward(x, dy, expected_dx);
  EXPECT_TRUE(equal_bits(dx, expected_dx)) << "r and d are still those of the pass before";
  EXPECT_TRUE(equal_state(layer, before));

  layer.running().variance[3] = -1;
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(x, y); }), "forward", "finite variance >= 0", "channel 3"));
  layer.running().variance.resize(2);
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(x, y); }), "running().variance", "got 2"));
}

TEST(BatchRenorm, ThroughAReferenceToBatchNormIsNeverHalfOfEach) {
  Renorm layer({.channels = 5}, within(3, 5));
  set_running(layer);
  bn::BatchNorm<float>& as_batch_norm = layer;
  Rows y, dx;
  layer.forward(x1, y);
  EXPECT_TRUE(has_parts(message_of([&] { as_batch_norm.backward(x1, dy1, dx); }), "backward(saved)", "BatchRenorm"));
  EXPECT_TRUE(has_parts(message_of([&] { as_batch_norm.backward_from_output(y, dy1, dx); }), "BatchRenorm"));

  as_batch_norm.forward(x2, y);  // has no r and d, and the backward pass of either has none
  EXPECT_EQ(layer.correction().r.size(), 0);
  bn::BatchNorm<float> plain({.channels = 5});
  Rows plain_dx;
  plain.forward(x2, y);
  plain.backward(x2, dy2, plain_dx);
  layer.backward(x2, dy2, dx);
  EXPECT_TRUE(equal_bits(dx, plain_dx));
  EXPECT_TRUE((layer.gradients().gamma == plain.gradients().gamma).all());
}

}  // namespace batch_renorm_test
