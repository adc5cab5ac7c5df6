// The sums that training needs, without the writing, beside a plain sum of the same bytes: of x, as batch_moments reads
// it, and of x and dy, as gradient_sums does.

#include "candidates/lines.hpp"
#include "tensors.hpp"

namespace benchmarks {
namespace {

template <class... Tensors>
void read(benchmark::State& state, const Tensors&... tensors) {
  escape(tensors...);
  for (auto _ : state) {
    (benchmark::DoNotOptimize(sum<Prefetch::yes>(tensors.data(), tensors.size())), ...);
    benchmark::ClobberMemory();
  }
}

template <class Storage>
void read_x(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const auto x = random_tensor<Storage>(shape);
  read(state, x);
  report<Storage>(state, shape, 1);
}

template <class Storage>
void batch_moments(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const auto x = random_tensor<Storage>(shape);
  bn::Moments moments(shape.channels);
  escape(moments.mean, moments.m2);
  for (auto _ : state) {
    bn::batch_moments<typename Storage::Layout>(x, moments);
    benchmark::ClobberMemory();
  }
  report<Storage>(state, shape, 1);
}

template <class Storage>
void read_x_and_dy(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const auto x = random_tensor<Storage>(shape), dy = random_tensor<Storage>(shape);
  read(state, x, dy);
  report<Storage>(state, shape, 2);
}

template <class Storage>
void gradient_sums(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const auto x = random_tensor<Storage>(shape), dy = random_tensor<Storage>(shape);
  using Layout = typename Storage::Layout;
  const bn::AffineParameters<float> affine(shape.channels);
  bn::Moments moments;
  bn::batch_moments<Layout>(x, moments);
  const bn::Statistics statistics = bn::statistics(moments, 1e-5);
  bn::GradientSums sums(shape.channels);
  escape(sums.dy, sums.dy_x);
  for (auto _ : state) {
    bn::gradient_sums<Layout>(x, dy, affine, statistics, sums);
    benchmark::ClobberMemory();
  }
  report<Storage>(state, shape, 2);
}

constexpr auto images = [](auto* row) { add_rows(row, sums_images); };
constexpr auto matrices = [](auto* row) { add_rows(row, sums_matrices); };

BENCHMARK(read_x<planes<float>>)->Apply(images);
BENCHMARK(batch_moments<planes<float>>)->Apply(images);
BENCHMARK(batch_moments<rows<float>>)->Apply(images);
BENCHMARK(read_x_and_dy<planes<float>>)->Apply(images);
BENCHMARK(gradient_sums<planes<float>>)->Apply(images);
BENCHMARK(gradient_sums<rows<float>>)->Apply(images);
BENCHMARK(read_x<row_major<float>>)->Apply(matrices);
BENCHMARK(batch_moments<row_major<float>>)->Apply(matrices);
BENCHMARK(read_x_and_dy<row_major<float>>)->Apply(matrices);
BENCHMARK(gradient_sums<row_major<float>>)->Apply(matrices);

}  // namespace
}  // namespace benchmarks
