// expect: batchnorm: an output is a temporary, whose values would be lost: pass a variable, or a view
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x, const Eigen::MatrixXf& y) {
  norm.forward(x, Eigen::MatrixXf(y));
}
