// expect: batchnorm: the activation takes a residual: train_forward\(x, residual, affine, epsilon, y, moments, activation\)
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(const Eigen::MatrixXf& x, const bn::AffineParameters<float>& affine, Eigen::MatrixXf& y,
             bn::Moments& moments) {
  bn::train_forward(x, affine, 1e-5, y, moments, bn::add_relu{});
}
