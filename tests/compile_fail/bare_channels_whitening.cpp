// expect: batchnorm: options have names: write WhiteningNorm<float> norm\({.channels = 2}\)
#include <batchnorm/whitening/whitening_norm.hpp>

auto refused(const Eigen::MatrixXf& x) { return batchnorm::WhiteningNorm<float>(x.cols()); }
