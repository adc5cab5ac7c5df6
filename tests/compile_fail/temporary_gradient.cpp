// expect: batchnorm: an output is a temporary, whose values would be lost: pass a variable, or a view
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

void refused(const Eigen::MatrixXf& x, const Eigen::MatrixXf& dy, const bn::AffineParameters<float>& affine,
             const bn::Moments& moments, Eigen::MatrixXf& dx, bn::Gradients<float>& gradients) {
  bn::backward<bn::samples_in_rows, bn::add_relu>(x, x, dy, affine, bn::statistics(moments, 1e-5), dx,
                                                  Eigen::MatrixXf(), gradients);
}
