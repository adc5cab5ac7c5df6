// expect: batchnorm: expected an Eigen matrix, array or tensor with memory of its own: evaluate an expression first
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

using Tensor = Eigen::Tensor<float, 4>;

void refused(const batchnorm::BatchNorm<float, batchnorm::channel_first>& norm, const Tensor& x) {
  const auto y = norm.infer(x + x);
  (void)y.size();
}
