#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>
#include <iostream>

namespace bn = batchnorm;

int main() {
  Eigen::ThreadPool pool(2);
  const Eigen::ThreadPoolDevice device(&pool, 2);  // without a device, a call runs on the calling thread

  // A convolution's output, [samples, channels, height, width], with ReLU fused.
  Eigen::Tensor<float, 4, Eigen::RowMajor> x(8, 16, 14, 14), y, dx;
  x.setRandom();
  bn::BatchNorm<float, bn::channel_first, bn::relu> norm({.channels = 16, .averaging = bn::exponential(0.05)});
  norm.forward(x, y, {.device = device});
  norm.backward(x, y, dx, {.device = device});  // y stands in for the gradient of the loss

  // One step of plain gradient descent, without knowing that this is batch normalization.
  norm.for_each_parameter([](bn::Parameter<float> p) { p.value -= 0.1f * p.gradient; });
  norm.zero_gradients();

  // Inference in place, on memory that belongs to somebody else; const, so many threads may share the layer.
  const bn::BatchNorm<float, bn::channel_first, bn::relu>& trained = norm;
  Eigen::TensorMap<Eigen::Tensor<float, 4, Eigen::RowMajor>> pixels(x.data(), 8, 16, 14, 14);
  trained.infer(pixels, pixels, {.device = device});

  // The statistics of the whole training set for the running average: the paper's Algorithm 2.
  bn::recalibrate(norm, std::vector{x, y}, {.device = device});
  std::cout << norm << "\n";
}
