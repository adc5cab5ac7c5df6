// expect: batchnorm: a TensorRef may have no memory of its own: evaluate it into a Tensor first
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

using Tensor = Eigen::Tensor<float, 4>;

void refused(batchnorm::BatchNorm<float, batchnorm::channel_first>& norm, const Eigen::TensorRef<Tensor>& x,
             Tensor& y) {
  norm.forward(x, y);
}
