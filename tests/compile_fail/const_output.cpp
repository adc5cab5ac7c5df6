// expect: batchnorm: an output is const
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x, const Eigen::MatrixXf& y) {
  norm.forward(x, y);
}
