// The same by the library.

#include <batchnorm/batchnorm.hpp>
#include <iostream>

namespace {

using batchnorm::BatchNorm, Eigen::Index;

template <class Layout>
void run(Index rows, Index columns) {
  const Eigen::ArrayXXf x = Eigen::ArrayXXf::Random(rows, columns), dy = Eigen::ArrayXXf::Random(rows, columns);
  Eigen::ArrayXXf y, dx;
  BatchNorm<float, Layout> layer({.channels = 4});
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  layer.infer(x, y);
  std::cout << y(0) << " " << dx(0) << "\n";
}

}  // namespace

int main() {
  run<batchnorm::samples_in_rows>(32, 4);
  run<batchnorm::samples_in_columns>(4, 32);
}
