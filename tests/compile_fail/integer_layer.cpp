// expect: batchnorm: Scalar is the type of the parameters: use BatchNorm<float> or BatchNorm<double>
#include <batchnorm/batchnorm.hpp>

void refused(const Eigen::MatrixXi& x, Eigen::MatrixXi& y) {
  batchnorm::BatchNorm<int> norm({.channels = 3});
  norm.forward(x, y);
  norm.backward(x, x, y);
  norm.infer(x, y);
}
