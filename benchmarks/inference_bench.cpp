// Inference. Bytes per second count x read once and y written once, as the Cost line of normalise does.

#include "tensors.hpp"

namespace benchmarks {
namespace {

template <class Storage, class Activation>
void normalise(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const auto x = random_tensor<Storage>(shape);
  auto y = random_tensor<Storage>(shape);
  using Parameter = bn::statistics_t<typename Storage::Scalar>;
  const bn::AffineParameters<Parameter> affine(shape.channels);
  const bn::RunningStatistics running(shape.channels);
  for (auto _ : state) {
    bn::normalise<typename Storage::Layout>(x, affine, running, 1e-5, y, Activation{});
    benchmark::ClobberMemory();
  }
  report<Storage>(state, shape, 2);
}

BENCHMARK(normalise<planes<float>, bn::activations::identity>)->Apply(all_images);
BENCHMARK(normalise<planes<float>, bn::relu>)->Apply(all_images);
BENCHMARK(normalise<rows<float>, bn::activations::identity>)->Apply(all_images);
BENCHMARK(normalise<rows<float>, bn::relu>)->Apply(all_images);
BENCHMARK(normalise<row_major<float>, bn::activations::identity>)->Apply(all_matrices);
BENCHMARK(normalise<row_major<float>, bn::relu>)->Apply(all_matrices);
BENCHMARK(normalise<column_major<float>, bn::activations::identity>)->Apply(all_matrices);
BENCHMARK(normalise<column_major<float>, bn::relu>)->Apply(all_matrices);
BENCHMARK(normalise<planes<double>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalise<rows<double>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalise<row_major<double>, bn::activations::identity>)->Apply(one_matrix);
BENCHMARK(normalise<planes<Eigen::half>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalise<rows<Eigen::half>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalise<row_major<Eigen::half>, bn::activations::identity>)->Apply(one_matrix);
BENCHMARK(normalise<planes<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalise<rows<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(normalise<row_major<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_matrix);

}  // namespace
}  // namespace benchmarks
