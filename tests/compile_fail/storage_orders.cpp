// expect: batchnorm: all tensors of a call must have the storage order of x
#include <batchnorm/batchnorm.hpp>

using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void refused(batchnorm::BatchNorm<float>& norm, const Eigen::MatrixXf& x, RowMajor& y) { norm.forward(x, y); }
