// The average of a network's weights over its last steps: its running statistics are gathered anew, not averaged.
#include <batchnorm/batchnorm.hpp>
#include <iostream>
#include <string>
#include <vector>

namespace bn = batchnorm;
using Matrix = Eigen::MatrixXf;

struct Network {
  Matrix in = Matrix::Random(8, 32), out = Matrix::Random(32, 1) / 4;
  bn::BatchNorm<float, bn::samples_in_rows, bn::relu> norm{{.channels = 32}};

  void step(const Matrix& x, const Matrix& target) {
    Matrix z = x * in, y, dz;
    norm.forward(z, y);
    const Matrix error = (y * out - target) / 8, dy = error * out.transpose();
    norm.backward(z, dy, dz);
    out -= 0.1f * y.transpose() * error;
    in -= 0.1f * x.transpose() * dz;
  }
  float loss(const Matrix& x, const Matrix& target) const {
    return (norm.infer(Matrix(x * in)) * out - target).squaredNorm() / float(target.size());
  }
};

int main() {
  const Matrix teacher = Matrix::Random(8, 1), x = Matrix::Random(4000, 8), target = (x * teacher).array().sin();
  Network network, average;
  for (int step = -2000; step <= 2000; ++step) {
    const Matrix batch = Matrix::Random(8, 8), noise = Matrix::Random(8, 1);
    network.step(batch, (batch * teacher).array().sin().matrix() + noise);
    if (step < 1) continue;
    average.in += (network.in - average.in) / float(step);  // the mean of all so far
    average.out += (network.out - average.out) / float(step);
    average.norm.for_each_state([&](const std::string& name, auto& mean) {
      network.norm.for_each_state([&](const std::string& other, const auto& value) {
        if constexpr (std::is_same_v<decltype(mean), std::remove_cvref_t<decltype(value)>&>) {
          if (name == other) mean += (value - mean) / step;
        }
      });
    });
  }
  const float last = network.loss(x, target), stale = average.loss(x, target);
  bn::recalibrate(average.norm, std::vector<Matrix>{x.topRows(1000) * average.in});
  const float fresh = average.loss(x, target);
  std::cout << "squared error of the last weights: " << last << ", of the average: " << stale
            << ", with statistics of its own: " << fresh << "\n";
  return fresh < stale && stale < last ? 0 : 1;
}
