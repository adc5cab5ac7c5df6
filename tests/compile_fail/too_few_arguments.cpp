// expect: batchnorm: forward takes \(\[device,\] x, y\[, saved\]\)
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x) { norm.forward(x); }
