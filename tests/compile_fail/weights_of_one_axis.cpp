// expect: batchnorm: the output and the input channels of weights lie on two axes
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/functions/fold_into.hpp>

void refused(const Eigen::MatrixXf& weights, const Eigen::VectorXf& bias, const batchnorm::BatchNorm<float>& norm) {
  (void)batchnorm::fold_into_next<batchnorm::channel_axis<0>, batchnorm::channel_axis<0>>(weights, bias, norm.affine(),
                                                                                          norm.running(), 1e-5);
}
