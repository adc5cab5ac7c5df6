// expect: batchnorm: a vector does not say which of its axes holds the channels: pass a matrix
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float>& norm, const Eigen::VectorXf& x, Eigen::VectorXf& y) { norm.forward(x, y); }
