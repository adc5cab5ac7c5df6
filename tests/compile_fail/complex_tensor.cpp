// expect: batchnorm: the element type does not go with that of the parameters
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

using Tensor = Eigen::Tensor<std::complex<float>, 4>;

void refused(batchnorm::BatchNorm<float, batchnorm::channel_first>& norm, const Tensor& x, const Tensor& dy,
             Tensor& dx) {
  norm.backward(x, dy, dx);
}
