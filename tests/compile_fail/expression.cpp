// expect: batchnorm: expected an Eigen matrix, array or tensor with memory of its own: evaluate an expression first
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  norm.forward(x + x, y);
}
