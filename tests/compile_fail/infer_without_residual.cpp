// expect: batchnorm: the activation takes a residual: .* infer\(x, residual, y\)
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

auto refused(const bn::BatchNorm<float, bn::samples_in_rows, bn::add_relu>& norm, const Eigen::MatrixXf& x) {
  return norm.infer(x);
}
