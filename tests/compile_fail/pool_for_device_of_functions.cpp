// expect: batchnorm: a thread pool is not a device: make one of it, Eigen::ThreadPoolDevice device\(&pool, threads\)
#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(Eigen::ThreadPool& pool, const bn::AffineParameters<float>& affine, bn::RunningStatistics& running,
             bn::Moments& moments, bn::GradientSums& sums, bn::Gradients<float>& gradients, const Eigen::MatrixXf& x,
             const Eigen::MatrixXf& dy, Eigen::MatrixXf& y, Eigen::MatrixXf& dx) {
  bn::train_forward(pool, x, affine, 1e-5, y, moments);
  bn::train_forward(pool, x, affine, 1e-5, y, moments, bn::relu{});
  bn::train_forward(pool, x, dy, affine, 1e-5, y, moments, bn::add_relu{});
  bn::batch_moments(pool, x, moments);
  bn::normalize(pool, x, affine, moments, 1e-5, y);
  bn::normalize(pool, x, affine, running, 1e-5, y, bn::relu{});
  bn::gradient_sums(pool, x, dy, affine, moments, 1e-5, sums, bn::relu{});
  bn::gradient_sums(pool, x, dy, moments, sums);
  bn::input_gradient(pool, x, dy, affine, moments, 1e-5, sums, dx);
  bn::train_backward(pool, x, dy, affine, moments, 1e-5, dx, gradients);
  bn::train_backward(pool, x, y, dy, affine, moments, 1e-5, dx, y, gradients, bn::add_relu{});
  bn::train_backward_from_output(pool, y, dy, affine, moments, 1e-5, dx, gradients);
  bn::frozen_backward(pool, x, dy, affine, running, 1e-5, dx, gradients);
  bn::scale_shift(pool, x, bn::fold(affine, running, 1e-5), y);
}
