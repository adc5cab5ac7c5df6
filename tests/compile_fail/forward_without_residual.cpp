// expect: batchnorm: the activation takes a residual: forward\(x, residual, y\)
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float, batchnorm::samples_in_rows, batchnorm::add_relu>& norm,
             const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  norm.forward(x, y);
}
