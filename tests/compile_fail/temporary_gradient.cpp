// expect: batchnorm: an output is a temporary, whose values would be lost: pass a variable, or a view
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(const Eigen::MatrixXf& x, const Eigen::MatrixXf& dy, const bn::AffineParameters<float>& affine,
             const bn::Moments& moments, Eigen::MatrixXf& dx, bn::Gradients<float>& gradients) {
  bn::train_backward(x, x, dy, affine, moments, 1e-5, dx, Eigen::MatrixXf(), gradients, bn::add_relu{});
}
