// expect: batchnorm: expected an Eigen matrix, array or tensor with memory of its own: evaluate an expression first
#include <batchnorm/whitening/whitening_norm.hpp>

void refused(batchnorm::WhiteningNorm<float>& norm, const Eigen::MatrixXf& x, Eigen::MatrixXf& y) {
  norm.forward(x + x, y);
  norm.backward(x + x, x, y);
  norm.infer(x + x, y);
}
