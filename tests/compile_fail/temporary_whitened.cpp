// expect: batchnorm: an output is a temporary, whose values would be lost: pass a variable, or a view
#include <batchnorm/whitening/whitening_norm.hpp>

void refused(const Eigen::DefaultDevice& device, batchnorm::WhiteningNorm<float>& norm, const Eigen::MatrixXf& x) {
  norm.forward(x, Eigen::MatrixXf(), {.device = device});
}
