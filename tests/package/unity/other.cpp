#include <batchnorm/batchnorm.hpp>

batchnorm::ScaleShift<float> folded() {
  return batchnorm::fold(batchnorm::AffineParameters<float>(2), batchnorm::statistics(batchnorm::Moments(), 1e-5));
}
