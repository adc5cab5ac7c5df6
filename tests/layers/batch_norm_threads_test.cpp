// Threads: no bit depends on their number, no call waits for one that never comes, and infer is safe from many.
#define EIGEN_USE_THREADS
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <batchnorm/batchnorm.hpp>
#include <cstring>
#include <functional>
#include <thread>
#include <unsupported/Eigen/CXX11/Tensor>
#include <utility>
#include <vector>

#include "support/caches.hpp"
#include "support/compare.hpp"
#include "support/kernels.hpp"

namespace batch_norm_threads_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::equal_bits;
using testing_support::equal_statistics;

const testing_support::EarlyStreaming early_streaming;

/// Tensors of 5 to 16 MiB, so that several threads are worth waking and the work is cut into several blocks: one for
/// each way in which the kernels walk through memory.
template <class Tensor_, class Layout_, int Variant = 0>
struct Regime {
  using Tensor = Tensor_;
  using Layout = Layout_;
};

using Image = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ColMatrix = Eigen::MatrixXf;

using HalfImage = Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor>;

using Planes = Regime<Image, bn::channel_first>;
Image make(const Planes&) { return Image(16, 40, 81, 80); }
using ShortPlanes = Regime<Image, bn::channel_first, 1>;
Image make(const ShortPlanes&) { return Image(31, 700, 14, 7); }
using ShortHalfPlanes = Regime<HalfImage, bn::channel_first>;
HalfImage make(const ShortHalfPlanes&) { return HalfImage(64, 500, 14, 9); }
using Rows = Regime<RowMatrix, bn::samples_in_rows>;
RowMatrix make(const Rows&) { return RowMatrix(3777, 1100); }  // two groups of channels
using FewWideRows = Regime<RowMatrix, bn::samples_in_rows, 3>;
RowMatrix make(const FewWideRows&) { return RowMatrix(301, 4100); }  // groups of few channels where they are reduced
using FoldedRows = Regime<RowMatrix, bn::samples_in_rows, 1>;
RowMatrix make(const FoldedRows&) { return RowMatrix(300001, 7); }
using OneLongPlane = Regime<RowMatrix, bn::samples_in_rows, 2>;
RowMatrix make(const OneLongPlane&) { return RowMatrix(2100001, 1); }
using Columns = Regime<ColMatrix, bn::samples_in_rows>;
ColMatrix make(const Columns&) { return ColMatrix(62001, 67); }
using FewLongColumns = Regime<ColMatrix, bn::samples_in_rows, 1>;
ColMatrix make(const FewLongColumns&) { return ColMatrix(700001, 3); }

template <class R>
Index channels_of(const R& regime) {
  const auto x = make(regime);
  if constexpr (requires { x.cols(); }) {
    return x.cols();
  } else {
    return x.dimension(1);
  }
}

/// Values between -2 and 2, made quickly: the sanitizers run this too.
template <class Tensor>
void fill(Tensor& tensor, std::uint64_t seed) {
  testing_support::Random random(seed);
  auto* values = tensor.data();
  using Element = std::remove_reference_t<decltype(*values)>;
  for (Index i = 0; i < tensor.size(); ++i)
    values[i] = static_cast<Element>(static_cast<float>(random.bits() >> 40) * 0x1p-22f - 2.0f);
}

template <class Tensor>
testing::AssertionResult same(const Tensor& a, const Tensor& b) {
  if (a.size() != b.size()) return testing::AssertionFailure() << "the sizes differ";
  if (std::memcmp(a.data(), b.data(), std::size_t(a.size()) * sizeof(*a.data())) == 0)
    return testing::AssertionSuccess();
  return equal_bits(a, b);
}

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
    call([&](const bn::Device& device) {
      layer.forward(x, result.y, {.device = device});
      layer.backward(x, dy, result.dx, {.device = device});
      std::as_const(layer).infer(x, result.inferred, {.device = device});
      layer.set_mode(bn::Mode::frozen);
      layer.forward(x, result.frozen_dx, {.device = device});
      layer.backward(x, dy, result.frozen_dx, {.device = device});
    });
    return result;
  }
};

using Regimes = testing::Types<Planes, ShortPlanes, ShortHalfPlanes, Rows, FewWideRows, FoldedRows, OneLongPlane,
                               Columns, FewLongColumns>;
TYPED_TEST_SUITE(NumberOfThreads, Regimes);

TYPED_TEST(NumberOfThreads, ChangesNoBitOfAnyResult) {
  auto x = make(TypeParam{}), dy = make(TypeParam{});
  fill(x, 1);
  fill(dy, 2);
  const auto expected = this->run(x, dy, [](const auto& body) { body({}); });
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
  const auto expected = this->run(x, x, [](const auto& body) { body({}); });
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

/// Counts what is scheduled, and runs it at once.
struct CountingPool {
  int scheduled = 0;
  void Schedule(const std::function<void()>& task) {
    ++scheduled;
    task();
  }
};

struct CountingDevice {
  CountingPool* pool;
  int numThreads() const { return 8; }
  CountingPool* getPool() const { return pool; }
};

/// What a training step and an inference on x schedule, pass by pass: forward, backward, infer.
std::array<int, 3> scheduled_for(const RowMatrix& x) {
  CountingPool pool;
  const CountingDevice device{&pool};
  bn::BatchNorm<float> layer({.channels = x.cols()});
  RowMatrix y, dx;
  std::array<int, 3> counts{};
  layer.forward(x, y, {.device = device});
  counts[0] = std::exchange(pool.scheduled, 0);
  layer.backward(x, x, dx, {.device = device});
  counts[1] = std::exchange(pool.scheduled, 0);
  std::as_const(layer).infer(x, y, {.device = device});
  counts[2] = pool.scheduled;
  return counts;
}

// Rows that share cache lines are written past the caches, but for outputs over their inputs, and where a channel has
// constants too large for float: each line is one thread's alone.
TEST(LinesThatRowsShare, HaveTheBitsOfWritingInPlace) {
  Eigen::ThreadPool pool(3);
  const Eigen::ThreadPoolDevice device(&pool, 3);
  const auto expect_bits_of_in_place = [&]<class Scalar>(Scalar, Index rows, Index columns, float gamma) {
    SCOPED_TRACE(testing::Message() << rows << " x " << columns << " of " << sizeof(Scalar) << " bytes, " << gamma);
    using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    // One element behind the beginning of a line, and one before the end of the memory.
    std::vector<Matrix> memory(4, Matrix(1, rows * columns + 2));
    for (std::size_t k = 0; k < memory.size(); ++k) fill(memory[k], k);
    const auto view = [&](std::size_t k) { return Eigen::Map<Matrix>(memory[k].data() + 1, rows, columns); };
    auto x = view(0), dy = view(1), y = view(2), dx = view(3);
    bn::BatchNorm<float> layer({.channels = columns}), in_place({.channels = columns});
    layer.affine().gamma[columns / 2] = in_place.affine().gamma[columns / 2] = gamma;
    Matrix over_x = x, over_dy = dy;
    const std::vector<Matrix> ends = {memory[2], memory[3]};
    layer.forward(x, y, {.device = device});
    layer.backward(x, dy, dx, {.device = device});
    in_place.forward(over_x, over_x);
    in_place.backward(x, over_dy, over_dy);
    EXPECT_TRUE(equal_bits(Matrix(dx), over_dy));
    EXPECT_TRUE(equal_bits(Matrix(y), over_x));
    std::as_const(layer).infer(x, y, {.device = device});
    over_x = x;
    std::as_const(in_place).infer(over_x, over_x);
    EXPECT_TRUE(equal_bits(Matrix(y), over_x));
    for (const auto k : {std::size_t(2), std::size_t(3)}) {
      EXPECT_EQ(memory[k](0, 0), ends[k - 2](0, 0));
      EXPECT_EQ(memory[k](0, rows * columns + 1), ends[k - 2](0, rows * columns + 1));
    }
  };
  for (const float gamma : {1.0f, 1e35f}) {
    expect_bits_of_in_place(1.0f, 1200, 1030, gamma);
    expect_bits_of_in_place(1.0f, 1200, 1024, gamma);
    expect_bits_of_in_place(1.0f, 20001, 65, gamma);
    expect_bits_of_in_place(Eigen::half(1), 2100, 1100, gamma);
  }
}

// A sleeping thread takes longer to wake than 2 MiB take to move.
TEST(PoolDevice, IsLeftAloneWhereThereIsLittleMemoryToMove) {
  EXPECT_EQ(scheduled_for(RowMatrix::Random(60, 100)), (std::array{0, 0, 0}));
  EXPECT_EQ(scheduled_for(RowMatrix::Random(400, 600)), (std::array{0, 0, 0}));  // 0.96 MB a tensor, read as one block
}

TEST(PoolDevice, IsAskedForAThreadForEvery512KiB) {
  // 3 MiB a tensor, on eight threads. Forward: 3 to read, 6 to read and write; backward: 6, and 9; inference: 6.
  EXPECT_EQ(scheduled_for(RowMatrix::Random(768, 1024)), (std::array{5 + 7, 7 + 7, 7}));
}

TEST(DefaultDevice, GivesTheBitsOfACallWithoutADevice) {
  RowMatrix x = RowMatrix::Random(60, 100), dy = RowMatrix::Random(60, 100), y, dx, other_y, other_dx;
  bn::BatchNorm<float> layer({.channels = 100}), other({.channels = 100});
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  const Eigen::DefaultDevice device;
  other.forward(x, other_y, {.device = device});
  other.backward(x, dy, other_dx, {.device = device});
  EXPECT_TRUE(equal_bits(other_y, y));
  EXPECT_TRUE(equal_bits(other_dx, dx));
  EXPECT_TRUE(equal_bits(other.infer(x, {.device = device}), layer.infer(x)));
}

TEST(DefaultDevice, IsTakenByEveryFunction) {
  const RowMatrix x = RowMatrix::Random(6, 3), dy = RowMatrix::Random(6, 3);
  RowMatrix y, dx, expected;
  const Eigen::DefaultDevice device;
  const bn::AffineParameters<float> affine(3);
  bn::RunningStatistics running(3);
  bn::Moments moments;
  bn::Gradients<float> gradients;
  bn::GradientSums sums;
  bn::train_forward(x, affine, 1e-5, expected, moments);
  bn::train_forward<bn::samples_in_rows>(x, affine, 1e-5, y, moments, {.device = device});
  EXPECT_TRUE(equal_bits(y, expected));
  bn::batch_moments(x, moments, {.device = device});
  bn::normalize(x, affine, bn::statistics(moments, 1e-5), y, {.device = device});
  EXPECT_TRUE(equal_bits(y, expected));
  bn::backward(x, dy, affine, bn::statistics(moments, 1e-5), expected, gradients);
  bn::backward(x, dy, affine, bn::statistics(moments, 1e-5), dx, gradients, {.device = device});
  EXPECT_TRUE(equal_bits(dx, expected));
  bn::gradient_sums(x, dy, bn::AffineParameters<float>(), bn::statistics(moments, 1e-5), sums, {.device = device});
  bn::gradient_sums(x, dy, affine, bn::statistics(moments, 1e-5), sums, {.device = device});
  bn::input_gradient(x, dy, affine, bn::statistics(moments, 1e-5), sums, dx, {.device = device});
  EXPECT_TRUE(equal_bits(dx, expected));
  bn::normalize(x, affine, bn::statistics(running, 1e-5), expected);
  bn::normalize(x, affine, bn::statistics(running, 1e-5), y, {.device = device});
  EXPECT_TRUE(equal_bits(y, expected));
  bn::backward(x, dy, affine, bn::statistics(running, 1e-5), expected, gradients);
  bn::backward(x, dy, affine, bn::statistics(running, 1e-5), dx, gradients, {.device = device});
  EXPECT_TRUE(equal_bits(dx, expected));
  bn::scale_shift(x, bn::fold(affine, bn::statistics(running, 1e-5)), expected);
  bn::scale_shift(x, bn::fold(affine, bn::statistics(running, 1e-5)), y, {.device = device});
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
  auto x = make(Planes{});
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
      serving.infer(y, y, {.device = device});
      equal += bool(same(y, expected));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(equal, 3);
}

TEST(Training, OfTwoLayersOnOnePoolDoesNotMix) {
  auto x = make(Planes{});
  fill(x, 4);
  using Layer = bn::BatchNorm<float, bn::channel_first>;
  Layer expected({.channels = 40}), first({.channels = 40}), second({.channels = 40});
  Image y = x, y1 = x, y2 = x;
  expected.forward(x, y);
  Eigen::ThreadPool pool(2);
  const Eigen::ThreadPoolDevice device(&pool, 2);
  std::thread other([&] { second.forward(x, y2, {.device = device}); });
  first.forward(x, y1, {.device = device});
  other.join();
  EXPECT_TRUE(same(y1, y));
  EXPECT_TRUE(same(y2, y));
  EXPECT_TRUE(equal_statistics(second.running().variance, expected.running().variance));
}

}  // namespace batch_norm_threads_test
