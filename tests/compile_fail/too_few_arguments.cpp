// expect: batchnorm: forward takes \(x, y\[, options\]\)
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x) { norm.forward(x); }
