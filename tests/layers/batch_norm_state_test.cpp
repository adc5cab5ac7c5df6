// What a layer shows of its state, and options that have a name.
#include <gtest/gtest.h>

#include <batchnorm/layers/batch_norm.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/compare.hpp"
#include "support/kernels.hpp"

namespace batch_norm_state_test {

namespace bn = batchnorm;
using testing_support::equal_bits;
using testing_support::equal_statistics;

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Layer = bn::BatchNorm<float>;

std::vector<std::string> names_of(auto& layer) {
  std::vector<std::string> names;
  layer.for_each_state([&](const char* name, const auto&) { names.push_back(name); });
  return names;
}

const Matrix x = Matrix::Random(12, 3), dy = Matrix::Random(12, 3);

TEST(State, IsVisitedByName) {
  Layer both({.channels = 3});
  EXPECT_EQ(names_of(both), (std::vector<std::string>{"gamma", "beta", "running_mean", "running_variance", "batches"}));
  Layer shift_only({.channels = 3, .scale = false});
  EXPECT_EQ(names_of(shift_only), (std::vector<std::string>{"beta", "running_mean", "running_variance", "batches"}));
  EXPECT_EQ(names_of(std::as_const(both)).size(), 5u);
}

/// One layer's state, copied into another by the visits alone, makes the other infer alike.
struct Copy {
  Eigen::ArrayXf gamma, beta;
  Eigen::ArrayXd mean, variance;
  std::int64_t batches = 0;

  void operator()(const std::string& name, const Eigen::ArrayXf& values) { (name == "gamma" ? gamma : beta) = values; }
  void operator()(const std::string& name, const Eigen::ArrayXd& values) {
    (name == "running_mean" ? mean : variance) = values;
  }
  void operator()(const std::string&, std::int64_t value) { batches = value; }
};
struct Paste {
  const Copy& copy;

  void operator()(const std::string& name, Eigen::ArrayXf& values) const {
    values = name == "gamma" ? copy.gamma : copy.beta;
  }
  void operator()(const std::string& name, Eigen::ArrayXd& values) const {
    values = name == "running_mean" ? copy.mean : copy.variance;
  }
  void operator()(const std::string&, std::int64_t& value) const { value = copy.batches; }
};

TEST(State, IsAllThatInferenceNeeds) {
  Layer trained({.channels = 3}), other({.channels = 3});
  trained.affine().gamma << 0.5f, -2, 1;
  trained.affine().beta << 1, 2, 3;
  Matrix y;
  for (int step = 0; step < 3; ++step) trained.forward(x, y);
  Copy copy;
  std::as_const(trained).for_each_state(copy);
  other.for_each_state(Paste{copy});
  EXPECT_TRUE(equal_bits(other.infer(x), trained.infer(x)));
  EXPECT_EQ(other.running().batches, 3);
}

TEST(OptionsOfACall, MayHaveANameOfTheirOwn) {
  Layer layer({.channels = 3}), same = layer;
  bn::Saved<float> saved;
  const bn::ForwardOptions<float> forward{.saved = &saved};
  bn::BackwardOptions<float> backward{.saved = &saved};
  bn::CallOptions infer;
  Matrix y, dx, expected, expected_dx;
  layer.forward(x, y, forward);
  layer.backward(x, dy, dx, backward);
  same.forward(x, expected);
  same.backward(x, dy, expected_dx);
  EXPECT_TRUE(equal_bits(y, expected));
  EXPECT_TRUE(equal_bits(dx, expected_dx));
  layer.infer(x, y, infer);
  EXPECT_TRUE(equal_bits(y, layer.infer(x, infer)));
}

// Checkpointing: y is computed, thrown away, and computed once more before backward.
TEST(Recompute, GivesTheGradientsOfTheFirstPassAndTakesTheBatchInOnce) {
  Layer kept({.channels = 3}), recomputed = kept;
  Matrix y, again, dx, expected;
  kept.forward(x, y);
  kept.backward(x, dy, expected);
  recomputed.forward(x, y);
  recomputed.forward(Matrix(2 * x), again);  // another batch in between
  const auto running = recomputed.running();
  recomputed.set_mode(bn::Mode::recompute);
  recomputed.forward(x, again);
  recomputed.backward(x, dy, dx);
  EXPECT_TRUE(equal_bits(again, y));
  EXPECT_TRUE(equal_bits(dx, expected));
  EXPECT_TRUE(equal_statistics(recomputed.gradients().gamma, kept.gradients().gamma));
  EXPECT_TRUE(equal_statistics(recomputed.running().mean, running.mean));
  EXPECT_EQ(recomputed.running().batches, 2);
}

}  // namespace batch_norm_state_test
