// expect: batchnorm: a thread pool is not a device: make one of it, Eigen::ThreadPoolDevice device\(&pool, threads\)
#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(Eigen::ThreadPool& pool, const bn::AffineParameters<float>& affine, const bn::Statistics& statistics,
             bn::Moments& moments, bn::GradientSums& sums, bn::Gradients<float>& gradients, const Eigen::MatrixXf& x,
             const Eigen::MatrixXf& dy, Eigen::MatrixXf& y, Eigen::MatrixXf& dx) {
  bn::train_forward(x, affine, 1e-5, y, moments, {.device = pool});
  bn::train_forward<bn::samples_in_rows, bn::relu>(x, affine, 1e-5, y, moments, {.device = pool});
  bn::train_forward(x, dy, affine, 1e-5, y, moments, {.device = pool});
  bn::batch_moments(x, moments, {.device = pool});
  bn::normalize(x, affine, statistics, y, {.device = pool});
  bn::gradient_sums(x, dy, affine, statistics, sums, {.device = pool});
  bn::input_gradient(x, dy, affine, statistics, sums, dx, {.device = pool});
  bn::backward(x, dy, affine, statistics, dx, gradients, {.device = pool});
  bn::backward(x, y, dy, affine, statistics, dx, y, gradients, {.device = pool});
  bn::backward_from_output(y, dy, affine, statistics, dx, gradients, {.device = pool});
  bn::scale_shift(x, bn::fold(affine, statistics), y, {.device = pool});
}
