// expect: batchnorm: a channel_slice of another axis than that of the call
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(const bn::BatchNorm<float, bn::channel_last>& norm, const Eigen::Tensor<float, 4>& x,
             Eigen::Tensor<float, 4>& y) {
  norm.infer(bn::channel_slice<bn::channel_first>(x, 0, 2), y);
}
