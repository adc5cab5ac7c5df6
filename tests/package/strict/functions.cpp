// The functions with explicit state, and whitening, without Eigen's tensors.
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/whitening/whitening_norm.hpp>

namespace bn = batchnorm;

namespace {

/// The functions with explicit state. Element is the type of x.
template <class Scalar, class Element = Scalar>
void functions() {
  Eigen::Matrix<Element, Eigen::Dynamic, Eigen::Dynamic> x(8, 2), y, dx;
  x.setRandom();
  const bn::AffineParameters<Scalar> affine(2);
  bn::Moments moments;
  bn::batch_moments(x, moments);
  bn::RunningStatistics running(2);
  running.update(moments, bn::cumulative());
  const bn::Statistics statistics = bn::statistics(moments, 1e-5);
  bn::normalize(x, affine, statistics, y);
  bn::Gradients<Scalar> gradients;
  bn::backward(x, y, affine, statistics, dx, gradients);
  bn::scale_shift(x, bn::fold(affine, bn::statistics(running, 1e-5)), y);
}

void whitening() {
  bn::WhiteningNorm<float> norm({.channels = 2});
  Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, 2), y, dx;
  norm.forward(x, y);
  norm.backward(x, y, dx);
  norm.infer(x, y);
}

}  // namespace

int main() {
  functions<float>();
  functions<double>();
  whitening();
}
