// WGAN-GP's penalty (|dD/dx| - 1)^2 through batch normalization, which makes each sample's gradient that of its batch.
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/functions/derivatives.hpp>
#include <iostream>

namespace bn = batchnorm;
using Matrix = Eigen::MatrixXd;

/// Of the critic D(x) = tanh(bn(x w)) a, for a batch; and its gradient with respect to w.
double penalty(const Matrix& x, const Matrix& w, Matrix& dw) {
  const Eigen::RowVector4d a(0.9, -0.7, 0.5, 0.8);
  const bn::AffineParameters<double> affine(4);
  const Matrix u = x * w;
  Matrix z, du, du2, ddz, through_z;
  bn::Moments moments;
  bn::Gradients<double> first, second;
  bn::train_forward(u, affine, 1e-5, z, moments);
  const auto statistics = bn::statistics(moments, 1e-5);
  const Matrix y = z.array().tanh(), slope = 1 - y.array().square(), dz = slope * a.asDiagonal();
  bn::backward(u, dz, affine, statistics, du, first);
  const Matrix dx = du * w.transpose();  // dD/dx
  const Eigen::ArrayXd norms = dx.rowwise().norm(), excess = norms - 1;
  const Matrix v = (2 * excess / norms).matrix().asDiagonal() * dx;  // dpenalty/d(dD/dx)
  bn::backward_twice(u, dz, Matrix(v * w), affine, statistics, du2, ddz, second);
  const Matrix dz2 = -2 * ddz.array() * y.array() * dz.array();  // tanh'' = -2 tanh tanh'
  bn::backward(u, dz2, affine, statistics, through_z, second);
  dw = x.transpose() * (du2 + through_z) + v.transpose() * du;
  return excess.square().sum();
}

int main() {
  const Matrix real = Matrix::Random(8, 5), generated = Matrix::Random(8, 5), w = Matrix::Random(5, 4);
  const Matrix x = generated + Eigen::VectorXd::Random(8).cwiseAbs().asDiagonal() * (real - generated);  // between both
  Matrix step = Matrix::Zero(5, 4), dw, unused;
  step(2, 1) = 1e-5;
  penalty(x, w, dw);
  const double quotient = (penalty(x, w + step, unused) - penalty(x, w - step, unused)) / 2e-5;
  std::cout << "dpenalty/dw: " << dw(2, 1) << ", by a difference quotient: " << quotient << "\n";
  return std::abs(dw(2, 1) - quotient) < 1e-7 * std::abs(quotient) + 1e-8 ? 0 : 1;
}
