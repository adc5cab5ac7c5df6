// expect: batchnorm: Scalar is the type of the parameters
#include <batchnorm/layers/ghost_batch_norm.hpp>

void refused(const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  batchnorm::GhostBatchNorm<Eigen::half> norm({.channels = 2}, {.samples = 8});
  norm.forward(x, y);
  norm.backward(x, y, y);
}
