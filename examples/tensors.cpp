// Tensors on the threads of a pool: a step of training, inference on borrowed memory, and population statistics.
#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>
#include <iostream>

namespace bn = batchnorm;

int main() {
  Eigen::Tensor<float, 4, Eigen::RowMajor> x(8, 16, 14, 14), dy(8, 16, 14, 14), y, dx;  // samples, channels, ...
  x.setRandom();
  dy.setRandom();

  Eigen::ThreadPool pool(2);
  const Eigen::ThreadPoolDevice device(&pool, 2);
  bn::BatchNorm<float, bn::channel_first, bn::relu> norm({.channels = 16, .averaging = bn::exponential(0.05)});
  norm.forward(x, y, {.device = device});
  norm.backward(x, dy, dx, {.device = device});
  norm.for_each_parameter([](bn::Parameter<float> p) { p.value -= 0.1f * p.gradient; });  // gradient descent
  norm.zero_gradients();

  // Inference in place, on memory that belongs to somebody else; const, so many threads may share the layer.
  const bn::BatchNorm<float, bn::channel_first, bn::relu>& trained = norm;
  Eigen::TensorMap<Eigen::Tensor<float, 4, Eigen::RowMajor>> pixels(x.data(), 8, 16, 14, 14);
  trained.infer(pixels, pixels, {.device = device});

  // The statistics of the whole training set for the running average: the paper's Algorithm 2.
  bn::recalibrate(norm, std::vector{x, y}, {.device = device});
  std::cout << norm << "\n";
}
