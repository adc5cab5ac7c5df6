// Inference. Bytes per second count x read once and y written once, as the Cost line of normalize does.

#include "tensors.hpp"

namespace benchmarks {
namespace {

template <class Storage, class Activation>
void normalize(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const auto x = random_tensor<Storage>(shape);
  auto y = random_tensor<Storage>(shape);
  using Parameter = bn::statistics_t<typename Storage::Scalar>;
  const bn::AffineParameters<Parameter> affine(shape.channels);
  const bn::Statistics statistics = bn::statistics(bn::RunningStatistics(shape.channels), 1e-5);
  escape(y);
  for (auto _ : state) {
    bn::normalize<typename Storage::Layout, Activation>(x, affine, statistics, y);
    benchmark::ClobberMemory();
  }
  report<Storage>(state, shape, 2);
}

BENCHMARK(normalize<planes<float>, bn::activations::identity>)->Apply(all_images);
BENCHMARK(normalize<planes<float>, bn::relu>)->Apply(all_images);
BENCHMARK(normalize<rows<float>, bn::activations::identity>)->Apply(all_images);
BENCHMARK(normalize<rows<float>, bn::relu>)->Apply(all_images);
BENCHMARK(normalize<row_major<float>, bn::activations::identity>)->Apply(all_matrices);
BENCHMARK(normalize<row_major<float>, bn::relu>)->Apply(all_matrices);
BENCHMARK(normalize<column_major<float>, bn::activations::identity>)->Apply(all_matrices);
BENCHMARK(normalize<column_major<float>, bn::relu>)->Apply(all_matrices);
BENCHMARK(normalize<planes<double>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalize<rows<double>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalize<row_major<double>, bn::activations::identity>)->Apply(one_matrix);
BENCHMARK(normalize<planes<Eigen::half>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalize<rows<Eigen::half>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalize<row_major<Eigen::half>, bn::activations::identity>)->Apply(one_matrix);
BENCHMARK(normalize<planes<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalize<rows<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalize<row_major<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_matrix);

}  // namespace
}  // namespace benchmarks
