// expect: batchnorm: backward_from_output needs an activation that has an inverse
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(const Eigen::MatrixXf& y, const Eigen::MatrixXf& dy, const bn::AffineParameters<float>& affine,
             const bn::Moments& moments, Eigen::MatrixXf& dx, bn::Gradients<float>& gradients) {
  bn::backward_from_output<bn::samples_in_rows, bn::relu>(y, dy, affine, bn::statistics(moments, 1e-5), dx, gradients);
}
