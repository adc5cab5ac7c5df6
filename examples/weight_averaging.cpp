// The average of a network's weights over its last steps: its running statistics are gathered anew, not averaged.
#include <batchnorm/batchnorm.hpp>
#include <iostream>
#include <string>
#include <vector>

using Matrix = Eigen::MatrixXf;
using Norm = batchnorm::BatchNorm<float, batchnorm::samples_in_rows, batchnorm::relu>;

int main() {
  const Matrix teacher = Matrix::Random(8, 1), x = Matrix::Random(4000, 8), target = (x * teacher).array().sin();
  Matrix in = Matrix::Random(8, 32), out = Matrix::Random(32, 1) / 4, mean_in = in, mean_out = out, y, dz;
  Norm norm({.channels = 32}), mean_norm = norm;
  const auto loss = [&](const Matrix& first, const Norm& then, const Matrix& last) {
    return (then.infer(Matrix(x * first)) * last - target).squaredNorm() / 4000;
  };
  for (int step = -2000; step <= 2000; ++step) {
    const Matrix batch = Matrix::Random(8, 8), noise = Matrix::Random(8, 1), z = batch * in;
    norm.forward(z, y);
    const Matrix error = (y * out - Matrix((batch * teacher).array().sin()) - noise) / 8, dy = error * out.transpose();
    norm.backward(z, dy, dz);
    out -= 0.1f * y.transpose() * error;
    in = 0.99f * in - 0.1f * batch.transpose() * dz;  // with weight decay
    if (step < 1) continue;
    mean_in += (in - mean_in) / float(step);  // over steps 1, 2, ...
    mean_out += (out - mean_out) / float(step);
    mean_norm.for_each_state([&](const std::string& name, auto& mean) {
      norm.for_each_state([&](const std::string& other, const auto& value) {
        if constexpr (std::is_same_v<decltype(mean), std::remove_cvref_t<decltype(value)>&>) {
          if (name == other) mean += (value - mean) / step;
        }
      });
    });
  }
  const float last = loss(in, norm, out), averaged = loss(mean_in, mean_norm, mean_out);
  batchnorm::recalibrate(mean_norm, std::vector<Matrix>{x.topRows(1000) * mean_in});
  const float anew = loss(mean_in, mean_norm, mean_out);
  std::cout << "error: " << last << ", all averaged: " << averaged << ", statistics gathered anew: " << anew << "\n";
  return anew < 0.75f * averaged && anew < 0.75f * last ? 0 : 1;
}
