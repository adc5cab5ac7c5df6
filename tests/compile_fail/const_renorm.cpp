// expect: batchnorm: forward takes .* so on a const layer call infer\(x, y\)
#include <batchnorm/layers/batch_renorm.hpp>

void refused(const batchnorm::BatchRenorm<float>& norm, const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  norm.forward(x, y);
}
