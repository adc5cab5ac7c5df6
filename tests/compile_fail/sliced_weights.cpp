// expect: batchnorm: weights are folded into as a whole: pass a Matrix, Array or Tensor
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>
#include <batchnorm/functions/fold_into.hpp>

void refused(const Eigen::Tensor<float, 4>& weights, const Eigen::VectorXf& bias,
             const batchnorm::BatchNorm<float>& norm) {
  using Layout = batchnorm::channel_axis<0>;
  (void)batchnorm::fold_into<Layout>(batchnorm::channel_slice<Layout>(weights, 0, 2), bias, norm.affine(),
                                     norm.running(), 1e-5);
}
