// expect: batchnorm: an output is a temporary, whose values would be lost: pass a variable, or a view
#include <batchnorm/batchnorm.hpp>

void refused(const Eigen::ArrayXXf& x, const batchnorm::ScaleShift<float>& folded) {
  batchnorm::scale_shift(x, folded, Eigen::ArrayXXf());
}
