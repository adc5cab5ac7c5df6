// expect: batchnorm: forward takes .* so on a const layer call infer\(x, y\)
#include <batchnorm/batchnorm.hpp>

void refused(const batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  norm.forward(x, y);
}
