// The three passes of a layer in two layouts, and nothing else.

#include <batchnorm/batchnorm.hpp>

namespace {

float run(auto&& layer, auto x) {
  auto dy = x, y = x, dx = x;
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  layer.infer(x, y);
  return y(0) + dx(0);
}

}  // namespace

int main() {
  Eigen::Tensor<float, 4, Eigen::RowMajor> images(32, 4, 7, 7);
  images.setRandom();
  const Eigen::ArrayXXf matrix = Eigen::ArrayXXf::Random(32, 4);
  return run(batchnorm::BatchNorm<float>({.channels = 4}), matrix) > 1e6F;
}
