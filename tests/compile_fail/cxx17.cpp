// expect: batchnorm: needs C\+\+20: compile with -std=c\+\+20
#include <batchnorm/batchnorm.hpp>

int main() {
  batchnorm::BatchNorm<float> norm({.channels = 2});
  Eigen::MatrixXf x(4, 2), y;
  norm.forward(x, y);
}
