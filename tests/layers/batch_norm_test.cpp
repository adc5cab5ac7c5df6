// The layer beyond the table of semantics: copies, parameters, text, and the same bits as the functions.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <sstream>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>
#include <utility>
#include <vector>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/small_batch.hpp"
#include "support/throws.hpp"

namespace batch_norm_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::dy1;
using testing_support::dy2;
using testing_support::equal_bits;
using testing_support::equal_statistics;
using testing_support::has_parts;
using testing_support::make_layer;
using testing_support::message_of;
using testing_support::some_values;
using testing_support::x1;
using testing_support::x2;

using Matrix = testing_support::FloatRows;
using Layer = bn::BatchNorm<float>;

TEST(BatchNorm, CopiedIsTheSameLayer) {
  auto layer = make_layer<Layer>();
  Matrix y, dx;
  for (const Matrix& x : {x1, x2}) {
    layer.forward(x, y);
    layer.backward(x, dy1, dx);
  }
  Layer copy = layer;
  Matrix of_layer, of_copy;
  layer.infer(x1, of_layer);
  copy.infer(x1, of_copy);
  EXPECT_TRUE(equal_bits(of_copy, of_layer));
  layer.backward(x2, dy2, of_layer);
  copy.backward(x2, dy2, of_copy);
  EXPECT_TRUE(equal_bits(of_copy, of_layer));
  EXPECT_TRUE(equal_statistics(copy.gradients().gamma, layer.gradients().gamma));
  layer.forward(x1, of_layer);
  copy.forward(x1, of_copy);
  EXPECT_TRUE(equal_bits(of_copy, of_layer));
  EXPECT_TRUE(equal_statistics(copy.running().variance, layer.running().variance));
}

TEST(BatchNorm, CopiedIsALayerOfItsOwn) {
  auto layer = make_layer<Layer>();
  const Layer copy = layer;
  layer.affine().gamma.setConstant(9);
  Matrix y;
  layer.forward(x1, y);
  EXPECT_EQ(copy.affine().gamma[0], 0.5f);
  EXPECT_EQ(copy.running().batches, 0);
}

TEST(BatchNorm, AssignedAndMovedIsTheSameLayer) {
  auto layer = make_layer<Layer>();
  Matrix y, expected;
  layer.forward(x1, y);
  layer.infer(x2, expected);
  Layer assigned({.channels = 2});
  assigned = layer;
  EXPECT_TRUE(equal_bits(assigned.infer(x2), expected));
  const Layer moved = std::move(layer);
  EXPECT_TRUE(equal_bits(moved.infer(x2), expected));
}

TEST(BatchNorm, LivesInAVector) {
  std::vector<Layer> layers;
  layers.emplace_back(bn::Options{.channels = 5});
  layers.emplace_back(bn::Options{.channels = 3});
  layers.reserve(100);
  Matrix y;
  layers[0].forward(x1, y);
  EXPECT_EQ(layers[0].running().batches, 1);
  EXPECT_EQ(layers[1].options().channels, 3);
}

TEST(BatchNorm, OffersItsParametersToAnOptimizer) {
  auto layer = make_layer<Layer>();
  layer.gradients().gamma.setConstant(2);
  layer.gradients().beta.setConstant(4);
  std::vector<std::string> names;
  layer.for_each_parameter([&](bn::Parameter<float> parameter) {
    names.emplace_back(parameter.name);
    EXPECT_FALSE(parameter.weight_decay);
    EXPECT_EQ(parameter.value.size(), 5);
    parameter.value -= 0.5f * parameter.gradient;
    parameter.gradient.setZero();
  });
  EXPECT_EQ(names, (std::vector<std::string>{"gamma", "beta"}));
  EXPECT_EQ(layer.affine().gamma[0], -0.5f);
  EXPECT_EQ(layer.affine().beta[0], -1.75f);
  EXPECT_TRUE((layer.gradients().gamma == 0).all());
}

TEST(BatchNorm, OffersOnlyTheParametersItHas) {
  const auto names = [](bn::Options options) {
    Layer layer(options);
    std::string all;
    layer.for_each_parameter([&](const auto& parameter) { all += std::string(parameter.name) + ";"; });
    return all;
  };
  EXPECT_EQ(names({.channels = 5, .scale = false}), "beta;");
  EXPECT_EQ(names({.channels = 5, .shift = false}), "gamma;");
  EXPECT_EQ(names({.channels = 5, .scale = false, .shift = false}), "");
}

TEST(BatchNorm, DescribesItself) {
  bn::BatchNorm<double, bn::channel_last, bn::relu> layer({.channels = 64,
                                                           .epsilon = 0.001,
                                                           .averaging = bn::exponential(0.25),
                                                           .running_variance = bn::RunningVariance::biased,
                                                           .shift = false});
  EXPECT_TRUE(has_parts("batchnorm: " + layer.describe(), "BatchNorm<double, channel_last, relu>", "channels 64",
                        "epsilon 0.001", "exponential(0.25)", "biased", "no shift", "training", "0 batches"));
  std::ostringstream out;
  layer.set_mode(bn::Mode::inference);
  out << layer;
  EXPECT_EQ(out.str(), layer.describe());
  EXPECT_NE(out.str().find("inference"), std::string::npos);
}

TEST(BatchNorm, GivesTheBitsOfTheFunctions) {
  auto layer = make_layer<Layer>();
  const bn::AffineParameters<float> affine = layer.affine();
  Matrix y, dx, expected_y, expected_dx;
  bn::Moments moments;
  bn::RunningStatistics running(5);
  bn::Gradients<float> gradients(5);

  layer.forward(x1, y);
  bn::train_forward(x1, affine, 1e-5, expected_y, moments);
  running.update(moments, bn::exponential(0.1));
  EXPECT_TRUE(equal_bits(y, expected_y));
  EXPECT_TRUE(equal_statistics(layer.moments().mean, moments.mean));
  EXPECT_TRUE(equal_statistics(layer.moments().m2, moments.m2));
  EXPECT_TRUE(equal_statistics(layer.running().mean, running.mean));
  EXPECT_TRUE(equal_statistics(layer.running().variance, running.variance));

  layer.backward(x1, dy1, dx);
  bn::backward(x1, dy1, affine, bn::statistics(moments, 1e-5), expected_dx, gradients);
  EXPECT_TRUE(equal_bits(dx, expected_dx));
  EXPECT_TRUE(equal_statistics(layer.gradients().gamma, gradients.gamma));
  EXPECT_TRUE(equal_statistics(layer.gradients().beta, gradients.beta));

  layer.infer(x2, y);
  bn::normalize(x2, affine, bn::statistics(running, 1e-5), expected_y);
  EXPECT_TRUE(equal_bits(y, expected_y));

  layer.set_mode(bn::Mode::frozen);
  layer.zero_gradients();
  gradients.zero();
  layer.forward(x2, y);
  layer.backward(x2, dy2, dx);
  bn::backward(x2, dy2, affine, bn::statistics(running, 1e-5), expected_dx, gradients);
  EXPECT_TRUE(equal_bits(dx, expected_dx));
  EXPECT_TRUE(equal_statistics(layer.gradients().gamma, gradients.gamma));
}

/// An activation that a user could have written: a value, with a slope of its own.
struct Leaky {
  float slope = 0;

  template <class S>
  bn::Packet<S> forward(const bn::Packet<S>& z) const {
    const auto zero = bn::Packet<S>::broadcast(0);
    return select_less_equal(z, zero, z * bn::Packet<S>::broadcast(S(slope)), z);
  }
  template <class S>
  bn::Packet<S> backward(const bn::Packet<S>& z, const bn::Packet<S>& dy) const {
    return select_less_equal(z, bn::Packet<S>::broadcast(0), dy * bn::Packet<S>::broadcast(S(slope)), dy);
  }
  static const char* name() { return "leaky"; }
};

TEST(BatchNorm, TakesAnActivationOfTheUsersAsAValue) {
  bn::BatchNorm<float, bn::samples_in_rows, Leaky> layer({.channels = 1, .epsilon = 7, .mode = bn::Mode::frozen},
                                                         Leaky{0.25f});
  layer.running().variance[0] = 9;
  const Matrix x{{-4}, {4}, {8}}, dy{{1}, {1}, {2}};
  Matrix y, dx;
  layer.forward(x, y);
  EXPECT_EQ(y, (Matrix{{-0.25f}, {1}, {2}}));
  layer.backward(x, dy, dx);
  EXPECT_EQ(dx, (Matrix{{0.0625f}, {0.25f}, {0.5f}}));
  EXPECT_EQ(layer.gradients().beta[0], 3.25f);
  EXPECT_NE(layer.describe().find("leaky"), std::string::npos);
}

TEST(BatchNorm, DescribesAnActivationWithItsSlope) {
  const bn::BatchNorm<float, bn::samples_in_rows, bn::leaky_relu> layer({.channels = 1}, bn::leaky_relu(0.2));
  EXPECT_TRUE(layer.describe().starts_with("BatchNorm<float, samples_in_rows, leaky_relu(0.2)>(")) << layer;
  EXPECT_EQ(layer.activation().slope(), 0.2);
}

TEST(BatchNorm, GivesAnEmptyOutputTheExtentsOfX) {
  auto layer = make_layer<Layer>();
  Matrix y, dx;
  layer.forward(x1, y);
  EXPECT_EQ(y.rows(), 7);
  EXPECT_EQ(y.cols(), 5);
  layer.backward(x1, dy1, dx);
  EXPECT_EQ(dx.rows(), 7);
  bn::BatchNorm<float, bn::channel_first> images({.channels = 3});
  Eigen::Tensor<float, 4, Eigen::RowMajor> image(2, 3, 4, 5), result;
  image.setRandom();
  images.forward(image, result);
  EXPECT_EQ(result.dimension(3), 5);
  EXPECT_EQ(images.infer(image).dimension(2), 4);
}

TEST(BatchNorm, SaysWhichAxisHasTheWrongNumberOfChannels) {
  const bn::BatchNorm<float, bn::channel_last> layer({.channels = 64});
  Eigen::Tensor<float, 4, Eigen::RowMajor> x(8, 14, 14, 32), y;
  x.setZero();
  EXPECT_EQ(
      message_of([&] { layer.infer(x, y); }),
      "batchnorm: infer(x): expected 64 channels on axis 3 (channel_last), got 32; x is [8, 14, 14, 32] row-major");
  bn::BatchNorm<float, bn::samples_in_columns> columns({.channels = 4});
  Eigen::MatrixXf m = Eigen::MatrixXf::Zero(5, 9), out;
  EXPECT_EQ(
      message_of([&] { columns.forward(m, out); }),
      "batchnorm: forward(x): expected 4 channels on axis 0 (samples_in_columns), got 5; x is [5, 9] column-major");
}

TEST(BatchNorm, SaysHowToGiveAnOutputTheRightExtents) {
  auto layer = make_layer<Layer>();
  Matrix y(3, 5);
  EXPECT_EQ(
      message_of([&] { layer.forward(x1, y); }),
      "batchnorm: forward(y): expected the extents of x, [7, 5] row-major, got [3, 5] row-major; say y.resizeLike(x)");
}

TEST(BatchNorm, SaysThatAnOutputOverlapsAPartOfAnInput) {
  auto layer = make_layer<Layer>();
  Matrix memory = some_values(8, 5, 7);
  EXPECT_TRUE(has_parts(message_of([&] { layer.forward(memory.topRows(7), memory.bottomRows(7)); }), "forward(y)",
                        "exactly that of x", "overlaps", "[7, 5]"));
}

}  // namespace batch_norm_test
