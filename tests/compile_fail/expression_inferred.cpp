// expect: batchnorm: expected an Eigen matrix, array or tensor with memory of its own: evaluate an expression first
#include <batchnorm/batchnorm.hpp>

Eigen::ArrayXXf refused(const batchnorm::BatchNorm<float>& norm, const Eigen::ArrayXXf& x) {
  auto y = norm.infer(x + 1);
  return y;
}
