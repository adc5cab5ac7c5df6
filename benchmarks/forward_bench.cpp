// Training forward and inference, beside a copy of the same tensor and beside the loops one would write by hand.
//
// Every row counts one read of x and one write of y, whatever it really moves, so that the rates compare as times do:
// half the rate of the copy is twice its time. One thread. The shape is [samples, channels, plane] or, with the channels
// last, [samples, plane, channels]; plane 1 is the output of a dense layer.
#include <benchmark/benchmark.h>

#include <batchnorm/batchnorm.hpp>
#include <concepts>
#include <cstring>
#include <unsupported/Eigen/CXX11/Tensor>

namespace bn = batchnorm;
using Eigen::Index;
using Tensor = Eigen::Tensor<float, 3, Eigen::RowMajor>;

namespace {

/// x and y of the shape a benchmark was asked for.
template <class Layout>
struct Problem {
  Index samples, channels, plane;
  Tensor x, y;

  explicit Problem(const benchmark::State& state)
      : samples(state.range(0)), channels(state.range(1)), plane(state.range(2)) {
    if constexpr (std::same_as<Layout, bn::channel_first>) {
      x.resize(samples, channels, plane);
    } else {
      x.resize(samples, plane, channels);
    }
    x.setRandom();
    y.resize(x.dimensions());
    y.setZero();  // touches the pages before the clock runs
  }

  void count_bytes(benchmark::State& state) const {
    state.SetBytesProcessed(state.iterations() * x.size() * Index(2 * sizeof(float)));
  }
};

template <class Layout>
void copy(benchmark::State& state) {
  Problem<Layout> problem(state);
  for (auto _ : state) {
    std::memcpy(problem.y.data(), problem.x.data(), static_cast<std::size_t>(problem.x.size()) * sizeof(float));
    benchmark::ClobberMemory();
  }
  problem.count_bytes(state);
}

/// Calls visit(channel, index) for every element, in memory order.
template <class Layout, class Visit>
void for_each_element(const Problem<Layout>& p, const Visit& visit) {
  Index index = 0;
  for (Index n = 0; n < p.samples; ++n) {
    if constexpr (std::same_as<Layout, bn::channel_first>) {
      for (Index c = 0; c < p.channels; ++c) {
        for (Index i = 0; i < p.plane; ++i) visit(c, index++);
      }
    } else {
      for (Index i = 0; i < p.plane; ++i) {
        for (Index c = 0; c < p.channels; ++c) visit(c, index++);
      }
    }
  }
}

/// Mean, then variance, then output, as the formulas read: three walks in memory order.
template <class Layout>
void hand_loops(benchmark::State& state) {
  Problem<Layout> problem(state);
  Eigen::ArrayXf mean(problem.channels), inv_std(problem.channels);
  const float count = static_cast<float>(problem.samples * problem.plane);
  for (auto _ : state) {
    const float* x = problem.x.data();
    float* y = problem.y.data();
    float* m = mean.data();
    float* s = inv_std.data();
    mean.setZero();
    for_each_element(problem, [=](Index c, Index k) { m[c] += x[k]; });
    mean /= count;
    inv_std.setZero();
    for_each_element(problem, [=](Index c, Index k) { s[c] += (x[k] - m[c]) * (x[k] - m[c]); });
    inv_std = (inv_std / count + 1e-5F).rsqrt();
    for_each_element(problem, [=](Index c, Index k) { y[k] = (x[k] - m[c]) * s[c]; });
    benchmark::ClobberMemory();
  }
  problem.count_bytes(state);
}

template <class Layout>
void train_forward(benchmark::State& state) {
  Problem<Layout> problem(state);
  const bn::Affine<float> affine(problem.channels);
  bn::Moments<float> moments;
  for (auto _ : state) {
    bn::train_forward<Layout>(problem.x, affine, 1e-5, problem.y, moments);
    benchmark::ClobberMemory();
  }
  problem.count_bytes(state);
}

template <class Layout>
void infer(benchmark::State& state) {
  Problem<Layout> problem(state);
  const bn::BatchNorm<float, Layout> norm({.channels = problem.channels});
  for (auto _ : state) {
    norm.infer(problem.x, problem.y);
    benchmark::ClobberMemory();
  }
  problem.count_bytes(state);
}

void shapes(benchmark::internal::Benchmark* row) {
  row->ArgNames({"samples", "channels", "plane"})->UseRealTime();
  row->Args({60, 100, 1});       // the paper's MNIST network
  row->Args({4096, 1024, 1});    // a wide dense layer: 16 MiB
  row->Args({32, 64, 56 * 56});  // the first stage of ResNet-50: 25 MB
  row->Args({32, 512, 7 * 7});   // its last stage: 3.2 MB
}

BENCHMARK(copy<bn::channel_last>)->Apply(shapes);
BENCHMARK(hand_loops<bn::channel_last>)->Apply(shapes);
BENCHMARK(train_forward<bn::channel_last>)->Apply(shapes);
BENCHMARK(infer<bn::channel_last>)->Apply(shapes);
BENCHMARK(hand_loops<bn::channel_first>)->Apply(shapes);
BENCHMARK(train_forward<bn::channel_first>)->Apply(shapes);
BENCHMARK(infer<bn::channel_first>)->Apply(shapes);

}  // namespace
