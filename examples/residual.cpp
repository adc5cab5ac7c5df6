// The end of a residual block: batch normalization, the sum with the skip connection, and ReLU in one pass.
#include <unsupported/Eigen/CXX11/Tensor>

#include <algorithm>
#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <iostream>

namespace bn = batchnorm;

int main() {
  Eigen::Tensor<float, 4, Eigen::RowMajor> x(8, 16, 7, 7), skip(8, 16, 7, 7), dy(8, 16, 7, 7), y, dx, dskip;
  x.setRandom();
  skip.setRandom();
  dy.setRandom();

  bn::BatchNorm<float, bn::channel_first, bn::add_relu> norm({.channels = 16});
  norm.forward(x, skip, y);               // y = max(bn(x) + skip, 0)
  norm.backward(x, skip, dy, dx, dskip);  // the gradients of x and of skip

  // The same in three passes over memory.
  bn::BatchNorm<float, bn::channel_first> plain({.channels = 16});
  Eigen::Tensor<float, 4, Eigen::RowMajor> z;
  plain.forward(x, z);
  float difference = 0;
  for (Eigen::Index i = 0; i < y.size(); ++i) {
    difference = std::max(difference, std::abs(y.data()[i] - std::max(z.data()[i] + skip.data()[i], 0.0f)));
  }
  std::cout << norm << "\nfused and in three passes " << (difference < 1e-6f ? "agree" : "differ") << "\n";
  return difference < 1e-6f ? 0 : 1;
}
