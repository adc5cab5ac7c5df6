#include <batchnorm/batchnorm.hpp>
#include <iostream>

int main() {
  Eigen::MatrixXf x(3, 2), y, dy(3, 2), dx;
  x << 1, 10, 2, 30, 6, 80;  // three samples of two channels
  dy << 1, 0, 0, 1, 0, 0;    // dloss/dy
  batchnorm::BatchNorm<float> norm({.channels = 2});
  norm.forward(x, y);        // training: the statistics of this batch
  norm.backward(x, dy, dx);  // adds to norm.gradients()
  std::cout << y << "\n\n" << dx << "\n\n" << norm.infer(x) << "\n\n" << norm << "\n";
}
