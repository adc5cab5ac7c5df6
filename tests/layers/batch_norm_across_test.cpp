// A batch in parts on several ranks: as if it were whole on one, the same bits on all, and no rank that waits in vain.
// Ranks are threads here; adapters/mpi_test has processes.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/kernels.hpp"
#include "support/small_batch.hpp"
#include "support/state.hpp"
#include "support/thread_ranks.hpp"
#include "support/throws.hpp"

namespace bn = batchnorm;

namespace testing_support::batch_norm_across_test {

using Rows = FloatRows;
using Layer = bn::BatchNorm<float>;
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
const std::vector<std::string> no_errors(3);

/// How many samples each rank has.
using Parts = std::vector<Index>;

Index first_of(const Parts& parts, int rank) { return std::accumulate(parts.begin(), parts.begin() + rank, Index(0)); }

/// |actual - expected| <= allowance * the largest |expected| of the channel.
testing::AssertionResult close(const Values& actual, const Values& expected, double allowance) {
  return compare_detail::compare(actual, expected,
                                 [&](Index, Index c) { return allowance * expected.col(c).abs().maxCoeff(); });
}
template <class A, class B>
testing::AssertionResult close_arrays(const A& actual, const B& expected, double allowance) {
  const Values a = actual.template cast<Real>(), b = expected.template cast<Real>();
  return close(a, b, allowance);
}

const Rows x = some_values(20, 5, 1), dy = some_values(20, 5, 2);

// --- As one

template <class A>
class PartsOfABatch : public testing::Test {};
using Arrangements = testing::Types<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>,
                                    Arrangement<BlockOfMatrix<float, Eigen::ColMajor>, bn::samples_in_rows, 1>,
                                    Arrangement<OwnedMatrix<double, Eigen::ColMajor>, bn::samples_in_columns, 0>,
                                    Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_first, 1>,
                                    Arrangement<MappedTensor<double, 4, Eigen::ColMajor>, bn::channel_first, 1>,
                                    Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_last, 3>,
                                    Arrangement<OwnedTensor<double, 3, Eigen::RowMajor>, bn::channel_axis<0>, 0>,
                                    Arrangement<OwnedTensor<double, 5, Eigen::ColMajor>, bn::channel_last, 4>>;
TYPED_TEST_SUITE(PartsOfABatch, Arrangements);

/// Extents of so many samples.
template <class A>
Extents<A::rank> extents_of_samples(Index samples) {
  Extents<A::rank> extents;
  extents.fill(5);
  extents[A::rank - 1 - (std::size_t(A::axis) == A::rank - 1)] += A::rank > 2 ? 2 : 0;
  extents[A::axis == 0 ? 1 : 0] = samples;
  return extents;
}

/// A table of values that Element holds exactly, moved.
template <class Element>
Values exact(const Values& values, Real by) {
  return rounded_to<Element>(values + by);
}

/// Tensors of some samples, and what a layer makes of them in two steps.
template <class A>
struct Samples {
  typename A::Container x, dy, y, dx;

  Samples(Index samples, const Values& x_values, const Values& dy_values)
      : x(extents_of_samples<A>(samples)), dy(x), y(x), dx(x) {
    assign(x_values, x.view(), A::axis);
    assign(dy_values, dy.view(), A::axis);
  }

  template <class AnyLayer>
  void train(AnyLayer& layer, const bn::Reducer* across) {
    set_parameters(layer);
    for (int step = 0; step < 2; ++step) {
      layer.forward(x.view(), y.view(), {.across = across});
      layer.backward(x.view(), dy.view(), dx.view(), {.across = across});
    }
  }
};

/// The running statistics, moments and gradients of the parameters.
template <class AnyLayer>
void expect_close(const AnyLayer& layer, const AnyLayer& whole, double allowance) {
  EXPECT_EQ(layer.moments().count, whole.moments().count);
  EXPECT_EQ(layer.running().batches, whole.running().batches);
  EXPECT_TRUE(close_arrays(layer.moments().mean, whole.moments().mean, allowance));
  EXPECT_TRUE(close_arrays(layer.moments().m2, whole.moments().m2, allowance));
  EXPECT_TRUE(close_arrays(layer.running().mean, whole.running().mean, allowance));
  EXPECT_TRUE(close_arrays(layer.running().variance, whole.running().variance, allowance));
  // Sums of about as many terms of about this size, of either sign.
  const double terms = std::sqrt(whole.moments().count);
  EXPECT_LE(double(max_abs(layer.gradients().gamma - whole.gradients().gamma)), 4 * allowance * terms);
  EXPECT_LE(double(max_abs(layer.gradients().beta - whole.gradients().beta)), 4 * allowance * terms);
}

TYPED_TEST(PartsOfABatch, AreNormalizedAsTheWhole) {
  using A = TypeParam;
  using Scalar = bn::statistics_t<typename A::Scalar>;
  using AnyLayer = bn::BatchNorm<Scalar, typename A::Layout>;
  constexpr double allowance = std::is_same_v<Scalar, float> ? 1e-6 : 1e-12;
  const auto extents = extents_of_samples<A>(11);
  const Index count = count_of(extents, A::axis), channels = extents[std::size_t(A::axis)], each = count / 11;
  Random random(11);
  const Values x_values = exact<typename A::Scalar>(random_values(count, channels, random), 3),
               dy_values = exact<typename A::Scalar>(normal_values(count, channels, random), 0.5);
  AnyLayer whole({.channels = channels});
  Samples<A> expected(11, x_values, dy_values);
  expected.train(whole, nullptr);
  for (const Parts& parts : {Parts{11}, Parts{4, 7}, Parts{1, 0, 10}, Parts{0, 3, 6, 2}}) {
    SCOPED_TRACE(testing::PrintToString(parts));
    std::vector<AnyLayer> layers(parts.size(), AnyLayer({.channels = channels}));
    Values y(count, channels), dx(count, channels);
    const auto errors = on_ranks(int(parts.size()), [&](const ThreadRank& ranks) {
      const std::size_t rank = std::size_t(ranks.rank);
      const Index begin = each * first_of(parts, ranks.rank), size = each * parts[rank];
      Samples<A> mine(parts[rank], x_values.middleRows(begin, size), dy_values.middleRows(begin, size));
      mine.train(layers[rank], &ranks);
      y.middleRows(begin, size) = values_of(mine.y.view(), A::axis);
      dx.middleRows(begin, size) = values_of(mine.dx.view(), A::axis);
    });
    EXPECT_EQ(errors, std::vector<std::string>(parts.size()));
    EXPECT_TRUE(close(y, values_of(expected.y.view(), A::axis), allowance));
    EXPECT_TRUE(close(dx, values_of(expected.dx.view(), A::axis), allowance));
    for (const AnyLayer& layer : layers) EXPECT_TRUE(equal_state_on_ranks(layer, layers[0]));
    EXPECT_EQ(layers[0].moments().count, double(count));
    EXPECT_EQ(layers[0].running().batches, 2);
    expect_close(layers[0], whole, allowance);
  }
}

/// Runs pass(layer, first, count, ranks) on a whole batch of 20 samples, and on its parts.
template <class AnyLayer, class Pass>
void expect_as_whole(const bn::Options& options, const Parts& parts, const Pass& pass) {
  AnyLayer whole(options);
  set_parameters(whole);
  pass(whole, 0, 20, nullptr);
  std::vector<AnyLayer> layers(parts.size(), AnyLayer(options));
  const auto errors = on_ranks(int(parts.size()), [&](const ThreadRank& ranks) {
    AnyLayer& layer = layers[std::size_t(ranks.rank)];
    set_parameters(layer);
    pass(layer, first_of(parts, ranks.rank), parts[std::size_t(ranks.rank)], &ranks);
  });
  EXPECT_EQ(errors, std::vector<std::string>(parts.size()));
  for (const AnyLayer& layer : layers) {
    EXPECT_TRUE(equal_state_on_ranks(layer, layers[0]));
    EXPECT_TRUE(close_arrays(layer.running().mean, whole.running().mean, 1e-6));
    EXPECT_TRUE(close_arrays(layer.running().variance, whole.running().variance, 1e-6));
    EXPECT_LE(max_abs(layer.gradients().gamma - whole.gradients().gamma), 2e-5f);
    EXPECT_LE(max_abs(layer.gradients().beta - whole.gradients().beta), 2e-5f);
  }
}

/// Rows that each rank writes its part of, whichever of the two it is.
struct Halves {
  Rows whole = Rows::Zero(20, 5), parts = Rows::Zero(20, 5);

  auto of(const bn::Reducer* ranks, Index first, Index count) {
    return (ranks ? parts : whole).middleRows(first, count);
  }
  testing::AssertionResult agree() const { return close(parts.cast<Real>().array(), whole.cast<Real>().array(), 1e-6); }
};

TEST(AcrossRanks, ActivationsAreFused) {
  Halves y, dx;
  expect_as_whole<bn::BatchNorm<float, bn::samples_in_rows, bn::relu>>(
      {.channels = 5}, {8, 0, 12}, [&](auto& layer, Index first, Index count, const bn::Reducer* ranks) {
        layer.forward(x.middleRows(first, count), y.of(ranks, first, count), {.across = ranks});
        layer.backward(x.middleRows(first, count), dy.middleRows(first, count), dx.of(ranks, first, count),
                       {.across = ranks});
      });
  EXPECT_TRUE(y.agree());
  EXPECT_TRUE(dx.agree());
  EXPECT_EQ(y.parts.minCoeff(), 0);
}

TEST(AcrossRanks, ResidualsAreAdded) {
  const Rows skip = some_values(20, 5, 3);
  Halves y, dx, dskip;
  expect_as_whole<bn::BatchNorm<float, bn::samples_in_rows, bn::add_relu>>(
      {.channels = 5}, {5, 15}, [&](auto& layer, Index first, Index count, const bn::Reducer* ranks) {
        layer.forward(x.middleRows(first, count), skip.middleRows(first, count), y.of(ranks, first, count),
                      {.across = ranks});
        layer.backward(x.middleRows(first, count), skip.middleRows(first, count), dy.middleRows(first, count),
                       dx.of(ranks, first, count), dskip.of(ranks, first, count), {.across = ranks});
      });
  EXPECT_TRUE(y.agree());
  EXPECT_TRUE(dx.agree());
  EXPECT_TRUE(dskip.agree());
}

TEST(AcrossRanks, BackwardFindsItsWayFromTheOutput) {
  Halves values, gradients;
  values.whole = values.parts = x;
  gradients.whole = gradients.parts = dy;
  expect_as_whole<bn::BatchNorm<float, bn::samples_in_rows, bn::leaky_relu>>(
      {.channels = 5}, {1, 16, 3}, [&](auto& layer, Index first, Index count, const bn::Reducer* ranks) {
        auto in_place = values.of(ranks, first, count), gradient = gradients.of(ranks, first, count);
        layer.forward(in_place, in_place, {.across = ranks});
        layer.backward_from_output(in_place, gradient, gradient, {.across = ranks});
      });
  EXPECT_TRUE(values.agree());
  // x_hat is recovered within epsilon (1 + |beta / gamma|) / 2, here up to 2.
  EXPECT_TRUE(close(gradients.parts.cast<Real>().array(), gradients.whole.cast<Real>().array(), 4e-6));
}

TEST(AcrossRanks, WeightsCountAsWellOnEach) {
  // None of the last rank has any.
  Eigen::ArrayXd weights(20);
  weights << 1, 2, 0, 1, 0.5, 1, 1, 0, 3, 1, 1, 1, 1, 0.25, 1, 0, 0, 0, 0, 0;
  Rows padded = x;
  padded.bottomRows(5).setConstant(nan);
  Halves y, dx;
  expect_as_whole<Layer>(
      {.channels = 5}, {7, 8, 5}, [&](auto& layer, Index first, Index count, const bn::Reducer* ranks) {
        const auto of = weights.segment(first, count);
        layer.forward(padded.middleRows(first, count), y.of(ranks, first, count), {.weights = of, .across = ranks});
        layer.backward(padded.middleRows(first, count), dy.middleRows(first, count), dx.of(ranks, first, count),
                       {.weights = of, .across = ranks});
      });
  EXPECT_TRUE(close(y.parts.topRows(15).cast<Real>().array(), y.whole.topRows(15).cast<Real>().array(), 1e-6));
  EXPECT_TRUE(dx.agree());
  EXPECT_TRUE((dx.parts.bottomRows(5).array() == 0).all());
}

TEST(AcrossRanks, WeightsOfAnEmptyPartAreNone) {
  const Eigen::ArrayXd weights = Eigen::ArrayXd::LinSpaced(20, 0.5, 2);
  Halves y, dx;
  expect_as_whole<Layer>(
      {.channels = 5}, {12, 0, 8}, [&](auto& layer, Index first, Index count, const bn::Reducer* ranks) {
        const auto of = weights.segment(first, count);
        layer.forward(x.middleRows(first, count), y.of(ranks, first, count), {.weights = of, .across = ranks});
        layer.backward(x.middleRows(first, count), dy.middleRows(first, count), dx.of(ranks, first, count),
                       {.weights = of, .across = ranks});
      });
  EXPECT_TRUE(y.agree());
  EXPECT_TRUE(dx.agree());
}

TEST(AcrossRanks, HalfIsNormalized) {
  using Halfs = Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Halfs half_x = x.cast<Eigen::half>(), half_dy = dy.cast<Eigen::half>();
  Halfs y[2] = {Halfs(20, 5), Halfs(20, 5)}, dx[2] = {Halfs(20, 5), Halfs(20, 5)};
  expect_as_whole<Layer>(
      {.channels = 5}, {9, 11}, [&](auto& layer, Index first, Index count, const bn::Reducer* ranks) {
        layer.forward(half_x.middleRows(first, count), y[ranks != nullptr].middleRows(first, count), {.across = ranks});
        layer.backward(half_x.middleRows(first, count), half_dy.middleRows(first, count),
                       dx[ranks != nullptr].middleRows(first, count), {.across = ranks});
      });
  // Where the sums differ in their last bits, half rounds up or down.
  EXPECT_TRUE(close(values_of(y[1], 1), values_of(y[0], 1), 0x1p-10));
  EXPECT_TRUE(close(values_of(dx[1], 1), values_of(dx[0], 1), 0x1p-10));
}

TEST(AcrossRanks, OneRankIsAsGoodAsNone) {
  Layer one = make_layer<Layer>(), none = make_layer<Layer>();
  Rows y, dx, other_y, other_dx;
  none.forward(x, other_y);
  none.backward(x, dy, other_dx);
  EXPECT_EQ(on_ranks(1,
                     [&](const ThreadRank& ranks) {
                       one.forward(x, y, {.across = &ranks});
                       one.backward(x, dy, dx, {.across = &ranks});
                     }),
            std::vector<std::string>(1));
  // One part is merged with nothing.
  EXPECT_TRUE(equal_state_on_ranks(one, none));
  EXPECT_TRUE(equal_bits(y, other_y));
  EXPECT_TRUE(equal_bits(dx, other_dx));
}

// --- Modes, and what is said to the others

/// The sizes of all messages of a forward and a backward pass in this mode.
std::vector<std::size_t> messages_in(bn::Mode mode) {
  std::vector<std::size_t> sizes;
  const auto errors = on_ranks(
      2,
      [&](const ThreadRank& ranks) {
        Layer layer = make_layer<Layer>({.channels = 5, .mode = mode});
        Rows y, dx;
        const Rows mine = x.middleRows(10 * ranks.rank, 10), gradient = dy.middleRows(10 * ranks.rank, 10);
        layer.forward(mine, y, {.across = &ranks});
        layer.backward(mine, gradient, dx, {.across = &ranks});
      },
      &sizes);
  EXPECT_EQ(errors, std::vector<std::string>(2));
  return sizes;
}

TEST(AcrossRanks, EachPassHasOneMessageOfTwoNumbersAChannelAndTwo) {
  using Sizes = std::vector<std::size_t>;
  EXPECT_EQ(messages_in(bn::Mode::training), (Sizes{12, 12, 12, 12}));
  EXPECT_EQ(messages_in(bn::Mode::recompute), (Sizes{12, 12, 12, 12}));
  EXPECT_EQ(messages_in(bn::Mode::probe), (Sizes{12, 12, 12, 12}));
  EXPECT_EQ(messages_in(bn::Mode::frozen), (Sizes{12, 12}));
  EXPECT_EQ(messages_in(bn::Mode::inference), Sizes());
  EXPECT_EQ(messages_in({bn::StatisticsSource::running, true, false}), (Sizes{12, 12}));
}

TEST(AcrossRanks, FrozenLayersHaveTheGradientsOfAllParameters) {
  Halves y, dx;
  expect_as_whole<Layer>({.channels = 5, .mode = bn::Mode::frozen}, {8, 12},
                         [&](auto& layer, Index first, Index count, const bn::Reducer* ranks) {
                           layer.running().mean.setConstant(0.25);
                           layer.forward(x.middleRows(first, count), y.of(ranks, first, count), {.across = ranks});
                           layer.backward(x.middleRows(first, count), dy.middleRows(first, count),
                                          dx.of(ranks, first, count), {.across = ranks});
                         });
  EXPECT_TRUE(equal_bits(y.parts, y.whole));
  EXPECT_TRUE(equal_bits(dx.parts, dx.whole));
}

TEST(AcrossRanks, SingleValuesOnEachAreABatchTogether) {
  Halves y, dx;
  expect_as_whole<Layer>({.channels = 5}, Parts(20, 1),
                         [&](auto& layer, Index first, Index count, const bn::Reducer* ranks) {
                           layer.forward(x.middleRows(first, count), y.of(ranks, first, count), {.across = ranks});
                           layer.backward(x.middleRows(first, count), dy.middleRows(first, count),
                                          dx.of(ranks, first, count), {.across = ranks});
                         });
  EXPECT_TRUE(y.agree());
  EXPECT_TRUE(dx.agree());
}

TEST(AcrossRanks, OneValueOnAllOfThemIsTooFew) {
  for (const bn::SingleValue policy :
       {bn::SingleValue::error, bn::SingleValue::zero_variance, bn::SingleValue::running}) {
    std::vector<Layer> layers(3, make_layer<Layer>({.channels = 5, .single_value = policy}));
    std::vector<Rows> y(3);
    const auto errors = on_ranks(3, [&](const ThreadRank& ranks) {
      const std::size_t rank = std::size_t(ranks.rank);
      layers[rank].forward(x.topRows(rank == 1 ? 1 : 0), y[rank], {.across = &ranks});
    });
    for (std::size_t rank = 0; rank < 3; ++rank) {
      if (policy == bn::SingleValue::error) {
        EXPECT_TRUE(has_parts(errors[rank], "forward(x): expected at least 2 values per channel", "got 1"));
        continue;
      }
      EXPECT_EQ(errors[rank], "");
      EXPECT_EQ(layers[rank].running().skipped, 1);
    }
    if (policy == bn::SingleValue::zero_variance) {
      EXPECT_TRUE((y[1].transpose().array() == layers[0].affine().beta).all());
    }
    if (policy == bn::SingleValue::running) {
      Rows expected;
      layers[0].infer(x.topRows(1), expected);
      EXPECT_TRUE(equal_bits(y[1], expected));
    }
  }
}

TEST(AcrossRanks, NoValueOnAnyOfThemIsRefusedByAll) {
  const auto errors = on_ranks(2, [&](const ThreadRank& ranks) {
    Layer layer = make_layer<Layer>();
    Rows y;
    layer.forward(x.topRows(0), y, {.across = &ranks});
  });
  for (const std::string& error : errors) {
    EXPECT_TRUE(has_parts(error, "forward(x): expected at least 1 value per channel", "got none"));
  }
}

TEST(AcrossRanks, WhatIsNotFiniteOnOneIsSkippedOnAll) {
  for (const bn::NonFinite policy : {bn::NonFinite::skip, bn::NonFinite::error}) {
    std::vector<Layer> layers(3, make_layer<Layer>({.channels = 5, .non_finite = policy}));
    const Layer before = layers[0];
    const auto errors = on_ranks(3, [&](const ThreadRank& ranks) {
      Rows mine = x.middleRows(6 * ranks.rank, 6), y;
      if (ranks.rank == 1) mine(2, 3) = nan;
      layers[std::size_t(ranks.rank)].forward(mine, y, {.across = &ranks});
      EXPECT_TRUE(y.col(3).array().isNaN().all());
      EXPECT_FALSE(y.col(2).array().isNaN().any());
    });
    for (std::size_t rank = 0; rank < 3; ++rank) {
      if (policy == bn::NonFinite::error) {
        EXPECT_TRUE(has_parts(errors[rank], "expected finite statistics", "channel 3"));
        EXPECT_TRUE(equal_state(layers[rank], before));
      } else {
        EXPECT_EQ(errors[rank], "");
        EXPECT_EQ(layers[rank].running().skipped, 1);
        EXPECT_TRUE(equal_statistics(layers[rank].running().mean, before.running().mean));
      }
    }
  }
}

// --- What goes wrong on one rank

/// Layers of three ranks after a pass that went well, and what happens where `wrong` comes on rank 1 instead of
/// `right`: the others say so, nothing has changed on any, and they may go on.
template <class Right, class Wrong>
std::string error_where(const Right& right, const Wrong& wrong) {
  std::vector<Layer> layers(3, make_layer<Layer>());
  std::string message;
  const auto errors = on_ranks(3, [&](const ThreadRank& ranks) {
    const std::size_t rank = std::size_t(ranks.rank);
    Layer& layer = layers[rank];
    Rows mine = x.middleRows(6 * ranks.rank, 6), y, dx;
    layer.forward(mine, y, {.across = &ranks});
    const Layer before = layer;
    if (rank == 1) {
      message = message_of([&] { wrong(layer, mine, ranks); });
    } else {
      EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { right(layer, mine, ranks); }),
                            "(across): expected all 3 ranks, but rank 1, counted from 0, has left the call"));
    }
    EXPECT_TRUE(equal_state(layer, before));
    layer.backward(mine, dy.middleRows(6 * ranks.rank, 6), dx, {.across = &ranks});
    layer.forward(mine, y, {.across = &ranks});
  });
  EXPECT_EQ(errors, no_errors);
  EXPECT_TRUE(equal_state_on_ranks(layers[1], layers[0]));
  EXPECT_TRUE(equal_state_on_ranks(layers[2], layers[0]));
  return message;
}

TEST(ARankThatThrows, TellsTheOthersInForward) {
  const auto forward = [](Layer& layer, Rows& mine, const ThreadRank& ranks) {
    Rows y;
    layer.forward(mine, y, {.across = &ranks});
  };
  EXPECT_TRUE(has_parts(error_where(forward,
                                    [](Layer& layer, Rows&, const ThreadRank& ranks) {
                                      Rows y, wrong(6, 4);
                                      layer.forward(wrong, y, {.across = &ranks});
                                    }),
                        "forward(x): expected 5 channels", "got 4"));
  EXPECT_TRUE(has_parts(error_where(forward,
                                    [](Layer& layer, Rows& mine, const ThreadRank& ranks) {
                                      Rows y(3, 5);
                                      layer.forward(mine, y, {.across = &ranks});
                                    }),
                        "forward(y): expected the extents of x"));
  EXPECT_TRUE(has_parts(error_where(forward,
                                    [](Layer& layer, Rows& mine, const ThreadRank& ranks) {
                                      Rows y;
                                      const Eigen::ArrayXd weights = Eigen::ArrayXd::Constant(6, -1);
                                      layer.forward(mine, y, {.weights = weights, .across = &ranks});
                                    }),
                        "forward(weights): expected finite weights >= 0"));
}

TEST(ARankThatThrows, TellsTheOthersInBackward) {
  const auto backward = [](Layer& layer, Rows& mine, const ThreadRank& ranks) {
    Rows dx;
    const Rows gradient = Rows::Ones(mine.rows(), 5);
    layer.backward(mine, gradient, dx, {.across = &ranks});
  };
  EXPECT_TRUE(has_parts(error_where(backward,
                                    [](Layer& layer, Rows& mine, const ThreadRank& ranks) {
                                      Rows dx;
                                      const Rows other = mine.array() + 1;
                                      layer.backward(other, mine, dx, {.across = &ranks});
                                    }),
                        "backward(x): expected the x of the last forward pass"));
  EXPECT_TRUE(has_parts(error_where(backward,
                                    [](Layer&, Rows& mine, const ThreadRank& ranks) {
                                      Rows dx;
                                      Layer fresh = make_layer<Layer>();
                                      fresh.backward(mine, mine, dx, {.across = &ranks});
                                    }),
                        "backward(x): expected a forward pass before, got none"));
}

TEST(ARankThatThrows, WaitsForNobodyWhereTheOthersDoNotMeet) {
  const auto errors = on_ranks(2, [&](const ThreadRank& ranks) {
    Layer layer = make_layer<Layer>({.channels = 5, .mode = bn::Mode::inference});
    Rows y, dx;
    const Rows mine = ranks.rank == 1 ? Rows(x.leftCols(4)) : x;
    if (ranks.rank == 1) {
      EXPECT_TRUE(has_parts(message_of([&] { layer.forward(mine, y, {.across = &ranks}); }), "expected 5 channels"));
      layer.backward(x, dy, dx, {.across = &ranks});
    } else {
      layer.forward(mine, y, {.across = &ranks});
      layer.backward(mine, dy, dx, {.across = &ranks});
    }
  });
  EXPECT_EQ(errors[0], "");
  EXPECT_TRUE(has_parts(errors[1], "backward(x): expected a forward pass before, got none"));
}

TEST(ARankThatThrows, TellsOfRunningStatisticsThatAreNoUse) {
  const auto forward = [](Layer& layer, Rows& mine, const ThreadRank& ranks) {
    Rows y;
    layer.forward(mine, y, {.across = &ranks});
  };
  EXPECT_TRUE(has_parts(error_where(forward,
                                    [](Layer& layer, Rows& mine, const ThreadRank& ranks) {
                                      Layer broken = layer;
                                      broken.running().variance[2] = -1;
                                      Rows y;
                                      broken.forward(mine, y, {.across = &ranks});
                                    }),
                        "expected running statistics with a finite mean", "channel 2"));
}

TEST(ARankThatThrows, TellsTheOthersInRecalibrate) {
  const auto recalibrate = [](Layer& layer, Rows& mine, const ThreadRank& ranks) {
    bn::recalibrate(layer, std::vector<Rows>{mine}, {.across = &ranks});
  };
  EXPECT_TRUE(
      has_parts(error_where(recalibrate,
                            [](Layer& layer, Rows& mine, const ThreadRank& ranks) {
                              bn::recalibrate(layer, std::vector<Rows>{mine, mine.leftCols(3)}, {.across = &ranks});
                            }),
                "recalibrate(batch): expected 5 channels", "got 3"));
}

TEST(RanksThatDoNotGoTogether, AreTold) {
  // One is a pass ahead.
  const auto errors = on_ranks(2, [&](const ThreadRank& ranks) {
    Layer layer = make_layer<Layer>();
    Rows y, dx;
    layer.forward(x, y, {.across = &ranks});
    if (ranks.rank == 0) {
      layer.forward(x, y, {.across = &ranks});
    } else {
      layer.backward(x, dy, dx, {.across = &ranks});
    }
  });
  EXPECT_TRUE(has_parts(errors[0], "forward(across): expected all ranks to make the same calls"));
  EXPECT_TRUE(has_parts(errors[1], "backward(across): expected all ranks to make the same calls"));

  // One gathers other statistics.
  const auto options_errors = on_ranks(2, [&](const ThreadRank& ranks) {
    bn::PopulationStatistics population(5, {.variance = ranks.rank == 0 ? bn::PopulationVariance::of_all_values
                                                                        : bn::PopulationVariance::mean_of_batches});
    bn::all_reduce(population, ranks);
  });
  for (const std::string& error : options_errors) {
    EXPECT_TRUE(has_parts(error, "all_reduce(across): expected the same options on all ranks"));
  }

  // One goes back through another batch.
  const auto other_errors = on_ranks(2, [&](const ThreadRank& ranks) {
    Layer layer = make_layer<Layer>();
    bn::Saved<float> first, second;
    Rows y, dx;
    layer.forward(x, y, {.saved = &first, .across = &ranks});
    layer.forward(x.topRows(6), y.topRows(6), {.saved = &second, .across = &ranks});
    if (ranks.rank == 0) {
      layer.backward(x, dy, dx, {.saved = &first, .across = &ranks});
    } else {
      layer.backward(x.topRows(6), dy.topRows(6), dx, {.saved = &second, .across = &ranks});
    }
  });
  EXPECT_TRUE(has_parts(other_errors[0], "backward(across): expected all ranks to go back through the same batch",
                        "one of 40", "one of 12"));
  EXPECT_TRUE(has_parts(other_errors[1], "one of 12", "one of 40"));
}

TEST(RanksOfForward, AreThoseOfBackward) {
  Layer layer = make_layer<Layer>();
  Rows y, dx;
  layer.forward(x, y);
  EXPECT_EQ(on_ranks(1,
                     [&](const ThreadRank& ranks) {
                       EXPECT_TRUE(has_parts(
                           message_of([&] { layer.backward(x, dy, dx, {.across = &ranks}); }),
                           "backward(across): expected the ranks of the forward pass, 0 of them (0: none), got 1"));
                       layer.forward(x, y, {.across = &ranks});
                     }),
            std::vector<std::string>(1));
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x, dy, dx); }),
                        "backward(across): expected the ranks of the forward pass, 1 of them (0: none), got 0"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward_from_output(y, dy, dx); }),
                        "backward_from_output(across): expected the ranks of the forward pass, 1 of"));
  layer.forward(x, y);
  layer.backward(x, dy, dx);
}

TEST(RanksThatDoNotGoTogether, AreToldOfSizesThatDiffer) {
  const auto errors = on_ranks(2, [&](const ThreadRank& ranks) {
    bn::Moments moments(5);
    if (ranks.rank == 0) moments.m2.resize(3);
    bn::all_reduce(moments, ranks);
  });
  EXPECT_TRUE(has_parts(errors[0], "all_reduce: expected 5 channels", "got 3"));
  EXPECT_TRUE(has_parts(errors[1], "all_reduce(across): expected all 2 ranks, but rank 0"));
}

TEST(RanksThemselves, AreOneAtLeast) {
  MeetingPlace place(1);
  EXPECT_TRUE(
      has_parts(message_of([&] { ThreadRank(place, 0, 0); }), "Reducer(ranks): expected at least 1 rank, got 0"));
}

// --- Population statistics, and functions with explicit state

TEST(Recalibration, TakesTheBatchesOfAllRanks) {
  for (const bn::PopulationVariance variance :
       {bn::PopulationVariance::mean_of_batches, bn::PopulationVariance::of_all_values}) {
    const std::vector<Rows> batches{x.topRows(6), x.middleRows(6, 3), x.bottomRows(11)};
    Layer whole = make_layer<Layer>();
    bn::recalibrate(whole, batches, {.variance = variance});
    // The second rank has none.
    const std::vector<std::vector<Rows>> parts{{batches[0]}, {}, {batches[1], batches[2]}};
    std::vector<Layer> layers(3, make_layer<Layer>());
    EXPECT_EQ(on_ranks(3,
                       [&](const ThreadRank& ranks) {
                         const std::size_t rank = std::size_t(ranks.rank);
                         bn::recalibrate(layers[rank], parts[rank], {.variance = variance, .across = &ranks});
                       }),
              no_errors);
    for (const Layer& layer : layers) {
      EXPECT_TRUE(equal_state_on_ranks(layer, layers[0]));
      EXPECT_EQ(layer.running().batches, 3);
      EXPECT_TRUE(close_arrays(layer.running().mean, whole.running().mean, 1e-12));
      EXPECT_TRUE(close_arrays(layer.running().variance, whole.running().variance, 1e-12));
    }
  }
}

TEST(Recalibration, CountsWhatAnyRankHasLeftOut) {
  std::vector<Layer> layers(2, make_layer<Layer>());
  EXPECT_EQ(on_ranks(2,
                     [&](const ThreadRank& ranks) {
                       Rows bad = x.topRows(4);
                       bad(1, 1) = nan;
                       std::vector<Rows> batches{x};
                       if (ranks.rank == 1) batches = {bad, bad};
                       bn::recalibrate(layers[std::size_t(ranks.rank)], batches, {.across = &ranks});
                     }),
            std::vector<std::string>(2));
  EXPECT_TRUE(equal_state_on_ranks(layers[0], layers[1]));
  EXPECT_EQ(layers[0].running().batches, 1);
  EXPECT_EQ(layers[0].running().skipped, 2);
}

TEST(Functions, MergeBetweenTheirHalves) {
  const bn::AffineParameters<float> affine(5);
  constexpr double epsilon = 1e-5;
  bn::Moments whole;
  Rows y, dx;
  bn::Gradients<float> gradients;
  bn::train_forward(x, affine, epsilon, y, whole);
  bn::backward(x, dy, affine, bn::statistics(whole, epsilon), dx, gradients);
  Halves parts_of_dx;
  parts_of_dx.whole = dx;
  const Parts parts{4, 0, 16};
  EXPECT_EQ(on_ranks(3,
                     [&](const ThreadRank& ranks) {
                       const Index first = first_of(parts, ranks.rank), count = parts[std::size_t(ranks.rank)];
                       const Rows mine = x.middleRows(first, count), my_dy = dy.middleRows(first, count);
                       bn::Moments moments;
                       bn::batch_moments(mine, moments);
                       bn::all_reduce(moments, ranks);
                       EXPECT_EQ(moments.count, 20);
                       EXPECT_TRUE(close_arrays(moments.mean, whole.mean, 1e-6));
                       EXPECT_TRUE(close_arrays(moments.m2, whole.m2, 1e-6));
                       const bn::Statistics statistics = bn::statistics(moments, epsilon);
                       bn::GradientSums sums;
                       bn::gradient_sums(mine, my_dy, affine, statistics, sums);
                       bn::all_reduce(sums, ranks);
                       bn::input_gradient(mine, my_dy, affine, statistics, sums, parts_of_dx.of(&ranks, first, count));
                       bn::Gradients<float> mine_of_all(5);
                       bn::parameter_gradients(sums, statistics, mine_of_all);
                       EXPECT_LE(max_abs(mine_of_all.gamma - gradients.gamma), 2e-5f);
                       EXPECT_LE(max_abs(mine_of_all.beta - gradients.beta), 2e-5f);
                       bn::PopulationStatistics population(5);
                       if (ranks.rank == 2) population.add(moments);
                       bn::all_reduce(population, ranks);
                       EXPECT_EQ(population.batches(), 1);
                       EXPECT_TRUE(equal_statistics(population.statistics().mean, moments.mean));
                     }),
            no_errors);
  EXPECT_TRUE(parts_of_dx.agree());
}

}  // namespace testing_support::batch_norm_across_test
