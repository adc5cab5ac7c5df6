#include <batchnorm/batchnorm.hpp>

/// Whether a column of 1, 2, 3 comes out as -1, 0, 1 over their standard deviation sqrt(2/3), but for epsilon.
__attribute__((visibility("default"))) bool NORMALIZES() {
  batchnorm::BatchNorm<float> norm({.channels = 1});
  const Eigen::MatrixXf x{{1}, {2}, {3}};
  Eigen::MatrixXf y;
  norm.forward(x, y);
  const float top = std::sqrt(1.5F);
  return y.isApprox(Eigen::MatrixXf{{-top}, {0}, {top}}, 1e-4F);
}
