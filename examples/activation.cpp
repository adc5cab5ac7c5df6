// An activation of your own, fused into both passes and checked by differences.
#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <iostream>

namespace bn = batchnorm;

// y = z s(z), s the logistic function, and y' = s + y (1 - s): SiLU, also called swish.
struct silu {
  auto forward(const auto& z) const { return z * bn::sigmoid{}.forward(z); }
  auto backward(const auto& z, const auto& dy) const {
    const auto s = bn::sigmoid{}.forward(z), one = z.broadcast(1);
    return dy * (s + z * s * (one - s));
  }
  static const char* name() { return "silu"; }
};

int main() {
  bn::BatchNorm<double, bn::samples_in_rows, silu> norm({.channels = 3});
  Eigen::MatrixXd x = Eigen::MatrixXd::Random(8, 3), dy = Eigen::MatrixXd::Random(8, 3), y, dx;
  norm.forward(x, y);
  norm.backward(x, dy, dx);

  // The derivative of sum(dy * y) with respect to one element of x, once more by differences.
  const auto loss = [&](double step) {
    Eigen::MatrixXd moved = x;
    moved(2, 1) += step;
    norm.forward(moved, y);
    return (dy.array() * y.array()).sum();
  };
  const double h = 1e-5, difference = (loss(h) - loss(-h)) / (2 * h);
  const bool agree = std::abs(dx(2, 1) - difference) < 1e-8;
  std::cout << norm << "\ngradient and difference quotient " << (agree ? "agree" : "differ") << "\n";
  return agree ? 0 : 1;
}
