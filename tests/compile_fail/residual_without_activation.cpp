// expect: batchnorm: the activation takes no residual
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(const Eigen::MatrixXf& x, const Eigen::MatrixXf& residual, const bn::AffineParameters<float>& affine,
             Eigen::MatrixXf& y, bn::Moments& moments) {
  bn::train_forward<bn::samples_in_rows, bn::relu>(x, residual, affine, 1e-5, y, moments);
}
