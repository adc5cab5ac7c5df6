// expect: batchnorm: x needs a batch axis and a channel axis: rank 2 or more
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

using Tensor = Eigen::Tensor<float, 1>;

void refused(batchnorm::BatchNorm<float, batchnorm::channel_last>& norm, const Tensor& x, Tensor& y) {
  norm.forward(x, y);
}
