// expect: batchnorm: an activation has .* see the concept FusableActivation
#include <batchnorm/batchnorm.hpp>

struct forward_only {
  batchnorm::Packet<float> forward(const batchnorm::Packet<float>& z) const { return z; }
  static const char* name() { return "forward_only"; }
};

void refused(const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  batchnorm::BatchNorm<float, batchnorm::samples_in_rows, forward_only> norm({.channels = 3});
  norm.forward(x, y);
  norm.infer(x, y);
}
