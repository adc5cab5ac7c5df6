// Three training batches and an inference with each preset: against values that PyTorch, flax and ONNX's reference
// recorded, and for all frameworks against what they publish, written out here in a line or two of long double.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/compare.hpp"
#include "support/golden.hpp"
#include "support/kernels.hpp"
#include "support/throws.hpp"

namespace presets_test {

namespace bn = batchnorm;
namespace presets = batchnorm::presets;
using Eigen::Index;
using testing_support::Golden;
using testing_support::has_parts;
using testing_support::message_of;
using testing_support::PerChannel;
using testing_support::Real;
using testing_support::Values;

constexpr Real exactly = 2 * testing_support::tolerance<double>();  // both sides round

/// What a framework keeps, and what it gets to see of a batch.
struct Kept {
  PerChannel mean, variance;
};
struct Batch {
  int index;
  Real count;
  PerChannel mean, variance;  // variance: m2 / count
  PerChannel unbiased() const { return variance * (count / (count - 1)); }
};

PerChannel row(const Golden& golden, const std::string& name) { return golden.per_channel<double>(name).cast<Real>(); }

testing::AssertionResult close(const Values& actual, const Values& expected, Real bound) {
  return testing_support::compare_detail::compare(
      actual, expected, [&](Index i, Index c) { return bound * std::max(Real(1), std::abs(expected(i, c))); });
}

testing::AssertionResult close(const Eigen::ArrayXd& actual, const PerChannel& expected, Real bound) {
  return close(Values(actual.cast<Real>().transpose()), Values(expected.transpose()), bound);
}

/// Trains a layer on the three batches of a file and infers on the fourth; calls each(step, x, y) and at last
/// after(running, x, y).
template <class Tensor, class Layout, class Each, class After>
void run(const Golden& golden, bn::Options options, const Each& each, const After& after) {
  constexpr int axis = Layout::template axis<int(Tensor::NumDimensions)>();
  options.channels = golden.per_channel<double>("gamma").size();
  bn::BatchNorm<double, Layout> layer(options);
  layer.affine().gamma = golden.per_channel<double>("gamma");
  layer.affine().beta = golden.per_channel<double>("beta");
  for (int step = 0; step < 3; ++step) {
    const Tensor x = golden.tensor<Tensor>("x" + std::to_string(step));
    Tensor y;
    layer.forward(x, y);
    each(step, testing_support::values_of(x, axis), testing_support::values_of(y, axis));
  }
  const Tensor x = golden.tensor<Tensor>("test");
  const Tensor y = layer.infer(x);
  after(layer.running(), testing_support::values_of(x, axis), testing_support::values_of(y, axis));
}

/// What `name` has recorded in a file.
template <class Tensor, class Layout>
void compare_with_recorded(const Golden& golden, const std::string& name, const bn::Options& options, Real bound) {
  SCOPED_TRACE(name);
  const auto recorded = [&](const std::string& key) {
    return testing_support::values_of(golden.tensor<Tensor>(name + "." + key), 1);
  };
  run<Tensor, Layout>(
      golden, options,
      [&](int step, const Values&, const Values& y) {
        EXPECT_TRUE(close(y, recorded("y" + std::to_string(step)), bound)) << "step " << step;
      },
      [&](const bn::RunningStatistics& running, const Values&, const Values& y) {
        EXPECT_TRUE(close(running.mean, row(golden, name + ".running_mean"), bound));
        EXPECT_TRUE(close(running.variance, row(golden, name + ".running_variance"), bound));
        EXPECT_TRUE(close(y, recorded("inferred"), bound));
      });
}

void compare_with_recorded(const std::string& name, const bn::Options& options, Real bound) {
  using Matrix = Eigen::Tensor<double, 2, Eigen::RowMajor>;
  using Images = Eigen::Tensor<double, 4, Eigen::RowMajor>;
  compare_with_recorded<Matrix, bn::samples_in_rows>(Golden("presets_2d"), name, options, bound);
  compare_with_recorded<Images, bn::channel_first>(Golden("presets_nchw"), name, options, bound);
}

/// What a framework publishes: its epsilon, and update(kept, batch). The bound is that of the averages.
template <class Update>
void compare_with_published(const bn::Options& options, Real epsilon, const Update& update, Real bound = exactly) {
  using Images = Eigen::Tensor<double, 4, Eigen::RowMajor>;
  const Golden golden("presets_nchw");
  const PerChannel gamma = row(golden, "gamma"), beta = row(golden, "beta");
  Kept kept{PerChannel::Zero(gamma.size()), PerChannel::Ones(gamma.size())};
  run<Images, bn::channel_first>(
      golden, options,
      [&](int step, const Values& x, const Values& y) {
        const auto expected = testing_support::reference::forward(x, gamma, beta, epsilon);
        EXPECT_TRUE(close(y, expected.y, exactly)) << "step " << step;
        update(kept, Batch{step, Real(x.rows()), expected.mean, expected.variance});
      },
      [&](const bn::RunningStatistics& running, const Values& x, const Values& y) {
        EXPECT_TRUE(close(running.mean, kept.mean, bound));
        EXPECT_TRUE(close(running.variance, kept.variance, bound));
        const auto expected = testing_support::reference::normalize(x, gamma, beta, kept.mean, kept.variance, epsilon);
        EXPECT_TRUE(close(y, expected.y, bound));
      });
}

void blend(Kept& kept, Real old_weight, Real new_weight, const PerChannel& mean, const PerChannel& variance) {
  kept.mean = old_weight * kept.mean + new_weight * mean;
  kept.variance = old_weight * kept.variance + new_weight * variance;
}

/// What a layer makes of one value per channel after a batch of two, whose running statistics remain.
Eigen::MatrixXd of_a_single_value(const bn::Options& options) {
  bn::BatchNorm<double> layer(options);
  layer.affine().beta << 3, 4;
  Eigen::MatrixXd x(2, 2), y, y_of_one;
  x << 1, 2, 5, 10;
  layer.forward(x, y);
  const bn::RunningStatistics before = layer.running();
  layer.forward(x.topRows(1), y_of_one);
  EXPECT_TRUE((layer.running().mean == before.mean && layer.running().variance == before.variance).all());
  EXPECT_EQ(layer.running().skipped, 1);
  return y_of_one;
}

TEST(Presets, PyTorchComputesWhatItRecorded) {
  compare_with_recorded("pytorch", presets::pytorch(1), exactly);
  bn::Options options = presets::pytorch(1);
  options.averaging = bn::cumulative();
  compare_with_recorded("pytorch_cumulative", options, exactly);
}

TEST(Presets, PyTorchWithTheOptionsOfANetworkComputesWhatItRecorded) {
  bn::Options options = presets::pytorch(1);
  options.epsilon = 1e-3;
  options.averaging = bn::exponential(0.01);
  compare_with_recorded("mobilenet_v3", options, exactly);
}

// flax begins with a variance of 1 in float, and its first product with 0.99 in float errs by half a unit in the last
// place, 3e-8, of which two more steps leave nearly all.
TEST(Presets, FlaxComputesWhatItRecorded) { compare_with_recorded("flax", presets::flax(1), 3e-8L); }

// 1 - 0.9f is 0.1 and 2.4e-7 of it: as much more of each batch is in the recorded averages. With the attributes as
// floats nothing is left.
TEST(Presets, OnnxComputesWhatItRecorded) {
  bn::Options options = presets::onnx(1);
  compare_with_recorded("onnx", options, 3e-7L);
  options.epsilon = double(1e-5f);
  options.averaging = bn::exponential_decay(double(0.9f));
  compare_with_recorded("onnx", options, exactly);
}

TEST(Presets, PyTorchIsAsPublished) {
  compare_with_published(presets::pytorch(1), 1e-5L,
                         [](Kept& kept, const Batch& batch) { blend(kept, 0.9L, 0.1L, batch.mean, batch.unbiased()); });
}

TEST(Presets, KerasIsAsPublished) {
  compare_with_published(presets::keras(1), 1e-3L,
                         [](Kept& kept, const Batch& batch) { blend(kept, 0.99L, 0.01L, batch.mean, batch.variance); });
}

// By default the operation averages nothing: its callers do.
TEST(Presets, TensorFlowsFusedOperationIsAsPublished) {
  compare_with_published(presets::tensorflow_fused(1), 1e-4L, [](Kept& kept, const Batch& batch) {
    kept = {batch.mean, batch.unbiased()};
  });
}

TEST(Presets, TensorFlowsFusedOperationIsAsPublishedInKeras2) {
  bn::Options options = presets::keras(1);
  options.running_variance = bn::RunningVariance::unbiased;
  compare_with_published(
      options, 1e-3L, [](Kept& kept, const Batch& batch) { blend(kept, 0.99L, 0.01L, batch.mean, batch.unbiased()); });
}

TEST(Presets, OnnxIsAsPublished) {
  compare_with_published(presets::onnx(1), 1e-5L,
                         [](Kept& kept, const Batch& batch) { blend(kept, 0.9L, 0.1L, batch.mean, batch.variance); });
}

TEST(Presets, FlaxIsAsPublished) {
  compare_with_published(presets::flax(1), 1e-5L,
                         [](Kept& kept, const Batch& batch) { blend(kept, 0.99L, 0.01L, batch.mean, batch.variance); });
}

// As Caffe keeps it: sums that begin at 0, and the sum of the weights to divide them by. 0.999 and its square are
// rounded by 1.1e-16 at most, which is 1.1e-13 of 1 - 0.999 and half of that of 1 - 0.999^2: the weight of the second
// batch, 1/2, errs by 2.8e-14, times a distance between batches of at most twice their average.
TEST(Presets, CaffeIsAsPublished) {
  const Real f = 0.999L;
  PerChannel blob0 = PerChannel::Zero(2), blob1 = PerChannel::Zero(2);
  Real blob2 = 0;
  const auto update = [&](Kept& kept, const Batch& batch) {
    blob0 = f * blob0 + batch.mean;
    blob1 = f * blob1 + batch.unbiased();
    blob2 = f * blob2 + 1;
    kept = {blob0 / blob2, blob1 / blob2};
  };
  compare_with_published(presets::caffe(1), 1e-5L, update, 1.1e-13L);
}

TEST(Presets, MxnetIsAsPublished) {
  compare_with_published(presets::mxnet(1), 1e-3L,
                         [](Kept& kept, const Batch& batch) { blend(kept, 0.9L, 0.1L, batch.mean, batch.variance); });
}

// As dlib counts: num_updates grows up to the window, after it was used.
TEST(Presets, DlibIsAsPublished) {
  Real num_updates = 0;
  compare_with_published(presets::dlib(1), 1e-4L, [&](Kept& kept, const Batch& batch) {
    const Real decay = 1 - num_updates / (num_updates + 1);
    num_updates = std::min(num_updates + 1, Real(100));
    blend(kept, 1 - decay, decay, batch.mean, batch.unbiased());
  });
  for (int batches = 0; batches < 3; ++batches) EXPECT_NE(presets::dlib(1).averaging.weight(batches), 1.0 / 101);
  EXPECT_EQ(presets::dlib(1).averaging.weight(99), 1.0 / 100);
  EXPECT_EQ(presets::dlib(1).averaging.weight(100), 1.0 / 101);
  EXPECT_EQ(presets::dlib(1).averaging.weight(101), 1.0 / 101);
}

// Algorithm 2, steps 8 to 10, over the three batches.
TEST(Presets, ThePaperIsAsPublished) {
  Kept sums{PerChannel::Zero(2), PerChannel::Zero(2)};
  compare_with_published(presets::paper(1), 1e-5L, [&](Kept& kept, const Batch& batch) {
    sums.mean += batch.mean;
    sums.variance += batch.variance;
    const Real batches = batch.index + 1, m = batch.count;
    kept = {sums.mean / batches, m / (m - 1) * sums.variance / batches};
  });
}

TEST(Presets, PyTorchAndThePaperRefuseASingleValue) {
  for (const bn::Options& options : {presets::pytorch(2), presets::paper(2)}) {
    bn::BatchNorm<double> layer(options);
    Eigen::MatrixXd x = Eigen::MatrixXd::Ones(1, 2), y;
    EXPECT_TRUE(has_parts(message_of([&] { layer.forward(x, y); }), "forward", "at least 2 values"));
  }
}

TEST(Presets, MostGiveASingleValueAVarianceOfZero) {
  for (const bn::Options& options : {presets::keras(2), presets::tensorflow_fused(2), presets::onnx(2),
                                     presets::flax(2), presets::caffe(2), presets::mxnet(2)}) {
    EXPECT_EQ(of_a_single_value(options), (Eigen::MatrixXd(1, 2) << 3, 4).finished());
  }
}

// Its first batch has all the weight: means 3 and 6, variances 8 and 32.
TEST(Presets, DlibInfersOnASingleValue) {
  const Eigen::MatrixXd y = of_a_single_value(presets::dlib(2));
  EXPECT_NEAR(y(0, 0), 3 - 2 / std::sqrt(8 + 1e-4), 1e-15);
  EXPECT_NEAR(y(0, 1), 4 - 4 / std::sqrt(32 + 1e-4), 1e-15);
}

TEST(Presets, HaveWhatTheyDoNotNameFromOptions) {
  const bn::Options standard;
  for (const auto preset : {presets::pytorch, presets::keras, presets::tensorflow_fused, presets::onnx, presets::flax,
                            presets::caffe, presets::mxnet, presets::dlib, presets::paper}) {
    const bn::Options options = preset(7);
    EXPECT_EQ(options.channels, 7);
    EXPECT_EQ(options.non_finite, standard.non_finite);
    EXPECT_TRUE(options.scale && options.shift);
    EXPECT_EQ(options.mode, bn::Mode::training);
    EXPECT_TRUE(has_parts(message_of([&] { bn::BatchNorm<float> layer(preset(0)); }), "channels >= 1, got 0"));
  }
}

TEST(Presets, AreConstants) {
  static_assert(presets::keras(64).channels == 64 && presets::keras(64).epsilon == 1e-3);
  static_assert(presets::dlib(64).averaging == bn::cumulative(100));
}

}  // namespace presets_test
