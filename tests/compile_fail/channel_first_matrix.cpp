// expect: batchnorm: channel_first is for rank 3 and more: for a matrix say samples_in_rows or samples_in_columns
#include <batchnorm/batchnorm.hpp>

void refused(batchnorm::BatchNorm<float, batchnorm::channel_first>& norm, const Eigen::MatrixXf& x,
             Eigen::MatrixXf& y) {
  norm.forward(x, y);
}
