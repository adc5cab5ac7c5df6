// Whitening: the transform, groups, population statistics, layouts and errors, for both methods.
#define EIGEN_USE_THREADS
#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <Eigen/LU>
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/whitening/whitening_norm.hpp>
#include <limits>
#include <sstream>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/compare.hpp"
#include "support/counting_device.hpp"
#include "support/kernels.hpp"
#include "support/throws.hpp"
#include "support/whitening.hpp"

namespace testing_support::whitening::whitening_norm_test {

// --- The transform

TEST(WhiteningNorm, OutputHasCovarianceIdentityButForEpsilon) {
  const Matrix x = correlated(40, 6, 1);
  Layer layer({.channels = 6, .epsilon = 1e-3});
  Matrix y;
  layer.forward(x, y);
  EXPECT_LT(max_abs(y.colwise().mean()), rounding);
  const Eigen::MatrixXd& w = layer.whitening();
  EXPECT_LT(distance(covariance(y) + 1e-3 * w * w, Eigen::MatrixXd::Identity(6, 6)), rounding);
  EXPECT_GT(distance(covariance(x), Eigen::MatrixXd::Identity(6, 6)), 0.5) << "white data prove nothing";
}

TEST(WhiteningNorm, IsZca) {
  for (const auto method : both_methods) {
    Layer layer({.channels = 6, .method = method});
    Matrix y;
    layer.forward(correlated(40, 6, 1), y);
    const Eigen::MatrixXd& w = layer.whitening();
    EXPECT_EQ(w, w.transpose()) << method;
    EXPECT_GT(Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd>(w).eigenvalues().minCoeff(), 0.0) << method;
  }
}

TEST(WhiteningNorm, NewtonConvergesToEigen) {
  const Matrix x = correlated(40, 6, 1);
  Layer exact({.channels = 6});
  Matrix y, expected, dx, expected_dx;
  exact.forward(x, expected);
  exact.backward(x, normal(40, 6, 2), expected_dx);
  double previous = std::numeric_limits<double>::infinity();
  for (const int iterations : {1, 3, 5, 7, 9}) {
    Layer layer({.channels = 6, .method = WhiteningMethod::newton, .iterations = iterations});
    layer.forward(x, y);
    EXPECT_LT(distance(y, expected), previous) << iterations;
    previous = distance(y, expected);
  }
  // Further steps change nothing, as IterNorm's own form of the iteration would: it diverges from here.
  for (const int iterations : {16, 60}) {
    Layer layer({.channels = 6, .method = WhiteningMethod::newton, .iterations = iterations});
    layer.forward(x, y);
    layer.backward(x, normal(40, 6, 2), dx);
    EXPECT_LT(distance(y, expected), rounding) << iterations;
    EXPECT_LT(distance(dx, expected_dx), rounding) << iterations;
  }
}

TEST(WhiteningNorm, NewtonIsTheIterationOfIterNorm) {
  const Matrix x = correlated(40, 6, 1);
  Layer layer({.channels = 6, .method = WhiteningMethod::newton, .iterations = 5, .epsilon = 1e-3});
  Matrix y;
  layer.forward(x, y);
  const Eigen::MatrixXd sigma = covariance(x) + 1e-3 * Eigen::MatrixXd::Identity(6, 6);
  Eigen::MatrixXd p = Eigen::MatrixXd::Identity(6, 6);
  for (int k = 0; k < 5; ++k) p = (1.5 * p - 0.5 * p * p * p * sigma / sigma.trace()).eval();
  EXPECT_LT(distance(layer.whitening(), p / std::sqrt(sigma.trace())), rounding);
}

TEST(WhiteningNorm, GroupsAreLayersOfTheirOwn) {
  for (const auto method : both_methods) {
    const Matrix x = correlated(30, 6, 1), dy = normal(30, 6, 2);
    Layer layer({.channels = 6, .groups = 2, .method = method});
    Matrix y, dx;
    layer.forward(x, y);
    layer.backward(x, dy, dx);
    for (const Index first : {0, 3}) {
      Layer part({.channels = 3, .method = method});
      Matrix part_y, part_dx;
      part.forward(x.middleCols(first, 3), part_y);
      part.backward(x.middleCols(first, 3), dy.middleCols(first, 3), part_dx);
      EXPECT_LT(distance(y.middleCols(first, 3), part_y), rounding);
      EXPECT_LT(distance(dx.middleCols(first, 3), part_dx), rounding);
      EXPECT_LT(distance(layer.gradients().gamma.segment(first, 3), part.gradients().gamma), 30 * rounding);
      EXPECT_LT(distance(layer.running().covariance.middleRows(first, 3), part.running().covariance), rounding);
    }
  }
}

TEST(WhiteningNorm, OfGroupsOfOneChannelIsBatchNorm) {
  const Matrix x = correlated(30, 5, 1), dy = normal(30, 5, 2);
  for (const bn::Mode mode : {bn::Mode::training, bn::Mode::inference, bn::Mode::frozen, bn::Mode::probe}) {
    for (const auto method : both_methods) {
      Layer layer = make({.channels = 5, .groups = 5, .method = method, .epsilon = 0.01, .mode = mode});
      bn::BatchNorm<double> norm({.channels = 5, .epsilon = 0.01, .mode = mode});
      norm.affine() = layer.affine();
      norm.running().mean = layer.running().mean;
      norm.running().variance = layer.running().covariance.array();
      Matrix y, expected, dx, expected_dx;
      layer.forward(x, y);
      norm.forward(x, expected);
      layer.backward(x, dy, dx);
      norm.backward(x, dy, expected_dx);
      EXPECT_LT(distance(y, expected), rounding);
      EXPECT_LT(distance(dx, expected_dx), rounding);
      EXPECT_LT(distance(layer.gradients().gamma, norm.gradients().gamma), 30 * rounding);
      EXPECT_LT(distance(layer.gradients().beta, norm.gradients().beta), 30 * rounding);
      EXPECT_LT(distance(layer.running().mean, norm.running().mean), rounding);
      EXPECT_LT(distance(layer.running().covariance, norm.running().variance), rounding);
      EXPECT_EQ(layer.running().batches, norm.running().batches);
    }
  }
}

TEST(WhiteningNorm, ScaleAndShiftCanBeOff) {
  const Matrix x = correlated(30, 4, 1);
  Layer plain({.channels = 4, .scale = false, .shift = false}), affine({.channels = 4});
  Matrix y, expected, dx, expected_dx;
  plain.forward(x, y);
  affine.forward(x, expected);
  EXPECT_TRUE(equal_bits(y, expected));
  plain.backward(x, x, dx);
  affine.backward(x, x, expected_dx);
  EXPECT_TRUE(equal_bits(dx, expected_dx));
  plain.for_each_parameter([](bn::Parameter<double> parameter) { ADD_FAILURE() << parameter.name; });
  int parameters = 0;
  affine.for_each_parameter([&](bn::Parameter<double>) { ++parameters; });
  EXPECT_EQ(parameters, 2);
}

// --- Layouts and types

TEST(WhiteningNormLayout, EveryLayoutGivesTheSame) {
  constexpr Index n = 3, height = 2, width = 5, channels = 4, samples = n * height * width;
  const Matrix x = correlated(samples, channels, 1), dy = normal(samples, channels, 2);
  Layer rows({.channels = channels, .groups = 2});
  Matrix expected, expected_dx;
  rows.forward(x, expected);
  rows.backward(x, dy, expected_dx);

  const auto check = [&](auto layer, const auto& make_tensor, const auto& element) {
    auto tensor = make_tensor(), gradient = make_tensor(), y = make_tensor(), dx = make_tensor();
    const auto for_each = [&](const auto& body) {
      for (Index s = 0; s < samples; ++s)
        for (Index c = 0; c < channels; ++c) body(s, c);
    };
    for_each([&](Index s, Index c) {
      element(tensor, s, c) = x(s, c);
      element(gradient, s, c) = dy(s, c);
    });
    layer.forward(tensor, y);
    layer.backward(tensor, gradient, dx);
    for_each([&](Index s, Index c) {
      EXPECT_NEAR(element(y, s, c), expected(s, c), rounding);
      EXPECT_NEAR(element(dx, s, c), expected_dx(s, c), rounding);
    });
    EXPECT_LT(distance(layer.running().covariance, rows.running().covariance), rounding);
  };
  const bn::WhiteningOptions options{.channels = channels, .groups = 2};
  check(
      Layer(options), [&] { return Eigen::MatrixXd(samples, channels); },
      [](auto& m, Index s, Index c) -> auto& { return m(s, c); });
  check(
      bn::WhiteningNorm<double, bn::samples_in_columns>(options), [&] { return Eigen::MatrixXd(channels, samples); },
      [](auto& m, Index s, Index c) -> auto& { return m(c, s); });
  const auto nchw = [](auto& t, Index s, Index c) -> auto& {
    return t(s / (height * width), c, s / width % height, s % width);
  };
  check(
      bn::WhiteningNorm<double, bn::channel_first>(options),
      [&] { return Eigen::Tensor<double, 4, Eigen::RowMajor>(n, channels, height, width); }, nchw);
  check(
      bn::WhiteningNorm<double, bn::channel_first>(options),
      [&] { return Eigen::Tensor<double, 4>(n, channels, height, width); }, nchw);
  check(
      bn::WhiteningNorm<double, bn::channel_last>(options),
      [&] { return Eigen::Tensor<double, 4, Eigen::RowMajor>(n, height, width, channels); },
      [](auto& t, Index s, Index c) -> auto& { return t(s / (height * width), s / width % height, s % width, c); });
}

TEST(WhiteningNormLayout, BlocksAndInPlaceGiveTheSameBits) {
  const Matrix x = correlated(300, 4, 1), dy = normal(300, 4, 2);
  Layer layer({.channels = 4}), other({.channels = 4});
  Matrix y, dx;
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  Matrix larger = Matrix::Zero(310, 9);
  auto block = larger.block(3, 2, 300, 4);
  block = x;
  other.forward(block, block);
  EXPECT_TRUE(equal_bits(block, y));
  block = dy;
  other.backward(x, block, block);
  EXPECT_TRUE(equal_bits(block, dx));
  EXPECT_EQ(larger.col(6).cwiseAbs().maxCoeff(), 0.0);
}

template <class Element>
class WhiteningNormOfSixteenBits : public testing::Test {};
using SixteenBits = testing::Types<Eigen::half, Eigen::bfloat16>;
TYPED_TEST_SUITE(WhiteningNormOfSixteenBits, SixteenBits);

TYPED_TEST(WhiteningNormOfSixteenBits, IsThatOfFloatsStored) {
  using HalfMatrix = Eigen::Matrix<TypeParam, Eigen::Dynamic, Eigen::Dynamic>;
  const HalfMatrix x = correlated(30, 4, 1).cast<TypeParam>();
  bn::WhiteningNorm<float> layer({.channels = 4}), expected_layer({.channels = 4});
  HalfMatrix y, dx;
  Eigen::MatrixXf expected_y, expected_dx;
  layer.forward(x, y);
  layer.backward(x, y, dx);
  expected_layer.forward(x.template cast<float>().eval(), expected_y);
  expected_layer.backward(x.template cast<float>().eval(), y.template cast<float>().eval(), expected_dx);
  EXPECT_TRUE(equal_bits(y, expected_y.template cast<TypeParam>().eval()));
  EXPECT_TRUE(equal_bits(dx, expected_dx.template cast<TypeParam>().eval()));
  layer.infer(x, y);
  EXPECT_TRUE(equal_bits(y, expected_layer.infer(x.template cast<float>().eval()).template cast<TypeParam>().eval()));
}

TEST(WhiteningNormThreads, TheirNumberChangesNoBit) {
  const Matrix x = correlated(300, 128, 1), dy = normal(300, 128, 2);
  for (const auto method : both_methods) {
    const bn::WhiteningOptions options{.channels = 128, .groups = 4, .method = method};
    Layer alone(options), together(options);
    Matrix y, dx, expected, expected_dx;
    alone.forward(x, expected);
    alone.backward(x, dy, expected_dx);
    Eigen::ThreadPool pool(3);
    const Eigen::ThreadPoolDevice device(&pool, 3);
    together.forward(x, y, {.device = device});
    together.backward(x, dy, dx, {.device = device});
    EXPECT_TRUE(equal_bits(y, expected));
    EXPECT_TRUE(equal_bits(dx, expected_dx));
    EXPECT_TRUE(equal_statistics(together.gradients().gamma, alone.gradients().gamma));
    EXPECT_TRUE(equal_bits(together.infer(x, {.device = device}), alone.infer(x)));
    CountingPool counting;
    together.infer(x, y, {.device = CountingDevice{&counting}});
    EXPECT_TRUE(equal_bits(y, alone.infer(x)));
    EXPECT_GT(counting.scheduled, 0);
  }
}

// --- Population statistics

TEST(WhiteningNormPopulation, RunningStatisticsAreBlendedAndUnbiased) {
  const Matrix first = correlated(20, 3, 1), second = correlated(30, 3, 2);
  for (const auto kind : {bn::RunningVariance::unbiased, bn::RunningVariance::biased}) {
    Layer layer({.channels = 3, .averaging = bn::exponential(0.25), .running_variance = kind});
    Matrix first_y, second_y;
    layer.forward(first, first_y);
    layer.forward(second, second_y);
    const auto estimate = [&](const Matrix& x) -> Eigen::MatrixXd {
      const double m = double(x.rows());
      return covariance(x) * (kind == bn::RunningVariance::unbiased ? m / (m - 1) : 1);
    };
    const Eigen::MatrixXd expected =
        0.75 * (0.75 * Eigen::MatrixXd::Identity(3, 3) + 0.25 * estimate(first)) + 0.25 * estimate(second);
    EXPECT_LT(distance(layer.running().covariance, expected), rounding);
    const Eigen::VectorXd mean = (0.75 * 0.25 * first.colwise().mean() + 0.25 * second.colwise().mean()).transpose();
    EXPECT_LT(distance(layer.running().mean.matrix(), mean), rounding);
    EXPECT_EQ(layer.running().batches, 2);
  }
}

TEST(WhiteningNormPopulation, InferenceWhitensThePopulation) {
  for (const auto method : both_methods) {
    Layer layer({.channels = 3, .method = method, .iterations = 20, .mode = bn::Mode::probe});
    Matrix all(80, 3), y;
    layer.running() = bn::RunningCovariance(3);
    for (Index batch = 0; batch < 4; ++batch) {
      // Batches of one mean, so that their covariances average to that of all.
      const Matrix x = correlated(20, 3, std::uint64_t(batch));
      all.middleRows(batch * 20, 20) = x.rowwise() - x.colwise().mean();
      layer.forward(all.middleRows(batch * 20, 20), y);
      layer.running().update(layer.moments(), bn::cumulative(), bn::RunningVariance::biased);
    }
    EXPECT_EQ(layer.running().batches, 4);
    EXPECT_LT(distance(covariance(layer.infer(all)), Eigen::MatrixXd::Identity(3, 3)), 1e-3)
        << "epsilon / the least variance";
    EXPECT_GT(distance(covariance(all), Eigen::MatrixXd::Identity(3, 3)), 0.1);
  }
}

TEST(WhiteningNormPopulation, InferAndForwardInInferenceGiveTheSameBits) {
  const Matrix x = correlated(300, 4, 1);
  Layer layer = make({.channels = 4, .groups = 2, .mode = bn::Mode::inference});
  const Layer untouched = layer;
  Matrix y;
  layer.forward(x, y);
  EXPECT_TRUE(equal_bits(untouched.infer(x), y)) << "the root is computed in the call";
  EXPECT_TRUE(equal_bits(layer.infer(x), y)) << "the root is forward's";
  layer.running().covariance *= 4;
  const Matrix other = layer.infer(x);
  EXPECT_GT(distance(other, y), 0.1) << "a root of other statistics is not used";
  layer.forward(x, y);
  EXPECT_TRUE(equal_bits(other, y));
}

TEST(WhiteningNormPopulation, ModesUpdateAsTheySay) {
  const Matrix x = correlated(20, 3, 1);
  for (const bn::Mode mode : {bn::Mode::training, bn::Mode::inference, bn::Mode::frozen, bn::Mode::probe,
                              bn::Mode{bn::StatisticsSource::running, true, false}}) {
    Layer layer = make({.channels = 3, .mode = mode});
    const auto before = layer.running();
    Matrix y;
    layer.forward(x, y);
    EXPECT_EQ(layer.running().covariance != before.covariance, mode.update_running) << mode;
    EXPECT_EQ(layer.running().batches, mode.update_running ? 1 : 0) << mode;
  }
}

TEST(WhiteningNormPopulation, NonFiniteBatchesFollowThePolicy) {
  Matrix x = correlated(20, 3, 1), y, dx;
  x(4, 1) = std::numeric_limits<double>::quiet_NaN();
  for (const auto method : both_methods) {
    Layer skip = make({.channels = 3, .method = method}), before = skip;
    skip.forward(x, y);
    EXPECT_TRUE(y.array().isNaN().all());
    skip.backward(x, x, dx);
    EXPECT_TRUE(dx.array().isNaN().all());
    EXPECT_EQ(skip.running().covariance, before.running().covariance);
    EXPECT_EQ(skip.running().skipped, 1);

    Layer propagate = make({.channels = 3, .method = method, .non_finite = bn::NonFinite::propagate});
    propagate.forward(x, y);
    EXPECT_TRUE(std::isnan(propagate.running().covariance(1, 1)));
    EXPECT_TRUE(has_parts(message_of([&] { (void)propagate.infer(x); }), "infer: expected running statistics",
                          "in channel 1", "NonFinite::propagate"));
    EXPECT_NO_THROW(propagate.forward(x, y)) << "training does not whiten with them";

    Layer error = make({.channels = 3, .method = method, .non_finite = bn::NonFinite::error});
    const Layer as_it_was = error;
    EXPECT_TRUE(has_parts(message_of([&] { error.forward(x, y); }), "RunningCovariance::update(moments)", "finite",
                          "NonFinite::skip"));
    EXPECT_TRUE(same_state(error, as_it_was));
    Matrix in_place = x;
    EXPECT_THROW(error.forward(in_place, in_place), std::invalid_argument);
    EXPECT_TRUE(equal_bits(in_place.col(0), x.col(0)));
    EXPECT_TRUE(equal_bits(in_place.col(2), x.col(2)));
  }
}

// As of BatchNorm: neighbors in float, between which the mean lies.
TEST(WhiteningNormPopulation, RunningStatisticsFollowTheMeanBetweenTwoNeighboringFloats) {
  bn::WhiteningNorm<float> layer({.channels = 1, .epsilon = 1e-12});
  const Eigen::MatrixXf x{{10000.0f}, {10000.0078125f}};
  Eigen::MatrixXf y;
  for (int k = 0; k < 1000; ++k) layer.forward(x, y);
  EXPECT_NEAR(layer.running().mean[0], 10000.00390625, 1e-6);
  EXPECT_NEAR(layer.running().covariance(0, 0), 3.0517578125e-05, 1e-6 * 3.0517578125e-05);
  layer.infer(x, y);
  EXPECT_NEAR(y(0, 0), -0.70710678, 3e-7);
  EXPECT_NEAR(y(1, 0), 0.70710678, 3e-7);
}

TEST(WhiteningNormPopulation, StatisticsThatMakeNoSenseAreRefused) {
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN(),
                   infinity = std::numeric_limits<double>::infinity();
  const Matrix x = correlated(20, 6, 1);
  const auto refused = [&](const Layer& layer, const auto&... parts) {
    Matrix y = x;
    EXPECT_TRUE(has_parts(message_of([&] { layer.infer(y, y); }), "infer: expected", parts..., "assign others"));
    for (const bn::Mode mode : {bn::Mode::inference, bn::Mode::frozen, bn::Mode::training}) {
      Layer other = layer;
      other.set_mode(mode);
      EXPECT_TRUE(has_parts(message_of([&] { other.forward(y, y); }), "forward: expected", parts...));
    }
    EXPECT_TRUE(equal_bits(y, x));
  };
  for (const double bad : {not_a_number, infinity, -infinity}) {
    Layer mean = make({.channels = 6, .groups = 2}), variance = mean, covariance = mean;
    mean.running().mean[4] = bad;
    refused(mean, "in channel 4");
    variance.running().covariance(4, 1) = bad;
    refused(variance, "in channel 4");
    covariance.running().covariance(4, 2) = bad;
    refused(covariance, "of channel 4 with channel 5");
  }
  Layer negative = make({.channels = 6, .groups = 2});
  negative.running().covariance(4, 1) = -1.1e-5;
  refused(negative, "got mean", "variance -1.1e-05 in channel 4");
}

// --- Errors

TEST(WhiteningNormErrors, OfOptions) {
  const auto message = [](const bn::WhiteningOptions& options) { return message_of([&] { Layer layer(options); }); };
  EXPECT_TRUE(has_parts(message({}), "WhiteningOptions", "channels >= 1", "got 0"));
  EXPECT_TRUE(has_parts(message({.channels = 6, .groups = 4}), "divides the 6 channels", "got 4"));
  EXPECT_TRUE(has_parts(message({.channels = 6, .groups = 0}), "divides", "got 0"));
  EXPECT_TRUE(has_parts(message({.channels = 6, .iterations = 0}), "iterations >= 1", "got 0"));
  EXPECT_TRUE(has_parts(message({.channels = 6, .epsilon = 0}), "epsilon > 0", "got 0"));
  EXPECT_TRUE(has_parts(message({.channels = 6, .epsilon = 1e-220}), "epsilon of at least 1e-205", "got 1e-220"));
  EXPECT_TRUE(has_parts(message_of([] { bn::WhiteningNorm<float> layer({.channels = 6, .epsilon = 1e-80}); }),
                        "1 / sqrt(epsilon) is a float", "got 1e-80"));
}

TEST(WhiteningNormErrors, OfSizesOfRunningCovariances) {
  for (const Index groups : {0, -2, 3, 8}) {
    EXPECT_TRUE(has_parts(message_of([&] { bn::RunningCovariance running(4, groups); }), "RunningCovariance(groups)",
                          "divisor of the 4 channels", "got " + std::to_string(groups)));
  }
  bn::RunningCovariance running(4, 2);
  running.covariance.resize(2, 2);
  const bn::CovarianceMoments moments{10, Eigen::VectorXd::Zero(4), Eigen::MatrixXd::Identity(2, 2)};
  EXPECT_TRUE(has_parts(message_of([&] { running.check_usable("here"); }),
                        "here: expected a running covariance of the 4", "got [2, 2]"));
  EXPECT_TRUE(has_parts(message_of([&] { running.update(moments, bn::exponential(0.1)); }), "got [2, 2]"));
  running.covariance.resize(4, 3);
  EXPECT_TRUE(has_parts(message_of([&] { running.check_usable("here"); }), "got [4, 3]"));
  running.covariance.resize(4, 0);
  EXPECT_TRUE(has_parts(message_of([&] { running.check_usable("here"); }), "got [4, 0]"));
}

TEST(WhiteningNormErrors, OfCallsLeaveTheLayerAsItWas) {
  const Matrix x = correlated(20, 4, 1), dy = normal(20, 4, 2), narrow = x.leftCols(3), one = x.topRows(1);
  Layer layer = make({.channels = 4, .groups = 2});
  Matrix y, dx, expected_dx, wrong(19, 4), x_overwritten = x;
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x, dy, dx); }), "backward(x)", "forward pass before", "none"));
  layer.forward(x, y);
  layer.backward(x, dy, expected_dx);
  const Layer before = layer;

  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(narrow, y); }), "forward(x)", "expected 4 channels on axis 1",
                        "got 3", "[20, 3]"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(x, wrong); }), "forward(y)", "[20, 4]", "got [19, 4]"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(one, y); }), "forward(x)", "at least 2 values", "got 1",
                        "infer()", "[1, 4]"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(Matrix(0, 4), y); }), "forward(x)", "at least 1 value"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.infer(x, wrong); }), "infer(y)", "got [19, 4]"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x, wrong, dx); }), "backward(dy)", "got [19, 4]"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x, dy, wrong); }), "backward(dx)", "got [19, 4]"));
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(wrong, wrong, dx); }), "backward(x)", "other extents"));
  x_overwritten(0, 3) += 1;
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x_overwritten, dy, dx); }), "backward(x)", "other values",
                        "copy", "in place"));
  EXPECT_TRUE(same_state(layer, before));

  layer.zero_gradients();
  layer.backward(x, dy, dx);
  EXPECT_TRUE(equal_bits(dx, expected_dx)) << "the forward pass is still there";
}

TEST(WhiteningNormErrors, OfAssignedParameters) {
  const Matrix x = correlated(20, 4, 1);
  Matrix y;
  Layer layer({.channels = 4, .groups = 2});
  layer.affine().gamma.resize(3);
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(x, y); }), "forward", "4 values in affine().gamma", "got 3"));
  layer.affine().gamma.setOnes(4);
  layer.running().covariance.resize(4, 4);
  EXPECT_TRUE(
      has_parts(message_of([&] { layer.infer(x, y); }), "infer", "2 values in the columns of running()", "got 4"));
}

TEST(WhiteningNorm, SaysWhatItIs) {
  Layer layer({.channels = 8, .groups = 2, .method = WhiteningMethod::newton});
  EXPECT_EQ(layer.describe(),
            "WhiteningNorm<double, samples_in_rows>(channels 8, groups 2, newton with 5 iterations, epsilon 1e-05, "
            "exponential(0.1), running covariance unbiased, mode training, 0 batches seen, 0 skipped)");
}

TEST(WhiteningNorm, ACopyIsALayerOfItsOwn) {
  const Matrix x = correlated(20, 4, 1), dy = normal(20, 4, 2);
  Layer layer({.channels = 4});
  Matrix y, dx, expected;
  layer.forward(x, y);
  Layer copy = layer;
  layer.backward(x, dy, expected);
  layer.forward(dy, y);
  copy.backward(x, dy, dx);
  EXPECT_TRUE(equal_bits(dx, expected));
  EXPECT_EQ(copy.running().batches, 1);
}

}  // namespace testing_support::whitening::whitening_norm_test
