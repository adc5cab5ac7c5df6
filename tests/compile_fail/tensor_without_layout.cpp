// expect: batchnorm: samples_in_rows, the default layout, is for matrices: for rank 3 and more say channel_first or channel_last
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

using Tensor = Eigen::Tensor<float, 3>;

void refused(batchnorm::BatchNorm<float>& norm, const Tensor& x, Tensor& y) { norm.forward(x, y); }
