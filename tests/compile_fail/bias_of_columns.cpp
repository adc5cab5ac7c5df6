// expect: batchnorm: a bias is an Eigen vector, for example a VectorXf or a Map of one; an empty one is none
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/functions/fold_into.hpp>

void refused(const Eigen::MatrixXf& weights, const batchnorm::BatchNorm<float>& norm) {
  (void)batchnorm::fold_into<batchnorm::channel_axis<0>>(weights, weights, norm.affine(), norm.running(), 1e-5);
}
