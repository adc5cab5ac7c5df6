// Threads: no bit depends on their number, no call waits for one that never comes, and infer is safe from many.
#define EIGEN_USE_THREADS
#include <gtest/gtest.h>

#include <atomic>
#include <batchnorm/batchnorm.hpp>
#include <cstring>
#include <thread>
#include <unsupported/Eigen/CXX11/Tensor>
#include <utility>
#include <vector>

#include "support/compare.hpp"

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::equal_bits;
using testing_support::equal_statistics;

namespace {

/// Tensors of about 16 MiB, so that several threads are worth waking and the work is cut into several blocks.
template <class Tensor_, class Layout_>
struct Regime {
  using Tensor = Tensor_;
  using Layout = Layout_;
};

using Image = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ColMatrix = Eigen::MatrixXf;

Index channels_of(const Regime<Image, bn::channel_first>&) { return 40; }
Image make(const Regime<Image, bn::channel_first>&) { return Image(16, 40, 81, 80); }
Index channels_of(const Regime<RowMatrix, bn::samples_in_rows>&) { return 1100; }  // two groups of channels
RowMatrix make(const Regime<RowMatrix, bn::samples_in_rows>&) { return RowMatrix(3777, 1100); }
Index channels_of(const Regime<ColMatrix, bn::samples_in_rows>&) { return 67; }
ColMatrix make(const Regime<ColMatrix, bn::samples_in_rows>&) { return ColMatrix(62001, 67); }

/// Values between -2 and 2, made quickly: the sanitizers run this too.
template <class Tensor>
void fill(Tensor& tensor, std::uint64_t seed) {
  testing_support::Random random(seed);
  float* values = tensor.data();
  for (Index i = 0; i < tensor.size(); ++i) values[i] = static_cast<float>(random.bits() >> 40) * 0x1p-22f - 2.0f;
}

template <class Tensor>
testing::AssertionResult same(const Tensor& a, const Tensor& b) {
  if (a.size() != b.size()) return testing::AssertionFailure() << "the sizes differ";
  const Eigen::Map<const Eigen::ArrayXf> left(a.data(), a.size()), right(b.data(), b.size());
  if (std::memcmp(left.data(), right.data(), std::size_t(a.size()) * sizeof(float)) == 0)
    return testing::AssertionSuccess();
  return equal_bits(left.matrix(), right.matrix());
}

}  // namespace

template <class R>
class NumberOfThreads : public testing::Test {
 protected:
  using Tensor = typename R::Tensor;
  using Layer = bn::BatchNorm<float, typename R::Layout, bn::relu>;

  struct Result {
    Tensor y, dx, inferred, frozen_dx;
    Layer layer;
  };

  /// A training step, then inference and a frozen step.
  template <class Call>
  static Result run(const Tensor& x, const Tensor& dy, const Call& call) {
    Result result{x, x, x, x, Layer({.channels = channels_of(R{})})};
    Layer& layer = result.layer;
    layer.affine().beta.setConstant(0.25f);
    call([&](const auto&... device) {
      layer.forward(device..., x, result.y);
      layer.backward(device..., x, dy, result.dx);
      std::as_const(layer).infer(device..., x, result.inferred);
      layer.set_mode(bn::Mode::frozen);
      layer.forward(device..., x, result.frozen_dx);
      layer.backward(device..., x, dy, result.frozen_dx);
    });
    return result;
  }
};

using Regimes = testing::Types<Regime<Image, bn::channel_first>, Regime<RowMatrix, bn::samples_in_rows>,
                               Regime<ColMatrix, bn::samples_in_rows>>;
TYPED_TEST_SUITE(NumberOfThreads, Regimes);

TYPED_TEST(NumberOfThreads, ChangesNoBitOfAnyResult) {
  auto x = make(TypeParam{}), dy = make(TypeParam{});
  fill(x, 1);
  fill(dy, 2);
  const auto expected = this->run(x, dy, [](const auto& body) { body(); });
  for (const int threads : {1, 2, 3, 5, 8}) {
    SCOPED_TRACE(testing::Message() << threads << " threads");
    Eigen::ThreadPool pool(threads);
    const Eigen::ThreadPoolDevice device(&pool, threads);
    const auto result = this->run(x, dy, [&](const auto& body) { body(device); });
    EXPECT_TRUE(same(result.y, expected.y));
    EXPECT_TRUE(same(result.dx, expected.dx));
    EXPECT_TRUE(same(result.inferred, expected.inferred));
    EXPECT_TRUE(same(result.frozen_dx, expected.frozen_dx));
    EXPECT_TRUE(equal_statistics(result.layer.running().mean, expected.layer.running().mean));
    EXPECT_TRUE(equal_statistics(result.layer.running().variance, expected.layer.running().variance));
    EXPECT_TRUE(equal_statistics(result.layer.gradients().gamma, expected.layer.gradients().gamma));
    EXPECT_TRUE(equal_statistics(result.layer.gradients().beta, expected.layer.gradients().beta));
  }
}

TYPED_TEST(NumberOfThreads, ChangesNothingWhenTheCallComesFromATaskOfThePool) {
  auto x = make(TypeParam{});
  fill(x, 1);
  const auto expected = this->run(x, x, [](const auto& body) { body(); });
  Eigen::ThreadPool pool(1);  // its only thread makes the call: waiting for another would be for ever
  const Eigen::ThreadPoolDevice device(&pool, 4);
  Eigen::Notification done;
  pool.Schedule([&] {
    const auto result = this->run(x, x, [&](const auto& body) { body(device); });
    EXPECT_TRUE(same(result.y, expected.y));
    EXPECT_TRUE(same(result.dx, expected.dx));
    done.Notify();
  });
  done.Wait();
}

TEST(DefaultDevice, GivesTheBitsOfACallWithoutADevice) {
  RowMatrix x = RowMatrix::Random(60, 100), dy = RowMatrix::Random(60, 100), y, dx, other_y, other_dx;
  bn::BatchNorm<float> layer({.channels = 100}), other({.channels = 100});
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  const Eigen::DefaultDevice device;
  other.forward(device, x, other_y);
  other.backward(device, x, dy, other_dx);
  EXPECT_TRUE(equal_bits(other_y, y));
  EXPECT_TRUE(equal_bits(other_dx, dx));
  EXPECT_TRUE(equal_bits(other.infer(device, x), layer.infer(x)));
}

TEST(DefaultDevice, IsTakenByEveryFunction) {
  const RowMatrix x = RowMatrix::Random(6, 3), dy = RowMatrix::Random(6, 3);
  RowMatrix y, dx, expected;
  const Eigen::DefaultDevice device;
  const bn::Affine<float> affine(3);
  bn::RunningStatistics<float> running(3);
  bn::Moments<float> moments;
  bn::Gradients<float> gradients;
  bn::GradientSums sums;
  bn::train_forward(x, affine, 1e-5, expected, moments);
  bn::train_forward(device, x, affine, 1e-5, y, moments);
  EXPECT_TRUE(equal_bits(y, expected));
  bn::batch_moments(device, x, moments);
  bn::normalise(device, x, affine, moments, 1e-5, y);
  EXPECT_TRUE(equal_bits(y, expected));
  bn::train_backward(x, dy, affine, moments, 1e-5, expected, gradients);
  bn::train_backward(device, x, dy, affine, moments, 1e-5, dx, gradients);
  EXPECT_TRUE(equal_bits(dx, expected));
  bn::gradient_sums(device, x, dy, moments, sums);
  bn::gradient_sums(device, x, dy, affine, moments, 1e-5, sums);
  bn::input_gradient(device, x, dy, affine, moments, 1e-5, sums, dx);
  EXPECT_TRUE(equal_bits(dx, expected));
  bn::normalise(x, affine, running, 1e-5, expected);
  bn::normalise(device, x, affine, running, 1e-5, y);
  EXPECT_TRUE(equal_bits(y, expected));
  bn::frozen_backward(x, dy, affine, running, 1e-5, expected, gradients);
  bn::frozen_backward(device, x, dy, affine, running, 1e-5, dx, gradients);
  EXPECT_TRUE(equal_bits(dx, expected));
  bn::scale_shift(x, bn::fold(affine, running, 1e-5), expected);
  bn::scale_shift(device, x, bn::fold(affine, running, 1e-5), y);
  EXPECT_TRUE(equal_bits(y, expected));
}

TEST(Inference, IsSafeFromManyThreadsAtOnce) {
  bn::BatchNorm<float> layer({.channels = 50});
  layer.running().mean.setConstant(0.5f);
  const bn::BatchNorm<float>& serving = layer;
  const RowMatrix x = RowMatrix::Random(200, 50);
  const RowMatrix expected = serving.infer(x);
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      RowMatrix y, in_place = x;
      for (int repetition = 0; repetition < 20; ++repetition) {
        serving.infer(x, y);
        equal += bool(equal_bits(y, expected));
      }
      serving.infer(in_place, in_place);
      equal += bool(equal_bits(in_place, expected));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(equal, 4 * 21);
}

TEST(Inference, IsSafeFromManyThreadsThatShareAPool) {
  auto x = make(Regime<Image, bn::channel_first>{});
  fill(x, 3);
  const bn::BatchNorm<float, bn::channel_first> serving({.channels = 40});
  const Image expected = serving.infer(x);
  Eigen::ThreadPool pool(3);
  const Eigen::ThreadPoolDevice device(&pool, 3);
  std::atomic<int> equal{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      Image y = x;
      serving.infer(device, y, y);
      equal += bool(same(y, expected));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(equal, 3);
}

TEST(Training, OfTwoLayersOnOnePoolDoesNotMix) {
  auto x = make(Regime<Image, bn::channel_first>{});
  fill(x, 4);
  using Layer = bn::BatchNorm<float, bn::channel_first>;
  Layer expected({.channels = 40}), first({.channels = 40}), second({.channels = 40});
  Image y = x, y1 = x, y2 = x;
  expected.forward(x, y);
  Eigen::ThreadPool pool(2);
  const Eigen::ThreadPoolDevice device(&pool, 2);
  std::thread other([&] { second.forward(device, x, y2); });
  first.forward(device, x, y1);
  other.join();
  EXPECT_TRUE(same(y1, y));
  EXPECT_TRUE(same(y2, y));
  EXPECT_TRUE(equal_statistics(second.running().variance, expected.running().variance));
}
