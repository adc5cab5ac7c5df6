// expect: batchnorm: backward_from_output needs an activation that has an inverse
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(bn::BatchNorm<float, bn::samples_in_rows, bn::sigmoid>& norm, const Eigen::MatrixXf& y,
             const Eigen::MatrixXf& dy, Eigen::MatrixXf& dx) {
  norm.backward_from_output(y, dy, dx);
}
