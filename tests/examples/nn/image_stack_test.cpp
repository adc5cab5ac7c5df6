#include "nn/image_stack.hpp"

#include <gtest/gtest.h>

#include "layer_check.hpp"

namespace image_stack_test {

namespace bn = batchnorm;
using nn_check::Matrix;
using nn_check::random_matrix;
using Stack = nn::ImageStack<double>;
using Activation = nn::Unit::Activation;

/// One of everything that protocol D's network has, in small.
nn::Sequential<double> small_inception(const nn::Unit& unit) {
  Stack net({6, 5, 1}, unit);
  net.convolution(2).max_pool({.stride = 2});
  EXPECT_EQ(net.shape(), (nn::Shape{3, 3, 2}));
  net.branches({[](Stack& branch) { branch.convolution(1, {.size = 1}); },
                [](Stack& branch) { branch.convolution(2, {.size = 1}).convolution(2); },
                [](Stack& branch) { branch.average_pool().convolution(1, {.size = 1}); }});
  EXPECT_EQ(net.shape(), (nn::Shape{3, 3, 4}));
  net.branches({[](Stack& branch) { branch.convolution(1, {.size = 1}).convolution(1, {.stride = 2}); },
                [](Stack& branch) { branch.max_pool({.stride = 2}); }});
  EXPECT_EQ(net.shape(), (nn::Shape{2, 2, 5}));
  net.local_response_norm().global_average_pool().dense(4);
  EXPECT_EQ(net.shape(), (nn::Shape{1, 1, 4}));
  return net.take();
}

/// Seven images; drawn so that no pool sees a tie as close as the differences' step, where there is no derivative.
Matrix images() { return random_matrix(7 * 30, 1, 6); }

TEST(ImageStack, GradientsWithBatchNorm) {
  auto rectified = small_inception({.batch_norm = true});
  nn_check::check_network(rectified, images());
  auto squashed = small_inception({.batch_norm = true, .activation = Activation::sigmoid});
  nn_check::check_network(squashed, images());
}

TEST(ImageStack, GradientsWithoutBatchNorm) {
  auto model = small_inception({.batch_norm = false});
  model.for_each_parameter([](bn::Parameter<double> parameter) { parameter.value.setConstant(0.1); });  // biases
  nn_check::check_network(model, images());
}

TEST(ImageStack, BatchNormStandsBehindEachConvolutionAndItsBiasIsLeftOut) {
  auto with = small_inception({.batch_norm = true}), without = small_inception({.batch_norm = false});
  const auto count = [](nn::Sequential<double>& model, std::string_view name) {
    Eigen::Index total = 0;
    model.for_each_parameter([&](bn::Parameter<double> parameter) {
      if (parameter.name == name) total += parameter.value.size();
    });
    return total;
  };
  EXPECT_EQ(count(with, "weight"), count(without, "weight"));
  EXPECT_EQ(count(with, "gamma"), 2 + 1 + 2 + 2 + 1 + 1 + 1);
  EXPECT_EQ(count(with, "bias"), 4) << "that of the classifier";
  EXPECT_EQ(count(without, "bias"), count(with, "gamma") + 4);
  EXPECT_EQ(count(without, "gamma"), 0);
  int statistics = 0;
  with.for_each_statistics([&](const bn::Moments&, bn::RunningStatistics&) { ++statistics; });
  EXPECT_EQ(statistics, 7);
}

TEST(ImageStack, PerActivationFromSomewhereOn) {
  Stack net({4, 3, 1}, {});
  net.convolution(2).use({.per_activation = true}).convolution(2, {.stride = 2}).global_average_pool().dense(4);
  auto model = net.take();
  std::vector<Eigen::Index> gammas;
  model.for_each_parameter([&](bn::Parameter<double> parameter) {
    if (parameter.name == "gamma") gammas.push_back(parameter.value.size());
  });
  EXPECT_EQ(gammas, (std::vector<Eigen::Index>{2, 2 * 2 * 2}));
  nn_check::check_network(model, random_matrix(7 * 12, 1, 6));
}

TEST(ImageStack, TheModeReachesTheBranches) {
  auto model = small_inception({.batch_norm = true});
  model.forward(images());
  const nn::ModeScope scope(model, bn::Mode::inference);
  model.forward(images());
  model.for_each_statistics([](const bn::Moments&, bn::RunningStatistics& running) { EXPECT_EQ(running.batches, 1); });
}

}  // namespace image_stack_test
