// expect: batchnorm: the activation takes no residual
#include <batchnorm/batchnorm.hpp>

void refused(const batchnorm::BatchNorm<float, batchnorm::samples_in_rows, batchnorm::relu>& norm,
             const Eigen::MatrixXf& x, const Eigen::MatrixXf& residual, Eigen::MatrixXf& y) {
  norm.infer(x, residual, y);
}
