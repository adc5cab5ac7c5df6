// Which memory an output may have: all of an input's, or none of it.
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/derivatives.hpp>
#include <batchnorm/functions/fold.hpp>
#include <batchnorm/functions/forward.hpp>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/throws.hpp"

namespace aliasing_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::equal_bits;
using testing_support::has_parts;
using testing_support::message_of;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowMap = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;

constexpr double epsilon = 1e-3;
const bn::AffineParameters<float> affine(4);

Matrix data(Index rows, Index columns, std::uint64_t seed = 1) {
  testing_support::Random random(seed);
  return testing_support::random_values(rows, columns, random).cast<float>();
}

template <class X, class Y>
void forward(const X& x, Y&& y) {
  bn::Moments moments;
  bn::train_forward(x, affine, epsilon, y, moments);
}

template <class X, class DY, class DX>
void backward(const X& x, const DY& dy, DX&& dx) {
  bn::Moments moments;
  bn::Gradients<float> gradients;
  bn::batch_moments(x, moments);
  bn::backward(x, dy, affine, bn::statistics(moments, epsilon), dx, gradients);
}

TEST(Aliasing, RefusesAnOutputThatOverlapsAPartOfAnInput) {
  Matrix memory = data(9, 4), before = memory;
  const auto message = message_of([&] { forward(memory.topRows(8), memory.bottomRows(8)); });
  EXPECT_TRUE(has_parts(message, "train_forward(y)", "exactly that of x", "overlaps part of x", "[8, 4] row-major"));
  EXPECT_THROW(forward(memory.bottomRows(8), memory.topRows(8)), std::invalid_argument);
  EXPECT_THROW(forward(memory.topRows(5), memory.bottomRows(5)), std::invalid_argument);  // one row in common
  EXPECT_TRUE(equal_bits(memory, before));
}

TEST(Aliasing, RefusesColumnsThatOverlap) {
  Matrix memory = data(9, 7), before = memory;
  EXPECT_THROW(forward(memory.leftCols(4), memory.rightCols(4)), std::invalid_argument);
  EXPECT_THROW(forward(memory.rightCols(4), memory.leftCols(4)), std::invalid_argument);
  EXPECT_TRUE(equal_bits(memory, before));
}

TEST(Aliasing, TakesBlocksThatInterleaveInMemoryWithoutMeeting) {
  Matrix memory = data(9, 8);
  const Matrix x = memory.leftCols(4);
  Matrix expected;
  forward(x, expected);
  forward(memory.leftCols(4), memory.rightCols(4));
  EXPECT_TRUE(equal_bits(memory.rightCols(4).eval(), expected));
  EXPECT_TRUE(equal_bits(memory.leftCols(4).eval(), x));
}

TEST(Aliasing, TakesBlocksOfAColumnMajorMatrixThatInterleave) {
  Eigen::MatrixXf memory = data(16, 4);
  const Eigen::MatrixXf x = memory.topRows(8);
  Eigen::MatrixXf expected;
  forward(x, expected);
  forward(memory.topRows(8), memory.bottomRows(8));
  EXPECT_TRUE(equal_bits(memory.bottomRows(8).eval(), expected));
}

TEST(Aliasing, TakesNeighborsThatTouch) {
  Matrix memory = data(16, 4);
  const Matrix x = memory.topRows(8);
  Matrix expected;
  forward(x, expected);
  forward(memory.topRows(8), memory.bottomRows(8));
  EXPECT_TRUE(equal_bits(memory.bottomRows(8).eval(), expected));
}

TEST(Aliasing, RefusesTheSameMemoryWithAnotherStride) {
  std::vector<float> memory(100, 1.0f);
  const RowMap x(memory.data(), 5, 4, Eigen::OuterStride<>(8));
  RowMap y(memory.data(), 5, 4, Eigen::OuterStride<>(4));
  EXPECT_THROW(forward(x, y), std::invalid_argument);
  EXPECT_THROW(forward(y, RowMap(x)), std::invalid_argument);
}

TEST(Aliasing, RefusesADxThatOverlapsAPartOfXOrOfDy) {
  Matrix x = data(9, 4), dy = data(9, 4, 2), dx;
  EXPECT_TRUE(
      has_parts(message_of([&] { backward(x.topRows(8), dy.topRows(8), x.bottomRows(8)); }), "backward(dx)", "of x"));
  EXPECT_TRUE(
      has_parts(message_of([&] { backward(x.topRows(8), dy.topRows(8), dy.bottomRows(8)); }), "backward(dx)", "of dy"));
}

TEST(Aliasing, RefusesADxThatIsExactlyOneInputAndOverlapsTheOther) {
  Matrix memory = data(9, 4);
  const auto x = memory.topRows(8);
  auto dy = memory.bottomRows(8);
  EXPECT_THROW(backward(x, dy, dy), std::invalid_argument);
}

TEST(Aliasing, TakesInputsThatOverlapEachOther) {
  Matrix memory = data(9, 4), dx, expected;
  const Matrix x = memory.topRows(8), dy = memory.bottomRows(8);
  backward(x, dy, expected);
  backward(memory.topRows(8), memory.bottomRows(8), dx);
  EXPECT_TRUE(equal_bits(dx, expected));
  backward(x, x, expected);
  backward(memory.topRows(8), memory.topRows(8), dx);
  EXPECT_TRUE(equal_bits(dx, expected));
}

TEST(Aliasing, TakesOneMatrixAsXAndDyAndDx) {
  Matrix memory = data(9, 4), expected;
  backward(data(9, 4), data(9, 4), expected);
  backward(memory, memory, memory);
  EXPECT_TRUE(equal_bits(memory, expected));
}

TEST(Aliasing, TakesAMapOfTheSameMemoryAsTheSameTensor) {
  Matrix x = data(9, 4), expected;
  forward(x, expected);
  forward(x, Eigen::Map<Matrix>(x.data(), 9, 4));
  EXPECT_TRUE(equal_bits(x, expected));
}

TEST(Aliasing, HoldsForTensorsToo) {
  std::vector<float> memory(2 * 3 * 4 + 1, 1.0f);
  using Map = Eigen::TensorMap<Eigen::Tensor<float, 3, Eigen::RowMajor>>;
  const Map x(memory.data(), 2, 3, 4), shifted(memory.data() + 1, 2, 3, 4);
  bn::RunningStatistics running(4);
  EXPECT_TRUE(has_parts(
      message_of([&] { bn::normalize<bn::channel_last>(x, affine, bn::statistics(running, epsilon), Map(shifted)); }),
      "normalize(y)", "overlaps part of x"));
  EXPECT_NO_THROW(bn::normalize<bn::channel_last>(x, affine, bn::statistics(running, epsilon), Map(x)));
}

// But for those with a residual, which residual_test has.
TEST(Aliasing, HoldsForEveryFunctionThatWrites) {
  Matrix memory = data(9, 4), before = memory;
  const auto x = memory.topRows(8);
  auto out = memory.bottomRows(8);
  const Matrix dy = data(8, 4, 2);
  const bn::RunningStatistics running(4);
  bn::Moments moments;
  bn::batch_moments(x, moments);
  bn::GradientSums sums(4);
  bn::Gradients<float> gradients(4);
  EXPECT_TRUE(
      has_parts(message_of([&] { bn::normalize(x, affine, bn::statistics(moments, epsilon), out); }), "normalize(y)"));
  EXPECT_TRUE(
      has_parts(message_of([&] { bn::normalize(x, affine, bn::statistics(running, epsilon), out); }), "normalize(y)"));
  EXPECT_TRUE(
      has_parts(message_of([&] { bn::scale_shift(x, bn::fold(affine, bn::statistics(running, epsilon)), out); }),
                "scale_shift(y)"));
  EXPECT_TRUE(
      has_parts(message_of([&] { bn::input_gradient(x, dy, affine, bn::statistics(moments, epsilon), sums, out); }),
                "input_gradient(dx)"));
  EXPECT_TRUE(
      has_parts(message_of([&] { bn::backward(x, dy, affine, bn::statistics(running, epsilon), out, gradients); }),
                "backward(dx)"));
  const bn::Statistics of_batch = bn::statistics(moments, epsilon);
  EXPECT_TRUE(has_parts(message_of([&] { bn::backward_from_output(x, dy, affine, of_batch, out, gradients); }),
                        "backward_from_output(dx)", "overlaps part of y"));
  EXPECT_TRUE(has_parts(message_of([&] { bn::backward_from_output(dy, x, affine, of_batch, out, gradients); }),
                        "backward_from_output(dx)", "overlaps part of dy"));
  EXPECT_TRUE(has_parts(message_of([&] { bn::jvp(x, dy, affine, of_batch, out); }), "jvp(y_tangent)", "part of x"));
  EXPECT_TRUE(
      has_parts(message_of([&] { bn::jvp(dy, x, affine, of_batch, out); }), "jvp(y_tangent)", "part of x_tangent"));
  Matrix apart = dy;
  const auto twice = [&](const auto& a, const auto& b, const auto& c, auto&& dx2, auto&& ddy) {
    return message_of([&] { bn::backward_twice(a, b, c, affine, of_batch, dx2, ddy, gradients); });
  };
  EXPECT_TRUE(has_parts(twice(x, dy, dy, out, apart), "backward_twice(dx2)", "overlaps part of x"));
  EXPECT_TRUE(has_parts(twice(dy, x, dy, out, apart), "backward_twice(dx2)", "overlaps part of dy"));
  EXPECT_TRUE(has_parts(twice(dy, dy, x, out, apart), "backward_twice(dx2)", "overlaps part of v"));
  EXPECT_TRUE(has_parts(twice(x, dy, dy, apart, out), "backward_twice(ddy)", "overlaps part of x"));
  EXPECT_TRUE(has_parts(twice(dy, dy, x, apart, out), "backward_twice(ddy)", "overlaps part of v"));
  EXPECT_TRUE(equal_bits(memory, before) && equal_bits(apart, dy));
  EXPECT_TRUE((gradients.gamma == 0).all() && (gradients.beta == 0).all());
}

}  // namespace aliasing_test
