#include "nn/branches.hpp"

#include <gtest/gtest.h>

#include "layer_check.hpp"

namespace {

using nn_check::Matrix;
using nn_check::random_matrix;

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

TEST(Branches, Gradients) {
  auto layer = two_branches();
  nn_check::randomize(layer, 1);
  nn_check::check_layer(layer, random_matrix(5, 3, 2));
}

}  // namespace
