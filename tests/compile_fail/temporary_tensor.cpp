// expect: batchnorm: an output is a temporary, whose values would be lost: pass a variable, or a view
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

using Tensor = Eigen::Tensor<float, 4>;

void refused(const batchnorm::BatchNorm<float, batchnorm::channel_first>& norm, const Tensor& x) {
  norm.infer(x, Tensor());
}
