// expect: batchnorm: expected an Eigen matrix, array or tensor with memory of its own: evaluate an expression first
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(const Eigen::MatrixXf& x, const Eigen::MatrixXf& dy, const bn::AffineParameters<float>& affine,
             bn::Moments& moments, Eigen::MatrixXf& dx, bn::Gradients<float>& gradients) {
  bn::batch_moments(x + x, moments);
  bn::train_forward(x + x, affine, 1e-5, dx, moments);
  bn::backward(x + x, dy, affine, bn::statistics(moments, 1e-5), dx, gradients);
  bn::backward_from_output(x + x, dy, affine, bn::statistics(moments, 1e-5), dx, gradients);
}
