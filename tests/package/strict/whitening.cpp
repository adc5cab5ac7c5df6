#include <batchnorm/whitening/whitening_norm.hpp>

namespace bn = batchnorm;

int main() {
  bn::WhiteningNorm<float> norm({.channels = 2});
  Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, 2), y, dx;
  norm.forward(x, y);
  norm.backward(x, y, dx);
  norm.infer(x, y);
}
