// expect: batchnorm: the element type does not go with that of the parameters
#include <batchnorm/batchnorm.hpp>

auto refused(const batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXi& x) { return norm.infer(x); }
