// Threads: no bit depends on their number, no call waits for one that never comes, and infer is safe from many.
#define EIGEN_USE_THREADS
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/functions/fold_into.hpp>
#include <batchnorm/layers/batch_renorm.hpp>
#include <batchnorm/layers/ghost_batch_norm.hpp>
#include <cstring>
#include <thread>
#include <unsupported/Eigen/CXX11/Tensor>
#include <utility>
#include <vector>

#include "support/caches.hpp"
#include "support/compare.hpp"
#include "support/counting_device.hpp"
#include "support/kernels.hpp"
#include "support/renorm.hpp"

namespace batch_norm_threads_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::CountingDevice;
using testing_support::CountingPool;
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
  if (a.size() == 0 || std::memcmp(a.data(), b.data(), std::size_t(a.size()) * sizeof(*a.data())) == 0)
    return testing::AssertionSuccess();  // nothing has no address
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

/// What a call gives.
struct Results {
  std::vector<RowMatrix> tensors;
  std::vector<Eigen::ArrayXd> by_channel;
};

/// That a call asks for threads, and gives the same bits on every device.
template <class Call>
void expect_the_same_bits(const char* name, const Call& call) {
  SCOPED_TRACE(name);
  const Results expected = call(bn::Device());
  const auto expect_same = [&](const Results& results) {
    for (std::size_t k = 0; k < expected.tensors.size(); ++k)
      EXPECT_TRUE(same(results.tensors[k], expected.tensors[k])) << "tensor " << k;
    for (std::size_t k = 0; k < expected.by_channel.size(); ++k)
      EXPECT_TRUE(same(results.by_channel[k], expected.by_channel[k])) << "statistic " << k;
  };
  expect_same(call(Eigen::DefaultDevice()));
  CountingPool counting;
  expect_same(call(CountingDevice{&counting}));
  EXPECT_GT(counting.scheduled, 0);
  Eigen::ThreadPool pool(3);
  expect_same(call(Eigen::ThreadPoolDevice(&pool, 3)));
}

/// Each of 3 MiB, and a ghost of 600 samples of more than 2: what one block has at most.
struct Batches {
  RowMatrix x{768, 1024}, dy{768, 1024}, residual{768, 1024};
  Batches() {
    fill(x, 1);
    fill(dy, 2);
    fill(residual, 3);
  }
};

template <class Layer>
std::vector<Eigen::ArrayXd> state_of(const Layer& layer) {
  return {layer.running().mean, layer.running().variance, layer.gradients().gamma.template cast<double>(),
          layer.gradients().beta.template cast<double>()};
}

/// The same of a call of a copy of `layer` that gives so many tensors, and of what the copy is then.
template <class Layer, class Call>
void expect_the_same_bits(const char* name, const Layer& layer, std::size_t tensors, const Call& call) {
  expect_the_same_bits(name, [&](const bn::Device& device) {
    Results results{std::vector<RowMatrix>(tensors), {}};
    Layer other = layer;
    call(other, results.tensors, device);
    results.by_channel = state_of(other);
    return results;
  });
}

template <class Layer>
void expect_the_same_bits_of_a_layer(Layer layer) {
  SCOPED_TRACE(layer.describe());
  const Batches data;
  const RowMatrix &x = data.x, &dy = data.dy;
  layer.affine().beta.setConstant(0.25f);
  expect_the_same_bits("forward", layer, 1, [&](Layer& other, auto& to, const bn::Device& device) {
    other.forward(x, to[0], {.device = device});
  });
  RowMatrix y;
  layer.forward(x, y);
  expect_the_same_bits("backward", layer, 1, [&](Layer& other, auto& to, const bn::Device& device) {
    other.backward(x, dy, to[0], {.device = device});
  });
  expect_the_same_bits("backward_from_output", layer, 1, [&](Layer& other, auto& to, const bn::Device& device) {
    other.backward_from_output(y, dy, to[0], {.device = device});
  });
  expect_the_same_bits("infer", layer, 1, [&](const Layer& other, auto& to, const bn::Device& device) {
    to[0] = other.infer(x, {.device = device});
  });
  expect_the_same_bits("recalibrate", layer, 0, [&](Layer& other, auto&, const bn::Device& device) {
    bn::recalibrate(other, std::array{x, dy}, {.device = device});
  });
}

template <class Layer>
void expect_the_same_bits_with_a_residual(Layer layer) {
  SCOPED_TRACE(layer.describe());
  const Batches data;
  const RowMatrix &x = data.x, &dy = data.dy, &residual = data.residual;
  expect_the_same_bits("forward", layer, 1, [&](Layer& other, auto& to, const bn::Device& device) {
    other.forward(x, residual, to[0], {.device = device});
  });
  RowMatrix y;
  layer.forward(x, residual, y);
  expect_the_same_bits("backward", layer, 2, [&](Layer& other, auto& to, const bn::Device& device) {
    other.backward(x, residual, dy, to[0], to[1], {.device = device});
  });
  expect_the_same_bits("infer", layer, 1, [&](const Layer& other, auto& to, const bn::Device& device) {
    other.infer(x, residual, to[0], {.device = device});
  });
}

template <class Activation>
using RowLayer = bn::BatchNorm<float, bn::samples_in_rows, Activation>;
template <class Activation>
using RowGhosts = bn::GhostBatchNorm<float, bn::samples_in_rows, Activation>;
template <class Activation>
using RowRenorm = bn::BatchRenorm<float, bn::samples_in_rows, Activation>;

TEST(EveryDevice, GivesTheSameBitsOfEveryLayer) {
  expect_the_same_bits_of_a_layer(RowLayer<bn::leaky_relu>({.channels = 1024}));
  expect_the_same_bits_of_a_layer(RowGhosts<bn::leaky_relu>({.channels = 1024}, {.samples = 600}));
  expect_the_same_bits_of_a_layer(RowRenorm<bn::leaky_relu>({.channels = 1024}, testing_support::within(1.1, 0.01)));
}

TEST(EveryDevice, GivesTheSameBitsOfEveryLayerWithAResidual) {
  expect_the_same_bits_with_a_residual(RowLayer<bn::add_relu>({.channels = 1024}));
  expect_the_same_bits_with_a_residual(RowGhosts<bn::add_relu>({.channels = 1024}, {.samples = 600}));
  expect_the_same_bits_with_a_residual(RowRenorm<bn::add_relu>({.channels = 1024}, testing_support::within(1.1, 0.01)));
}

// But for the derivatives, which derivatives_test has.
TEST(EveryDevice, GivesTheSameBitsOfEveryFunction) {
  const Batches data;
  const RowMatrix &x = data.x, &dy = data.dy, &residual = data.residual;
  bn::AffineParameters<float> affine(1024);
  affine.beta.setConstant(0.25f);
  RowMatrix y;
  bn::Moments batch;
  bn::train_forward<bn::samples_in_rows, bn::leaky_relu>(x, affine, 1e-5, y, batch);
  const bn::Statistics statistics = bn::statistics(batch, 1e-5);
  bn::RunningStatistics running(1024);
  running.update(batch, bn::exponential(0.5));
  bn::GradientSums of_batch;
  bn::gradient_sums(x, dy, affine, statistics, of_batch);

  // A call that gives so many tensors, and moments, sums or gradients.
  const auto expect = [&](const char* name, std::size_t tensors, const auto& call) {
    expect_the_same_bits(name, [&](const bn::Device& device) {
      Results results{std::vector<RowMatrix>(tensors), {}};
      bn::Moments moments;
      bn::GradientSums sums;
      bn::Gradients<float> gradients;
      call(device, results.tensors, moments, sums, gradients);
      results.by_channel = {
          moments.mean, moments.m2, sums.dy, sums.dy_x, gradients.gamma.cast<double>(), gradients.beta.cast<double>()};
      return results;
    });
  };
  expect("train_forward", 1, [&](const auto& device, auto& to, auto& moments, auto&, auto&) {
    bn::train_forward(x, affine, 1e-5, to[0], moments, {.device = device});
  });
  expect("train_forward with a residual", 1, [&](const auto& device, auto& to, auto& moments, auto&, auto&) {
    bn::train_forward(x, residual, affine, 1e-5, to[0], moments, {.device = device});
  });
  expect("batch_moments", 0, [&](const auto& device, auto&, auto& moments, auto&, auto&) {
    bn::batch_moments(x, moments, {.device = device});
  });
  expect("normalize", 1, [&](const auto& device, auto& to, auto&, auto&, auto&) {
    bn::normalize(x, affine, statistics, to[0], {.device = device});
  });
  expect("normalize with a residual", 1, [&](const auto& device, auto& to, auto&, auto&, auto&) {
    bn::normalize(x, residual, affine, statistics, to[0], {.device = device});
  });
  expect("gradient_sums", 0, [&](const auto& device, auto&, auto&, auto& sums, auto&) {
    bn::gradient_sums(x, dy, affine, statistics, sums, {.device = device});
  });
  expect("input_gradient", 1, [&](const auto& device, auto& to, auto&, auto&, auto&) {
    bn::input_gradient(x, dy, affine, statistics, of_batch, to[0], {.device = device});
  });
  for (const auto& of : {statistics, bn::statistics(running, 1e-5)}) {
    expect("backward", 1, [&](const auto& device, auto& to, auto&, auto&, auto& gradients) {
      bn::backward(x, dy, affine, of, to[0], gradients, {.device = device});
    });
    expect("backward with a residual", 2, [&](const auto& device, auto& to, auto&, auto&, auto& gradients) {
      bn::backward(x, residual, dy, affine, of, to[0], to[1], gradients, {.device = device});
    });
  }
  expect("backward_from_output", 1, [&](const auto& device, auto& to, auto&, auto&, auto& gradients) {
    bn::backward_from_output<bn::samples_in_rows, bn::leaky_relu>(y, dy, affine, statistics, to[0], gradients,
                                                                  {.device = device});
  });
  expect("scale_shift", 1, [&](const auto& device, auto& to, auto&, auto&, auto&) {
    bn::scale_shift(x, bn::fold(affine, statistics), to[0], {.device = device});
  });
  const Eigen::ArrayXf no_bias;
  expect_the_same_bits("fold_into", [&](const bn::Device& device) {
    const auto folded = bn::fold_into<bn::channel_axis<1>>(x, no_bias, affine, running, 1e-5, {.device = device});
    return Results{{folded.weights}, {folded.bias.cast<double>()}};
  });
  expect_the_same_bits("fold_into_next", [&](const bn::Device& device) {
    const auto folded = bn::fold_into_next<bn::channel_axis<0>, bn::channel_axis<1>>(x, no_bias, affine, running, 1e-5,
                                                                                     {.device = device});
    return Results{{folded.weights}, {folded.bias.cast<double>()}};
  });
  expect_the_same_bits("fold_difference", [&](const bn::Device& device) {
    return Results{{}, {bn::fold_difference(x, y, {.device = device}).by_channel}};
  });
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
