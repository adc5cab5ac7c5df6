// expect: batchnorm: all tensors of a call must have the storage order of x
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void refused(bn::BatchNorm<float, bn::samples_in_rows, bn::add_relu>& norm, const Eigen::MatrixXf& x, const RowMajor& r,
             const Eigen::MatrixXf& dy, Eigen::MatrixXf& dx, RowMajor& dr) {
  norm.backward(x, r, dy, dx, dr);
}
