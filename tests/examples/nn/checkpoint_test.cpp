#include "nn/checkpoint.hpp"

#include <gtest/gtest.h>
#include <batchnorm/adapters/safetensors.hpp>

#include <filesystem>
#include <limits>

#include "nn/activations.hpp"
#include "nn/batch_norm.hpp"
#include "nn/branches.hpp"
#include "nn/dense.hpp"
#include "nn/whitening_norm.hpp"
#include "support/throws.hpp"

namespace checkpoint_test {

namespace bn = batchnorm;
using Matrix = nn::Matrix<float>;

nn::Sequential<float> make_model(std::uint64_t seed, Eigen::Index units = 6) {
  nn::Sequential<float> left, right, model;
  left.add(nn::Dense<float>(units, 2));
  right.add(nn::Dense<float>(units, 3, nn::Bias::no));
  right.add(nn::BatchNorm<float, bn::sigmoid>({.channels = 3}));
  std::vector<nn::Sequential<float>> branches;
  branches.push_back(std::move(left));
  branches.push_back(std::move(right));
  model.add(nn::Dense<float>(4, units, nn::Bias::no));
  model.add(nn::BatchNorm<float>({.channels = units}));
  model.add(nn::Sigmoid<float>());
  model.add(nn::Branches<float>(std::move(branches)));
  nn::initialize_weights(model, 1.0, seed);
  for (int step = 0; step < 3; ++step) model.forward(Matrix::Random(16, 4));
  return model;
}

Matrix infer(nn::Sequential<float>& model, const Matrix& x) {
  const nn::ModeScope inference(model, bn::Mode::inference);
  return model.forward(x);
}

class Checkpoint : public testing::Test {
 protected:
  /// One for each test: they may run side by side.
  const std::filesystem::path file =
      std::filesystem::path(testing::TempDir()) /
      (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".safetensors");
  const Matrix x = Matrix::Random(5, 4);

  ~Checkpoint() override { std::filesystem::remove(file); }

  /// That the file is refused, with this text, and the model left as it was.
  void expect_refused(const std::string& text) {
    nn::Sequential<float> model = make_model(2);
    const Matrix before = infer(model, x);
    const std::string message = testing_support::message_of<std::runtime_error>([&] { nn::load(model, file); });
    EXPECT_NE(message.find(text), std::string::npos) << message;
    EXPECT_EQ(infer(model, x), before);
  }
};

TEST_F(Checkpoint, BringsANetworkBackBitForBit) {
  nn::Sequential<float> model = make_model(1), other = make_model(2);
  EXPECT_NE(infer(model, x), infer(other, x));
  nn::save(model, file);
  nn::load(other, file);
  EXPECT_EQ(infer(model, x), infer(other, x));
}

TEST_F(Checkpoint, NamesEachArrayByItsPlace) {
  nn::Sequential<float> model = make_model(1);
  nn::save(model, file);
  const bn::safetensors::Reader reader(file);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : reader.tensors()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"0.weight", "1.batches", "1.beta", "1.gamma", "1.running_mean",
                                             "1.running_variance", "3.0.0.bias", "3.0.0.weight", "3.1.0.weight",
                                             "3.1.1.batches", "3.1.1.beta", "3.1.1.gamma", "3.1.1.running_mean",
                                             "3.1.1.running_variance"}));
}

TEST_F(Checkpoint, OfAnotherNetworkIsRefused) {
  nn::Sequential<float> wider = make_model(1, 7);
  nn::save(wider, file);
  expect_refused("0.weight");
  nn::Sequential<float> shorter;
  shorter.add(nn::Dense<float>(4, 6, nn::Bias::no));
  nn::save(shorter, file);
  expect_refused("1.gamma");
  nn::Sequential<float> longer = make_model(1);
  longer.add(nn::Dense<float>(5, 5));
  nn::save(longer, file);
  expect_refused("expected the 14 tensors of the network, got 16");
}

TEST_F(Checkpoint, WithNumbersThatAreNoneIsRefused) {
  const auto spoil = [&](const auto& change) {
    nn::Sequential<float> model = make_model(1);
    change(model);
    nn::save(model, file);
  };
  spoil([](auto& model) {
    model.for_each_parameter([](bn::Parameter<float> p) { p.value[0] = std::numeric_limits<float>::quiet_NaN(); });
  });
  expect_refused("0.weight has numbers that are not finite");
  spoil([](auto& model) {
    model.for_each_statistics([](const auto&, bn::RunningStatistics& running) { running.variance[1] = -1; });
  });
  expect_refused("1.running_variance has numbers below zero");
}

TEST_F(Checkpoint, OfWhiteningIsRefusedWhenSaved) {
  nn::Sequential<float> model;
  model.add(nn::WhiteningNorm<float>({.channels = 4}));
  EXPECT_THROW(nn::save(model, file), std::invalid_argument);
  EXPECT_FALSE(std::filesystem::exists(file));
}

}  // namespace checkpoint_test
