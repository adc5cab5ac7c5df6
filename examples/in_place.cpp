// Training in place: y overwrites x, and the backward pass needs y alone. A network keeps one tensor for each layer
// less.
#include <batchnorm/batchnorm.hpp>
#include <iostream>

namespace bn = batchnorm;

int main() {
  const Eigen::MatrixXf input = Eigen::MatrixXf::Random(64, 10), dy = Eigen::MatrixXf::Random(64, 10);
  Eigen::MatrixXf x = input, dx = dy;

  bn::BatchNorm<float, bn::samples_in_rows, bn::leaky_relu> norm({.channels = 10}, bn::leaky_relu(0.1));
  norm.forward(x, x);                    // x is y now
  norm.backward_from_output(x, dx, dx);  // dx held dy

  // The same with the input kept.
  bn::BatchNorm<float, bn::samples_in_rows, bn::leaky_relu> usual({.channels = 10}, bn::leaky_relu(0.1));
  Eigen::MatrixXf y, expected;
  usual.forward(input, y);
  usual.backward(input, dy, expected);
  const bool agree = (dx - expected).cwiseAbs().maxCoeff() < 1e-5f;
  std::cout << norm << "\nin place and with the input kept " << (agree ? "agree" : "differ") << "\n";
  return agree ? 0 : 1;
}
