// expect: batchnorm: a thread pool is not a device: make one of it, Eigen::ThreadPoolDevice device\(&pool, threads\)
#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(Eigen::ThreadPool& pool, bn::BatchNorm<float>& norm, bn::Saved<float>& saved, const Eigen::MatrixXf& x,
             const Eigen::MatrixXf& dy, Eigen::MatrixXf& y, Eigen::MatrixXf& dx) {
  norm.forward(pool, x, y);
  norm.forward(pool, x, y, saved);
  norm.backward(pool, x, dy, dx);
  norm.backward(pool, saved, x, dy, dx);
  norm.backward_from_output(pool, y, dy, dx);
  norm.infer(pool, x, y);
  (void)norm.infer(pool, x);
  bn::recalibrate(pool, norm, std::array{x, y});

  bn::BatchNorm<float, bn::samples_in_rows, bn::add_relu> block({.channels = 2});
  block.forward(pool, x, dy, y);
  block.backward(pool, x, y, dy, dx, y);
  block.infer(pool, x, dy, y);
}
