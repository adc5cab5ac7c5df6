#include "nn/branches.hpp"

#include <gtest/gtest.h>

#include "layer_check.hpp"
#include "support/thread_ranks.hpp"

namespace branches_test {

using nn_check::Matrix;
using nn_check::random_matrix;
using testing_support::max_abs;

nn::Branches<double> two_branches() {
  std::vector<nn::Sequential<double>> branches(2);
  branches[0].add(nn::Dense<double>(3, 2));
  branches[1].add(nn::Dense<double>(3, 4));
  branches[1].add(nn::Sigmoid<double>());
  return nn::Branches<double>(std::move(branches));
}

TEST(Branches, OutputsLieSideBySide) {
  auto layer = two_branches();
  Matrix y;
  layer.forward(random_matrix(5, 3, 1), y);  // all weights are 0
  EXPECT_EQ(y.leftCols(2), Matrix::Zero(5, 2));
  EXPECT_EQ(y.rightCols(4), Matrix::Constant(5, 4, 0.5));
}

// Batch normalization in a branch and in front of them, on batches in two parts.
TEST(Branches, AreToldOfOtherRanks) {
  const auto make = [] {
    nn::Sequential<double> model;
    std::vector<nn::Sequential<double>> branches(2);
    branches[0].add(nn::BatchNorm<double>({.channels = 3}));
    branches[1].add(nn::Sigmoid<double>());
    model.add(nn::Dense<double>(3, 3));
    model.add(nn::BatchNorm<double>({.channels = 3}));
    model.add(nn::Branches<double>(std::move(branches)));
    nn::Normal normal(1);
    model.initialize(normal, nn::constant_deviation(1));
    return model;
  };
  const Matrix x = random_matrix(12, 3, 2), dy = random_matrix(12, 6, 3);
  auto whole = make();
  Matrix dx, y(12, 6), parts_of_dx(12, 3);
  const Matrix expected = whole.forward(x);
  whole.backward(x, dy, &dx);
  const auto errors = testing_support::on_ranks(2, [&](const testing_support::ThreadRank& ranks) {
    const Eigen::Index first = 5 * ranks.rank, count = ranks.rank == 0 ? 5 : 7;
    auto model = make();
    model.set_across(&ranks);
    const Matrix part = x.middleRows(first, count);
    Matrix part_of_dx;
    y.middleRows(first, count) = model.forward(part);
    model.backward(part, dy.middleRows(first, count), &part_of_dx);
    parts_of_dx.middleRows(first, count) = part_of_dx;
    model.set_across(nullptr);
    EXPECT_GT(max_abs(model.forward(part) - expected.middleRows(first, count)), 0.01);
  });
  EXPECT_EQ(errors, std::vector<std::string>(2));
  EXPECT_LE(max_abs(y - expected), 1e-12);
  EXPECT_LE(max_abs(parts_of_dx - dx), 1e-12);
}

TEST(Branches, Gradients) {
  auto layer = two_branches();
  nn_check::randomize(layer, 1);
  nn_check::check_layer(layer, random_matrix(5, 3, 2));
}

}  // namespace branches_test
