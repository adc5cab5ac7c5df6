// Layers of each layout, over matrices and tensors, with threads, and the functions with explicit state.
#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>
#include <iostream>
#include <vector>

namespace bn = batchnorm;

namespace {

/// The functions with explicit state.
template <class Scalar>
void functions() {
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> x(8, 2), y, dx;
  x.setRandom();
  const bn::AffineParameters<Scalar> affine(2);
  bn::Moments moments;
  bn::batch_moments(x, moments);
  bn::RunningStatistics running(2);
  running.update(moments, bn::cumulative());
  const bn::Statistics statistics = bn::statistics(moments, 1e-5);
  bn::normalize(x, affine, statistics, y);
  bn::Gradients<Scalar> gradients;
  bn::backward(x, y, affine, statistics, dx, gradients);
  bn::scale_shift(x, bn::fold(affine, bn::statistics(running, 1e-5)), y);
}

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

  functions<float>();
  functions<double>();
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
