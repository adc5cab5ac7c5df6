// expect: batchnorm: the second parameter is a layout: write for example BatchNorm<float, samples_in_rows, relu>
#include <batchnorm/batchnorm.hpp>

void refused(const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  batchnorm::BatchNorm<float, batchnorm::relu> norm({.channels = 3});
  norm.forward(x, y);
}
