// Layers of each layout, over matrices and tensors, with threads.
#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>
#include <iostream>
#include <vector>

namespace bn = batchnorm;

namespace {

/// The passes of a layer over x's type.
template <class Tensor, class Layer>
void passes(Layer norm, Tensor x, const bn::Device& device) {
  Tensor y, dx;
  x.setRandom();
  norm.forward(x, y, {.device = device});
  norm.backward(x, y, dx, {.device = device});
  norm.infer(x, y, {.device = device});
  norm.zero_gradients();
}

}  // namespace

int main() {
  using Images = Eigen::Tensor<float, 4, Eigen::RowMajor>;
  using HalfImages = Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor>;
  Eigen::ThreadPool pool(2);
  const Eigen::ThreadPoolDevice threads(&pool, 2);
  const bn::FlushDenormals guard;

  passes(bn::BatchNorm<float>({.channels = 2}), Eigen::MatrixXf(8, 2), {});
  passes(bn::BatchNorm<double, bn::samples_in_columns, bn::sigmoid>({.channels = 8}), Eigen::MatrixXd(8, 2), {});
  passes(bn::BatchNorm<float, bn::channel_first, bn::leaky_relu>({.channels = 3}), Images(2, 3, 4, 4), threads);
  passes(bn::BatchNorm<float, bn::channel_last, bn::relu>({.channels = 4}), HalfImages(2, 3, 4, 4), threads);

  bn::BatchNorm<float, bn::channel_first> norm({.channels = 3});
  const Images x(2, 3, 4, 4);
  bn::recalibrate(norm, std::vector{x, x}, {.device = threads});
  norm.for_each_parameter([](bn::Parameter<float> p) { p.value -= 0.1F * p.gradient; });
  std::cout << norm << '\n';
}
