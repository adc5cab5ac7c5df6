// Recorded values of PyTorch, written by make_golden.py.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/compare.hpp"
#include "support/golden.hpp"
#include "support/kernels.hpp"

namespace pytorch_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::Golden;
using testing_support::Real;
using testing_support::Values;

/// PyTorch rounds too, so its values and ours may differ by twice what either may differ from the truth.
template <class Scalar, class Actual>
testing::AssertionResult close(const Actual& actual, const Values& recorded, Real scale) {
  return testing_support::compare_detail::compare(actual, recorded, [&](Index i, Index c) {
    return 2 * testing_support::tolerance<Scalar>() * std::max(scale, std::abs(recorded(i, c)));
  });
}

template <class Scalar, class Actual>
testing::AssertionResult close_per_channel(const Actual& actual, const Golden& golden, const std::string& name,
                                           Real scale) {
  return close<Scalar>(actual.transpose().template cast<Real>(),
                       golden.per_channel<double>(name).transpose().cast<Real>(), scale);
}

/// Does what the file says was done, and compares after every step.
template <class Scalar, int Rank, class Layout, class Activation = bn::activations::identity>
void follow(const std::string& name) {
  using Tensor = Eigen::Tensor<Scalar, Rank, Eigen::RowMajor>;
  const Golden golden(name);
  const bool affine = golden.flag("affine");
  ASSERT_EQ(golden.flag("relu"), (std::same_as<Activation, bn::relu>));
  bn::BatchNorm<Scalar, Layout, Activation> layer(
      {.channels = Index(golden.number("channels")),
       .epsilon = golden.number("epsilon"),
       .averaging = golden.options.at("momentum") == "cumulative" ? bn::cumulative()
                                                                  : bn::exponential(golden.number("momentum")),
       .scale = affine,
       .shift = affine,
       // PyTorch's eval() normalizes with running statistics and still gives gradients to weight and bias: our mode
       // frozen.
       .mode = golden.flag("evaluate") ? bn::Mode::frozen : bn::Mode::training});
  if (affine) {
    layer.affine().gamma = golden.per_channel<Scalar>("gamma");
    layer.affine().beta = golden.per_channel<Scalar>("beta");
  }
  if (golden.flag("evaluate")) {
    layer.running().mean = golden.per_channel<double>("start_mean");
    layer.running().variance = golden.per_channel<double>("start_variance");
  }

  for (int step = 0; step < int(golden.number("steps")); ++step) {
    const std::string k = std::to_string(step);
    SCOPED_TRACE("step " + k);
    const Tensor x = golden.tensor<Tensor>("x" + k), dy = golden.tensor<Tensor>("dy" + k);
    const auto recorded = [&](const std::string& key) {
      return testing_support::values_of(golden.tensor<Tensor>(key + k), 1);
    };
    Tensor y, dx;
    layer.forward(x, y);
    layer.backward(x, dy, dx);
    EXPECT_TRUE(close<Scalar>(testing_support::values_of(y, 1), recorded("y"), 1));
    // dx and the sums are differences of larger terms, and err relative to those: dx to terms like dy, dgamma and dbeta
    // to sum |dy|.
    EXPECT_TRUE(close<Scalar>(testing_support::values_of(dx, 1), recorded("dx"),
                              testing_support::values_of(dy, 1).abs().maxCoeff()));
    const Real magnitude = Real(step + 1) * testing_support::values_of(dy, 1).abs().colwise().sum().maxCoeff();
    if (affine) {
      EXPECT_TRUE(close_per_channel<Scalar>(layer.gradients().gamma, golden, "dgamma" + k, magnitude));
      EXPECT_TRUE(close_per_channel<Scalar>(layer.gradients().beta, golden, "dbeta" + k, magnitude));
    }
    EXPECT_TRUE(close_per_channel<Scalar>(layer.running().mean, golden, "running_mean" + k, 1));
    EXPECT_TRUE(close_per_channel<Scalar>(layer.running().variance, golden, "running_variance" + k, 0));
  }
}

TEST(PyTorch, BatchNorm1dInFloat) { follow<float, 2, bn::samples_in_rows>("batch_norm_1d_float"); }
TEST(PyTorch, BatchNorm1dInDouble) { follow<double, 2, bn::samples_in_rows>("batch_norm_1d_double"); }
TEST(PyTorch, BatchNorm1dOverSequences) { follow<float, 3, bn::channel_first>("batch_norm_1d_sequence"); }
TEST(PyTorch, BatchNorm2dOverThreeSteps) { follow<float, 4, bn::channel_first>("batch_norm_2d_three_steps"); }
TEST(PyTorch, BatchNorm2dInEvalMode) { follow<float, 4, bn::channel_first>("batch_norm_2d_eval"); }
TEST(PyTorch, BatchNorm2dWithMomentumNone) { follow<float, 4, bn::channel_first>("batch_norm_2d_cumulative"); }
TEST(PyTorch, BatchNorm2dWithoutAffine) { follow<float, 4, bn::channel_first>("batch_norm_2d_no_affine"); }
TEST(PyTorch, BatchNorm2dThenReLU) { follow<float, 4, bn::channel_first, bn::relu>("batch_norm_2d_relu"); }
TEST(PyTorch, BatchNorm2dWithEpsilonAndMomentumInDouble) {
  follow<double, 4, bn::channel_first>("batch_norm_2d_epsilon_double");
}
TEST(PyTorch, BatchNorm3dInDouble) { follow<double, 5, bn::channel_first>("batch_norm_3d_double"); }

}  // namespace pytorch_test
