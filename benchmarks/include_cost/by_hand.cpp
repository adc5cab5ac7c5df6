// Forward, backward and inference in two layouts as a user of Eigen would write them: no checks, no options.

#include <Eigen/Core>
#include <iostream>

namespace {

using Eigen::Index;

struct Layer {
  static constexpr float epsilon = 1e-5F, weight = 0.1F;

  Eigen::ArrayXf gamma, beta, mean, inv_std, running_mean, running_variance, dgamma, dbeta;

  explicit Layer(Index channels) {
    for (auto* ones : {&gamma, &running_variance}) ones->setOnes(channels);
    for (auto* zeros : {&beta, &mean, &inv_std, &running_mean, &dgamma, &dbeta}) zeros->setZero(channels);
  }

  void forward(Index c, const auto& x, auto&& y) {
    const float m = x.mean(), variance = (x - m).square().mean(), n = float(x.size());
    mean[c] = m;
    inv_std[c] = 1 / std::sqrt(variance + epsilon);
    y = (x - m) * (gamma[c] * inv_std[c]) + beta[c];
    running_mean[c] += weight * (m - running_mean[c]);
    running_variance[c] += weight * (variance * n / (n - 1) - running_variance[c]);
  }
  void backward(Index c, const auto& x, const auto& dy, auto&& dx) {
    const auto x_hat = (x - mean[c]) * inv_std[c];
    const float s1 = dy.sum(), s2 = (dy * x_hat).sum(), n = float(x.size());
    dbeta[c] += s1;
    dgamma[c] += s2;
    dx = (dy - s1 / n - x_hat * (s2 / n)) * (gamma[c] * inv_std[c]);
  }
  void infer(Index c, const auto& x, auto&& y) const {
    y = (x - running_mean[c]) * (gamma[c] / std::sqrt(running_variance[c] + epsilon)) + beta[c];
  }
};

struct SamplesInRows {
  static auto channel(auto& x, Index c) { return x.col(c); }
};
struct SamplesInColumns {
  static auto channel(auto& x, Index c) { return x.row(c); }
};

template <class Layout>
void run(Index rows, Index columns) {
  const Eigen::ArrayXXf x = Eigen::ArrayXXf::Random(rows, columns), dy = Eigen::ArrayXXf::Random(rows, columns);
  Eigen::ArrayXXf y(rows, columns), dx(rows, columns);
  Layer layer(4);
  for (Index c = 0; c < 4; ++c) {
    layer.forward(c, Layout::channel(x, c), Layout::channel(y, c));
    layer.backward(c, Layout::channel(x, c), Layout::channel(dy, c), Layout::channel(dx, c));
    layer.infer(c, Layout::channel(x, c), Layout::channel(y, c));
  }
  std::cout << y(0) << " " << dx(0) << "\n";
}

}  // namespace

int main() {
  run<SamplesInRows>(32, 4);
  run<SamplesInColumns>(4, 32);
}
