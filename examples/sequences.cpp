// Sequences of unequal length in one tensor: what they are padded with has no part in statistics and gradients.
#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <iostream>
#include <limits>
#include <unsupported/Eigen/CXX11/Tensor>

namespace bn = batchnorm;

using Sequences = Eigen::Tensor<float, 3, Eigen::RowMajor>;  // (sequence, step, channel)

int main() {
  const Eigen::Array4i lengths(7, 3, 5, 1);
  const Eigen::Index steps = lengths.maxCoeff(), channels = 2;
  Sequences x(4, steps, channels), y(x.dimensions()), dy(x.dimensions()), dx(x.dimensions());
  x.setConstant(std::numeric_limits<float>::quiet_NaN());  // padding may hold anything
  dy.setConstant(1);
  Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic> mask(4, steps);
  Eigen::MatrixXf packed(lengths.sum(), channels), packed_y;  // the same steps, one behind the other
  for (Eigen::Index n = 0, row = 0; n < 4; ++n) {
    for (Eigen::Index t = 0; t < steps; ++t) {
      mask(n, t) = t < lengths[n];
      for (Eigen::Index c = 0; mask(n, t) && c < channels; ++c) {
        x(n, t, c) = packed(row, c) = std::sin(float(5 * n + 3 * t + c)) + float(n);
        dy(n, t, c) = float(t);
      }
      row += mask(n, t);
    }
  }
  bn::BatchNorm<float, bn::channel_last> norm({.channels = channels});
  norm.forward(x, y, {.weights = mask});
  norm.backward(x, dy, dx, {.weights = mask});

  bn::BatchNorm<float> of_packed({.channels = channels});
  of_packed.forward(packed, packed_y);
  const double difference = (norm.running().variance - of_packed.running().variance).abs().maxCoeff();
  std::cout << "values per channel: " << norm.moments().count << "\nmean: " << norm.moments().mean.transpose()
            << "\ndx behind the end of the last sequence: " << dx(3, 1, 0) << "\n";
  return difference < 1e-6 && dx(3, 1, 0) == 0 ? 0 : 1;
}
