// One network for two cameras: everything is shared but the running statistics, which are swapped in with the domain.
#include <batchnorm/batchnorm.hpp>
#include <iostream>
#include <utility>

namespace bn = batchnorm;
struct Domain {
  float gain, offset;                // of the camera
  bn::RunningStatistics running{2};  // of its pictures
};

/// Trains a classifier behind a normalization on batches of either domain in turn; the share of right answers after.
double accuracy(bool own_statistics) {
  Domain domains[] = {{1, 0}, {0.2f, 3}};
  bn::BatchNorm<float> norm({.channels = 2, .scale = false, .shift = false});
  Eigen::VectorXf weights = Eigen::VectorXf::Zero(2);
  Eigen::MatrixXf z;
  double right = 0;
  for (int step = 0; step < 600; ++step) {
    Domain& domain = domains[step % 2];
    const Eigen::MatrixXf world = Eigen::MatrixXf::Random(64, 2), x = (domain.gain * world).array() + domain.offset;
    const Eigen::ArrayXf labels = (world.rowwise().sum().array() > 0).cast<float>();
    if (own_statistics) std::swap(norm.running(), domain.running);
    if (step < 500) {
      norm.forward(x, z);
      const Eigen::ArrayXf p = 1 / (1 + (-(z * weights).array()).exp());  // logistic regression
      weights += 0.02f * z.transpose() * (labels - p).matrix();
    } else {
      right += static_cast<double>((((norm.infer(x) * weights).array() > 0) == (labels > 0.5f)).count()) / 6400;
    }
    if (own_statistics) std::swap(norm.running(), domain.running);
  }
  return right;
}

int main() {
  const double shared = accuracy(false), own = accuracy(true);
  std::cout << "right with shared statistics: " << shared << ", with those of each domain: " << own << "\n";
  return own > 0.97 && shared < 0.8 ? 0 : 1;
}
