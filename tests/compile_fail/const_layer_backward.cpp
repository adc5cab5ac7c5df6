// expect: batchnorm: backward takes .* so the layer must not be const
#include <batchnorm/batchnorm.hpp>

void refused(const batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x, const Eigen::MatrixXf& dy,
             Eigen::MatrixXf& dx) {
  norm.backward(x, dy, dx);
}
