// expect: batchnorm: Scalar is the type of the parameters: use BatchNorm<float>
#include <batchnorm/batchnorm.hpp>

using Matrix = Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic>;

void refused(const Matrix& x, Matrix& y) {
  batchnorm::BatchNorm<Eigen::half> norm({.channels = 3});
  norm.forward(x, y);
}
