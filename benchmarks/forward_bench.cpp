// Training forward. Bytes per second count x read twice and y written once, as the Cost line of train_forward does; the
// second reading of planes that fit in cache does not reach main memory, so such rows may exceed a copy's rate.

#include "tensors.hpp"

namespace benchmarks {
namespace {

template <class Storage, class Activation, class Weighting = unweighted>
void train_forward(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const auto x = random_tensor<Storage>(shape);
  auto y = random_tensor<Storage>(shape);
  using Parameter = bn::statistics_t<typename Storage::Scalar>;
  const bn::AffineParameters<Parameter> affine(shape.channels);
  const Weighting weighting(shape);
  const auto options = weighting.template fused_options<Activation>();
  bn::Moments moments(shape.channels);
  escape(y, moments.mean, moments.m2);
  for (auto _ : state) {
    bn::train_forward<typename Storage::Layout, Activation>(x, affine, 1e-5, y, moments, options);
    benchmark::ClobberMemory();
  }
  report<Storage>(state, shape, 3);
}

BENCHMARK(train_forward<planes<float>, bn::activations::identity, masked>)->Apply(masked_images);
BENCHMARK(train_forward<rows<float>, bn::activations::identity, masked>)->Apply(masked_images);
BENCHMARK(train_forward<planes<float>, bn::activations::identity>)->Apply(all_images);
BENCHMARK(train_forward<planes<float>, bn::relu>)->Apply(all_images);
BENCHMARK(train_forward<rows<float>, bn::activations::identity>)->Apply(all_images);
BENCHMARK(train_forward<rows<float>, bn::relu>)->Apply(all_images);
BENCHMARK(train_forward<row_major<float>, bn::activations::identity>)->Apply(all_matrices);
BENCHMARK(train_forward<row_major<float>, bn::relu>)->Apply(all_matrices);
BENCHMARK(train_forward<column_major<float>, bn::activations::identity>)->Apply(all_matrices);
BENCHMARK(train_forward<column_major<float>, bn::relu>)->Apply(all_matrices);
BENCHMARK(train_forward<planes<double>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(train_forward<rows<double>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(train_forward<row_major<double>, bn::activations::identity>)->Apply(one_matrix);
BENCHMARK(train_forward<planes<Eigen::half>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(train_forward<rows<Eigen::half>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(train_forward<row_major<Eigen::half>, bn::activations::identity>)->Apply(one_matrix);
BENCHMARK(train_forward<planes<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(train_forward<rows<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(train_forward<row_major<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_matrix);

}  // namespace
}  // namespace benchmarks
