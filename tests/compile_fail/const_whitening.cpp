// expect: batchnorm: forward takes .* so on a const layer call infer\(x, y\)
#include <batchnorm/whitening/whitening_norm.hpp>

void refused(const batchnorm::WhiteningNorm<float>& norm, const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  norm.forward(x, y);
}
