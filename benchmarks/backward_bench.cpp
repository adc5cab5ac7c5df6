// Training backward. Bytes per second count x and dy read twice and dx written once, as the Cost line of backward
// does.

#include "tensors.hpp"

namespace benchmarks {
namespace {

template <class Storage, class Activation, class Weighting = unweighted>
void backward(benchmark::State& state) {
  const Shape shape = shape_of(state);
  const auto x = random_tensor<Storage>(shape), dy = random_tensor<Storage>(shape);
  auto dx = random_tensor<Storage>(shape);
  using Layout = typename Storage::Layout;
  using Parameter = bn::statistics_t<typename Storage::Scalar>;
  const bn::AffineParameters<Parameter> affine(shape.channels);
  bn::Gradients<Parameter> gradients(shape.channels);
  const Weighting weighting(shape);
  bn::Moments moments;
  bn::batch_moments<Layout>(x, moments, weighting.options());
  const bn::Statistics statistics = bn::statistics(moments, 1e-5);
  const auto options = weighting.template fused_options<Activation>();
  escape(dx, gradients.gamma, gradients.beta);
  for (auto _ : state) {
    bn::backward<Layout, Activation>(x, dy, affine, statistics, dx, gradients, options);
    benchmark::ClobberMemory();
  }
  report<Storage>(state, shape, 5);
}

BENCHMARK(backward<planes<float>, bn::activations::identity, masked>)->Apply(masked_images);
BENCHMARK(backward<rows<float>, bn::activations::identity, masked>)->Apply(masked_images);
BENCHMARK(backward<planes<float>, bn::activations::identity>)->Apply(all_images);
BENCHMARK(backward<planes<float>, bn::relu>)->Apply(all_images);
BENCHMARK(backward<rows<float>, bn::activations::identity>)->Apply(all_images);
BENCHMARK(backward<rows<float>, bn::relu>)->Apply(all_images);
BENCHMARK(backward<row_major<float>, bn::activations::identity>)->Apply(all_matrices);
BENCHMARK(backward<row_major<float>, bn::relu>)->Apply(all_matrices);
BENCHMARK(backward<column_major<float>, bn::activations::identity>)->Apply(all_matrices);
BENCHMARK(backward<column_major<float>, bn::relu>)->Apply(all_matrices);
BENCHMARK(backward<planes<double>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(backward<rows<double>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(backward<row_major<double>, bn::activations::identity>)->Apply(one_matrix);
BENCHMARK(backward<planes<Eigen::half>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(backward<rows<Eigen::half>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(backward<row_major<Eigen::half>, bn::activations::identity>)->Apply(one_matrix);
BENCHMARK(backward<planes<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(backward<rows<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_image);
BENCHMARK(backward<row_major<Eigen::bfloat16>, bn::activations::identity>)->Apply(one_matrix);

}  // namespace
}  // namespace benchmarks
