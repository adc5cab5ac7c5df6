// Fine-tuning on batches of two: with the statistics of the training before, as constants, and with those of two
// samples.
#include <batchnorm/batchnorm.hpp>
#include <iostream>

namespace bn = batchnorm;

/// A new task for a trained layer, learned by its gamma and beta alone: the squared error of inference afterwards.
float fine_tuned(bn::BatchNorm<float> norm, bn::Mode mode) {
  Eigen::MatrixXf x, y, dy, dx;
  const auto task = [](const Eigen::MatrixXf& samples) -> Eigen::MatrixXf { return 0.5f * samples.array() - 1; };
  norm.set_mode(mode);
  for (int step = 0; step < 2000; ++step) {
    x = 3 * Eigen::MatrixXf::Random(2, 4).array() + 5;
    norm.forward(x, y);
    dy = y - task(x);
    norm.backward(x, dy, dx);  // in frozen mode dx = gamma inv_std dy
    norm.for_each_parameter([](bn::Parameter<float> p) { p.value -= 0.02f * p.gradient; });
    norm.zero_gradients();
  }
  x = 3 * Eigen::MatrixXf::Random(1000, 4).array() + 5;
  return (norm.infer(x) - task(x)).squaredNorm() / 4000;
}

int main() {
  bn::BatchNorm<float> trained({.channels = 4});
  Eigen::MatrixXf y;
  for (int step = 0; step < 200; ++step) {
    const Eigen::MatrixXf x = 3 * Eigen::MatrixXf::Random(128, 4).array() + 5;
    trained.forward(x, y);
  }
  const float training = fine_tuned(trained, bn::Mode::training), frozen = fine_tuned(trained, bn::Mode::frozen);
  std::cout << "squared error after fine-tuning in mode training: " << training
            << ", frozen: " << (frozen < 1e-6f ? "below 1e-6" : "more") << "\n";
  return frozen < 1e-6f && training > 0.1f ? 0 : 1;
}
