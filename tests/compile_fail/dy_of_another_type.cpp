// expect: batchnorm: all tensors of a call must have the element type of x
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x, const Eigen::MatrixXd& dy,
             Eigen::MatrixXd& dx) {
  norm.backward(x, dy, dx);
}
