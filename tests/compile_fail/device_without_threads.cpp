// expect: batchnorm: Eigen::ThreadPoolDevice has no members here: define EIGEN_USE_THREADS before the first
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

void refused(const Eigen::ThreadPoolDevice& device, batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x,
             Eigen::MatrixXf& y) {
  norm.forward(x, y, {.device = device});
}
