// expect: batchnorm: forward takes .* so on a const layer call infer\(x, y\)
#include <batchnorm/layers/ghost_batch_norm.hpp>

void refused(const batchnorm::GhostBatchNorm<float>& norm, const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  norm.forward(x, y);
}
