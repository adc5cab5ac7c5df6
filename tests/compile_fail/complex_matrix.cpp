// expect: batchnorm: the element type does not go with that of the parameters: BatchNorm<float> takes float, half and bfloat16 tensors
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXcf& x, Eigen::MatrixXcf& y) { norm.forward(x, y); }
