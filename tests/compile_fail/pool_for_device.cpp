// expect: batchnorm: a thread pool is not a device: make one of it, Eigen::ThreadPoolDevice device\(&pool, threads\)
#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(Eigen::ThreadPool& pool, bn::BatchNorm<float>& norm, bn::Saved<float>& saved, const Eigen::MatrixXf& x,
             const Eigen::MatrixXf& dy, Eigen::MatrixXf& y, Eigen::MatrixXf& dx) {
  norm.forward(x, y, {.device = pool});
  norm.forward(x, y, {.device = pool, .saved = &saved});
  norm.backward(x, dy, dx, {.device = pool});
  norm.backward_from_output(y, dy, dx, {.device = pool});
  norm.infer(x, y, {.device = pool});
  (void)norm.infer(x, {.device = pool});
  bn::recalibrate(norm, std::array{x, y}, {.device = pool});

  bn::BatchNorm<float, bn::samples_in_rows, bn::add_relu> block({.channels = 2});
  block.forward(x, dy, y, {.device = pool});
  block.backward(x, y, dy, dx, y, {.device = pool});
  block.infer(x, dy, y, {.device = pool});
}
