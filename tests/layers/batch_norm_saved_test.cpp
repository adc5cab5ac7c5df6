// What a forward pass leaves for its backward pass: how long it serves, and what it is refused for.
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

namespace batch_norm_saved_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::dy1;
using testing_support::dy2;
using testing_support::equal_bits;
using testing_support::equal_statistics;
using testing_support::has_parts;
using testing_support::make_layer;
using testing_support::message_of;
using testing_support::x1;
using testing_support::x2;

using Matrix = testing_support::FloatRows;
using Layer = bn::BatchNorm<float>;
using ReluLayer = bn::BatchNorm<float, bn::samples_in_rows, bn::relu>;

template <class AnyLayer>
class SavedPass : public testing::Test {};
using Layers = testing::Types<Layer, ReluLayer>;
TYPED_TEST_SUITE(SavedPass, Layers);

TYPED_TEST(SavedPass, TwoForwardsThenTwoBackwardsGiveWhatOneAfterTheOtherGives) {
  auto in_turn = make_layer<TypeParam>(), both = make_layer<TypeParam>();
  Matrix y, dx1, dx2, expected1, expected2;
  in_turn.forward(x1, y);
  in_turn.backward(x1, dy1, expected1);
  in_turn.forward(x2, y);
  in_turn.backward(x2, dy2, expected2);

  bn::Saved<float> saved1, saved2;
  both.forward(x1, y, {.saved = &saved1});
  both.forward(x2, y, {.saved = &saved2});
  both.backward(x1, dy1, dx1, {.saved = &saved1});
  both.backward(x2, dy2, dx2, {.saved = &saved2});
  EXPECT_TRUE(equal_bits(dx1, expected1));
  EXPECT_TRUE(equal_bits(dx2, expected2));
  EXPECT_TRUE(equal_statistics(both.gradients().gamma, in_turn.gradients().gamma));
  EXPECT_TRUE(equal_statistics(both.gradients().beta, in_turn.gradients().beta));
}

TYPED_TEST(SavedPass, ASecondForwardThenBackwardOfTheFirstXThrows) {
  auto layer = make_layer<TypeParam>();
  Matrix y, dx;
  layer.forward(x1, y);
  layer.forward(x2, y);
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x1, dy1, dx); }), "backward(x)",
                        "the x of the last forward pass", "other values", "Saved", "[7, 5] row-major"));
  EXPECT_NO_THROW(layer.backward(x2, dy2, dx));
}

TYPED_TEST(SavedPass, AForwardIntoACallersSavedLeavesTheLayersOwn) {
  auto layer = make_layer<TypeParam>();
  bn::Saved<float> saved;
  Matrix y, dx;
  layer.forward(x1, y);
  layer.forward(x2, y, {.saved = &saved});
  EXPECT_NO_THROW(layer.backward(x1, dy1, dx));
  EXPECT_THROW(layer.backward(x2, dy1, dx), std::invalid_argument);
  EXPECT_THROW(layer.backward(x1, dy1, dx, {.saved = &saved}), std::invalid_argument);
}

TYPED_TEST(SavedPass, AnXOverwrittenInPlaceThrows) {
  auto layer = make_layer<TypeParam>();
  Matrix x = x1, dx;
  layer.forward(x, x);
  EXPECT_TRUE(
      has_parts(message_of([&] { layer.backward(x, dy1, dx); }), "backward(x)", "other values", "copy", "in place"));
  x = x1;
  EXPECT_NO_THROW(layer.backward(x, dy1, dx));
}

TYPED_TEST(SavedPass, ACopyOfXElsewhereIsTheSameX) {
  auto layer = make_layer<TypeParam>();
  Matrix y, dx, expected;
  layer.forward(x1, y);
  layer.backward(x1, dy1, expected);
  Matrix larger = Matrix::Zero(9, 8);
  larger.block(1, 2, 7, 5) = x1;
  layer.backward(larger.block(1, 2, 7, 5), dy1, dx);
  EXPECT_TRUE(equal_bits(dx, expected));
}

TYPED_TEST(SavedPass, AModeChangedBetweenTheTwoHasNoEffect) {
  for (const bn::Mode mode : {bn::Mode::training, bn::Mode::inference, bn::Mode::frozen, bn::Mode::probe}) {
    auto expected = make_layer<TypeParam>({.channels = 5, .mode = mode});
    Matrix y, dx, expected_dx;
    expected.forward(x1, y);
    expected.backward(x1, dy1, expected_dx);
    for (const bn::Mode other : {bn::Mode::training, bn::Mode::inference, bn::Mode::frozen, bn::Mode::probe}) {
      auto layer = make_layer<TypeParam>({.channels = 5, .mode = mode});
      layer.forward(x1, y);
      layer.set_mode(other);
      layer.running().mean.setConstant(17);
      layer.backward(x1, dy1, dx);
      EXPECT_TRUE(equal_bits(dx, expected_dx));
      EXPECT_TRUE(equal_statistics(layer.gradients().gamma, expected.gradients().gamma));
      EXPECT_TRUE(equal_statistics(layer.gradients().beta, expected.gradients().beta));
    }
  }
}

TYPED_TEST(SavedPass, OneForwardServesTwoBackwards) {
  auto layer = make_layer<TypeParam>();
  Matrix y, once, twice;
  layer.forward(x1, y);
  layer.backward(x1, dy1, once);
  layer.backward(x1, dy1, twice);
  EXPECT_TRUE(equal_bits(once, twice));
}

TYPED_TEST(SavedPass, BackwardWithoutForwardThrows) {
  auto layer = make_layer<TypeParam>();
  const bn::Saved<float> nothing;
  Matrix dx;
  EXPECT_EQ(message_of([&] { layer.backward(x1, dy1, dx); }),
            "batchnorm: backward(x): expected a forward pass before, got none; call forward(x, y) first");
  EXPECT_THROW(layer.backward(x1, dy1, dx, {.saved = &nothing}), std::invalid_argument);
}

TYPED_TEST(SavedPass, OtherExtentsThrow) {
  auto layer = make_layer<TypeParam>();
  Matrix y, dx;
  layer.forward(x1, y);
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x1.topRows(6), dy1.topRows(6), dx); }), "backward(x)",
                        "other extents", "[6, 5]"));
  EXPECT_TRUE(
      has_parts(message_of([&] { layer.backward(x1, dy1.topRows(6), dx); }), "backward(dy)", "[7, 5]", "[6, 5]"));
  EXPECT_TRUE(
      has_parts(message_of([&] { layer.backward(x1, dy1.leftCols(4), dx); }), "backward(dy)", "[7, 5]", "[7, 4]"));
  dx.resize(7, 6);
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x1, dy1, dx); }), "backward(dx)", "[7, 5]", "[7, 6]",
                        "dx.resizeLike(x)"));
}

TYPED_TEST(SavedPass, KeepsItsStorageFromCallToCall) {
  auto layer = make_layer<TypeParam>();
  bn::Saved<float> saved;
  Matrix y;
  layer.forward(x1, y, {.saved = &saved});
  const double* mean = saved.statistics.mean.data();
  const double* inv_std = saved.statistics.inv_std.data();
  layer.forward(x2, y, {.saved = &saved});
  EXPECT_EQ(saved.statistics.mean.data(), mean);
  EXPECT_EQ(saved.statistics.inv_std.data(), inv_std);
}

TEST(SavedPassOfATensor, IsRefusedWhenItsAxesAreExchanged) {
  bn::BatchNorm<float, bn::channel_last> layer({.channels = 2});
  Eigen::Tensor<float, 3, Eigen::RowMajor> x(3, 4, 2), y, turned(4, 3, 2);
  x.setConstant(1);
  turned.setConstant(1);
  layer.forward(x, y);
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(turned, turned, turned); }), "backward(x)", "other extents",
                        "[4, 3, 2] row-major"));
}

// --- What a pass was made with must be what it is taken back with.

/// Tells itself by its bytes: it has parameters, but no operator==, and its name() does not print them.
struct clipped {
  double most = 1;

  template <class Scalar>
  bn::Packet<Scalar> forward(const bn::Packet<Scalar>& z) const {
    return min(z, bn::Packet<Scalar>::broadcast(static_cast<Scalar>(most)));
  }
  template <class Scalar>
  bn::Packet<Scalar> backward(const bn::Packet<Scalar>& z, const bn::Packet<Scalar>& dy) const {
    return select_less_equal(z, bn::Packet<Scalar>::broadcast(static_cast<Scalar>(most)), dy,
                             bn::Packet<Scalar>::broadcast(0));
  }
  static std::string name() { return "clipped"; }
};

/// Tells itself by its name: it can be neither compared nor copied bytewise.
struct labeled : bn::activations::identity {
  std::string label;

  std::string name() const { return label; }
};

/// What a layer with the activation `second` says to the Saved of one with `first`; empty if it takes it.
template <class First, class Second>
std::string refusal(const First& first, const Second& second) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, 3), dy = Eigen::MatrixXf::Random(8, 3);
  Eigen::MatrixXf y, dx;
  bn::BatchNorm<float, bn::samples_in_rows, First> forward_layer({.channels = 3}, first);
  bn::BatchNorm<float, bn::samples_in_rows, Second> backward_layer({.channels = 3}, second);
  bn::Saved<float> saved;
  forward_layer.forward(x, y, {.saved = &saved});
  forward_layer.backward(x, dy, dx, {.saved = &saved});
  try {
    backward_layer.backward(x, dy, dx, {.saved = &saved});
  } catch (const std::invalid_argument& error) {
    EXPECT_TRUE((backward_layer.gradients().beta == 0).all()) << "a refused call changed the gradients";
    return error.what();
  }
  return {};
}

TEST(SavedPassOfAnotherActivation, IsRefusedWithBothNames) {
  EXPECT_EQ(
      refusal(bn::leaky_relu(.5), bn::leaky_relu(.01)),
      "batchnorm: backward(saved): expected the pass of a layer with the activation leaky_relu(0.01), got that of "
      "one with leaky_relu(0.5); hand it to the layer that ran forward, or to one with the same activation");
  EXPECT_TRUE(has_parts(refusal(bn::activations::identity(), bn::relu()), "relu", "identity"));
  EXPECT_TRUE(has_parts(refusal(bn::relu(), bn::leaky_relu()), "leaky_relu(0.01)", "relu"));
  EXPECT_TRUE(has_parts(refusal(bn::relu(), clipped()), "clipped", "relu"));
}

TEST(SavedPassOfAnotherActivation, IsRefusedWhereItsNamePrintsTheSame) {
  EXPECT_TRUE(has_parts(refusal(bn::leaky_relu(.5), bn::leaky_relu(.5000000001)), "leaky_relu(0.5)",
                        "leaky_relu(0.5) of other parameters"));
  EXPECT_TRUE(has_parts(refusal(clipped{1}, clipped{2}), "clipped", "clipped of other parameters"));
  EXPECT_TRUE(has_parts(refusal(labeled{{}, "a"}, labeled{{}, "b"}), "b", "a"));
}

TEST(SavedPassOfAnotherLayer, OfTheSameActivationIsTaken) {
  EXPECT_EQ(refusal(bn::activations::identity(), bn::activations::identity()), "");
  EXPECT_EQ(refusal(bn::leaky_relu(.5), bn::leaky_relu(.5)), "");
  EXPECT_EQ(refusal(clipped{2}, clipped{2}), "");
  EXPECT_EQ(refusal(labeled{{}, "a long label that no string holds in itself"},
                    labeled{{}, "a long label that no string holds in itself"}),
            "");
}

TEST(SavedPassOfAnotherActivation, IsRefusedByBackwardFromOutput) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, 3), dy = Eigen::MatrixXf::Random(8, 3);
  Eigen::MatrixXf y, dx;
  bn::BatchNorm<float, bn::samples_in_rows, bn::leaky_relu> half({.channels = 3}, bn::leaky_relu(.5)),
      hundredth({.channels = 3});
  bn::Saved<float> saved;
  half.forward(x, y, {.saved = &saved});
  EXPECT_TRUE(has_parts(message_of([&] { hundredth.backward_from_output(y, dy, dx, {.saved = &saved}); }),
                        "backward_from_output(saved)", "leaky_relu(0.01)", "leaky_relu(0.5)"));
  half.backward_from_output(y, dy, dx, {.saved = &saved});
}

TEST(SavedPassOfAnotherLayer, BringsTheNumbersOfItsOwnOptions) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, 3), dy = Eigen::MatrixXf::Random(8, 3);
  Eigen::MatrixXf y, dx, other_dx;
  bn::BatchNorm<float> a({.channels = 3, .epsilon = .1}), b({.channels = 3});
  bn::Saved<float> saved;
  a.forward(x, y, {.saved = &saved});
  a.backward(x, dy, dx, {.saved = &saved});
  b.backward(x, dy, other_dx, {.saved = &saved});
  EXPECT_TRUE(equal_bits(dx, other_dx));
}

// A square matrix fits both ways.
TEST(SavedPassOfAnotherLayout, IsRefused) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(5, 5), dy = Eigen::MatrixXf::Random(5, 5);
  Eigen::MatrixXf y, dx;
  bn::BatchNorm<float> rows({.channels = 5});
  bn::BatchNorm<float, bn::samples_in_columns> columns({.channels = 5});
  bn::Saved<float> saved;
  rows.forward(x, y, {.saved = &saved});
  EXPECT_TRUE(has_parts(message_of([&] { columns.backward(x, dy, dx, {.saved = &saved}); }),
                        "backward(x): expected the channels on axis 1, as in the forward pass, got", "axis 0",
                        "samples_in_columns"));
}

// Borders of zeros are alike in all batches.
TEST(SavedPassOfImages, WithABorderOfZerosIsNotTakenForThatOfOthers) {
  for (const Index side : {7, 14, 28, 56, 112}) {
    using Images = Eigen::Tensor<float, 4, Eigen::RowMajor>;
    const auto batch = [&] {
      Images x(16, 1, side, side);
      x.setZero();
      const Eigen::array<Index, 4> first{0, 0, 1, 1}, extents{16, 1, side - 2, side - 2};
      Images inside(16, 1, side - 2, side - 2);
      inside.setRandom();
      x.slice(first, extents) = inside;
      return x;
    };
    const Images a = batch(), b = batch();
    Images y, dx;
    bn::BatchNorm<float, bn::channel_first> layer({.channels = 1});
    layer.forward(a, y);
    EXPECT_TRUE(has_parts(message_of([&] { layer.backward(b, y, dx); }), "backward(x)", "got other values")) << side;
    layer.backward(a, y, dx);
  }
}

TEST(SavedPassOfPixels, OverwrittenInPlaceThrows) {
  using Pixels = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  Pixels x = Pixels::Zero(60, 784);
  for (Index row = 1; row < 27; ++row) x.middleCols(28 * row + 1, 26).setRandom();
  const Pixels dy = Pixels::Random(60, 784);
  Pixels dx;
  bn::BatchNorm<float> layer({.channels = 784});
  layer.forward(x, x);
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward(x, dy, dx); }), "backward(x)", "got other values"));
}

}  // namespace batch_norm_saved_test
