// expect: batchnorm: weights are a vector, matrix or tensor with memory of its own: evaluate an expression first
#include <batchnorm/batchnorm.hpp>

void refused(const Eigen::MatrixXf& x, Eigen::MatrixXf& y, batchnorm::BatchNorm<float>& norm) {
  norm.forward(x, y, {.weights = x.col(0) + x.col(1)});
}
