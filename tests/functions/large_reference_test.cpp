// Against the reference on tensors that the kernels cut into several blocks of rows, groups of channels and ranges to
// merge.
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/forward.hpp>

#include "support/compare.hpp"
#include "support/kernels.hpp"

namespace testing_support::large_reference_test {

template <class Matrix>
void expect_the_reference(Index samples, Index channels, Real mean, Real deviation) {
  using Scalar = typename Matrix::Scalar;
  SCOPED_TRACE(testing::Message() << samples << " samples of " << channels << " channels");
  constexpr double epsilon = 1e-5;
  Random random(17);
  const Matrix x = (normal_values(samples, channels, random) * deviation + mean).cast<Scalar>();
  const Matrix dy = normal_values(samples, channels, random).cast<Scalar>();
  batchnorm::AffineParameters<Scalar> affine(channels);
  affine.gamma = random_per_channel(channels, 0.5, 1.5, random).template cast<Scalar>();
  affine.beta = random_per_channel(channels, -1, 1, random).template cast<Scalar>();
  Matrix y, dx;
  batchnorm::Moments moments;
  batchnorm::Gradients<Scalar> gradients;
  batchnorm::train_forward(x, affine, epsilon, y, moments);
  batchnorm::backward(x, dy, affine, batchnorm::statistics(moments, epsilon), dx, gradients);

  const Values x_values = x.template cast<Real>(), dy_values = dy.template cast<Real>();
  const PerChannel gamma = affine.gamma.template cast<Real>(), beta = affine.beta.template cast<Real>();
  const auto forward = reference::forward(x_values, gamma, beta, epsilon);
  const auto backward = reference::backward(x_values, dy_values, gamma, epsilon);
  EXPECT_EQ(moments.count, samples);
  EXPECT_TRUE(close_relative<Scalar>(moments.variance().eval(), forward.variance));
  EXPECT_TRUE(close_forward<Scalar>(y.array().template cast<Real>(), forward.y));
  EXPECT_TRUE(close_gradient<Scalar>(dx.array().template cast<Real>(), backward, forward.inv_std));
  EXPECT_TRUE(close_sums<Scalar>(gradients.gamma, backward.dgamma, dy_values * forward.x_hat));
  EXPECT_TRUE(close_sums<Scalar>(gradients.beta, backward.dbeta, dy_values));
}

using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

TEST(LargeTensors, OfManyRowsAreMergedFromRanges) {
  expect_the_reference<RowMatrix>(6001, 100, 2, 1);
  expect_the_reference<RowMatrix>(100003, 6, -3, 2);
}

TEST(LargeTensors, OfManyChannelsAreCutIntoGroups) { expect_the_reference<RowMatrix>(1201, 1100, 2, 1); }

TEST(LargeTensors, OfLongPlanesAreCutIntoChunks) { expect_the_reference<Eigen::MatrixXf>(50021, 6, 2, 1); }

TEST(LargeTensors, OfOneChannelAreOnePlane) { expect_the_reference<RowMatrix>(100003, 1, 2, 1); }

TEST(LargeTensors, KeepSmallDeviationsAboutLargeMeans) {
  expect_the_reference<RowMatrix>(6001, 100, 1e4L, 1e-2L);
  expect_the_reference<Eigen::MatrixXf>(50021, 6, -1e4L, 1e-2L);
}

TEST(LargeTensors, AreAsExactInDouble) {
  expect_the_reference<Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(3001, 100, 2, 1);
}

}  // namespace testing_support::large_reference_test
