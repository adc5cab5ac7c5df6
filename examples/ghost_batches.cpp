// A large batch trained as if it were small ones: what that does to the noise of training, and that inference has none.
#include <batchnorm/layers/ghost_batch_norm.hpp>
#include <cmath>
#include <iostream>

namespace bn = batchnorm;

/// How much y of one sample varies with the samples that share its batch: the standard deviation over many batches.
template <class Layer>
double noise(Layer layer, int samples) {
  constexpr int batches = 400;
  Eigen::ArrayXd of_one(batches);
  Eigen::MatrixXf x, y;
  for (int batch = 0; batch < batches; ++batch) {
    x = Eigen::MatrixXf::Random(samples, 1);
    x(0, 0) = 0.5f;
    layer.forward(x, y);
    of_one[batch] = static_cast<double>(y(0, 0));
  }
  return std::sqrt((of_one - of_one.mean()).square().mean());
}

int main() {
  const bn::Options options{.channels = 1};
  const double small = noise(bn::BatchNorm<float>(options), 16), large = noise(bn::BatchNorm<float>(options), 1024),
               ghosts = noise(bn::GhostBatchNorm<float>(options, {.samples = 16}), 1024);
  std::cout << "noise of y in batches of 16: " << small << "\n            in batches of 1024: " << large
            << "\n    in 64 ghosts of 16 each: " << ghosts << "\n";

  bn::GhostBatchNorm<float> norm({.channels = 1}, {.samples = 16});
  Eigen::MatrixXf x = Eigen::MatrixXf::Random(1000, 1), y, one(1, 1);
  norm.forward(x, y);  // 62 ghosts of 16 and one of 8: nothing has to be divisible
  one << 0.5f;
  std::cout << norm << "\ninference of a sample alone: " << norm.infer(one) << "\n";
  const bool is_like_small = ghosts > 0.8 * small && ghosts < 1.25 * small && ghosts > 5 * large;
  std::cout << (is_like_small ? "the noise of small batches" : "another noise") << "\n";
  return is_like_small && norm.running().batches == 63 ? 0 : 1;
}
