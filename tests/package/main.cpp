#include <batchnorm/batchnorm.hpp>

#include <cmath>
#include <iostream>

int main() {
  batchnorm::BatchNorm<float> norm({.channels = 2});
  const Eigen::MatrixXf x{{1, 10}, {2, 20}, {3, 30}};
  Eigen::MatrixXf y;
  norm.forward(x, y);
  std::cout << y << '\n';

  // -1, 0, 1 over their standard deviation sqrt(2/3), in both columns, but for epsilon.
  const float top = std::sqrt(1.5F);
  const Eigen::MatrixXf expected{{-top, -top}, {0, 0}, {top, top}};
  return y.isApprox(expected, 1e-4F) ? 0 : 1;
}
