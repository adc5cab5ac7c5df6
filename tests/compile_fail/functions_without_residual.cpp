// expect: batchnorm: the activation takes a residual: forward\(x, residual, y\)
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(const Eigen::MatrixXf& x, const bn::AffineParameters<float>& affine, Eigen::MatrixXf& y,
             bn::Moments& moments) {
  bn::train_forward<bn::samples_in_rows, bn::add_relu>(x, affine, 1e-5, y, moments);
}
