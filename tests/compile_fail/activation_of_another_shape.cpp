// expect: batchnorm: an activation has .* see the concept FusableActivation
#include <batchnorm/batchnorm.hpp>

namespace bn = batchnorm;

/// On numbers, not on packets.
struct swish {
  float forward(float z) const { return z; }
  float backward(float, float dy) const { return dy; }
  static const char* name() { return "swish"; }
};

void refused(const Eigen::MatrixXf& x, const bn::AffineParameters<float>& affine, Eigen::MatrixXf& y,
             bn::Moments& moments) {
  bn::train_forward<bn::samples_in_rows, swish>(x, affine, 1e-5, y, moments);
}
