#include "nn/loss.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "support/gradient_check.hpp"

namespace loss_test {

using Matrix = nn::Matrix<double>;
using Labels = std::vector<std::uint8_t>;

TEST(SoftmaxCrossEntropy, EqualLogitsCostTheLogarithmOfTheClasses) {
  const Matrix logits = Matrix::Constant(3, 4, 7.0);
  Matrix gradient;
  EXPECT_DOUBLE_EQ(nn::softmax_cross_entropy<double>(logits, Labels{0, 1, 2}, gradient), std::log(4.0));
  EXPECT_DOUBLE_EQ(gradient(0, 0), (0.25 - 1) / 3);
  EXPECT_DOUBLE_EQ(gradient(0, 1), 0.25 / 3);
}

TEST(SoftmaxCrossEntropy, GradientIsTheDerivative) {
  Matrix logits(3, 4);
  logits << 0.1, -0.7, 2.0, 0.4, 1.5, 1.5, -3.0, 0.0, 0.3, 0.2, 0.1, -5.0;
  const Labels labels = {2, 0, 3};
  Matrix gradient, unused;
  nn::softmax_cross_entropy<double>(logits, labels, gradient);
  const auto loss = [&] { return nn::softmax_cross_entropy<double>(logits, labels, unused); };
  EXPECT_TRUE(testing_support::is_gradient(gradient, logits, loss));
}

TEST(SoftmaxCrossEntropy, HugeLogitsDoNotOverflow) {
  nn::Matrix<float> logits(2, 2), gradient;
  logits << 3e38f, -3e38f, 1000, 0;
  const float loss = nn::softmax_cross_entropy<float>(logits, Labels{0, 1}, gradient);
  EXPECT_EQ(loss, 500.0f);
  EXPECT_TRUE(gradient.allFinite());
  EXPECT_EQ(gradient(1, 0), 0.5f);
  EXPECT_EQ(gradient(1, 1), -0.5f);
}

TEST(Softmax, IsThatOfTheLossAndSumsToOne) {
  Matrix logits(2, 3), gradient;
  logits << 0.1, -0.7, 2.0, 1000, 1000, -1000;
  const Matrix probabilities = nn::softmax<double>(logits);
  EXPECT_DOUBLE_EQ(probabilities.row(0).sum(), 1);
  EXPECT_DOUBLE_EQ(probabilities(1, 0), 0.5);
  nn::softmax_cross_entropy<double>(logits, Labels{2, 0}, gradient);
  EXPECT_DOUBLE_EQ(2 * gradient(0, 2), probabilities(0, 2) - 1);
  EXPECT_DOUBLE_EQ(2 * gradient(0, 1), probabilities(0, 1));
}

TEST(CountCorrect, CountsTheLargest) {
  Matrix logits(3, 2);
  logits << 1, 2, 2, 1, -1, -2;
  EXPECT_EQ(nn::count_correct<double>(logits, Labels{1, 1, 0}), 2);
}

}  // namespace loss_test
