// expect: batchnorm: runs on the CPU only
#include <batchnorm/batchnorm.hpp>

void refused(const Eigen::GpuDevice& device, batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x,
             Eigen::MatrixXf& y) {
  norm.forward(x, y, {.device = device});
}
