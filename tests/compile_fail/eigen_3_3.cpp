// expect: batchnorm: needs Eigen 3.4 or newer
#include <batchnorm/batchnorm.hpp>

int main() {
  batchnorm::BatchNorm<float> norm({.channels = 2});
  Eigen::MatrixXf x(4, 2), y;
  norm.forward(x, y);
}
