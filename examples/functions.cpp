// The same as functions with explicit state.
#include <batchnorm/batchnorm.hpp>
#include <iostream>

namespace bn = batchnorm;

int main() {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(64, 10), dy = Eigen::MatrixXf::Random(64, 10);
  const bn::AffineParameters<float> affine(10);  // gamma = 1, beta = 0
  const double epsilon = 1e-5;
  Eigen::MatrixXf y, dx;
  bn::Gradients<float> gradients;

  bn::Moments moments, half;  // of two halves, from two threads or ranks, merged into those of the whole batch
  bn::batch_moments(x.topRows(32), moments);
  bn::batch_moments(x.bottomRows(32), half);
  moments.merge(half);
  const bn::Statistics statistics = bn::statistics(moments, epsilon);
  bn::normalize(x, affine, statistics, y);
  bn::backward(x, dy, affine, statistics, dx, gradients);

  // Inference as one multiplication and one addition per element.
  bn::RunningStatistics running(10);
  running.update(moments, bn::cumulative());
  bn::scale_shift(x, bn::fold(affine, bn::statistics(running, epsilon)), y);
  std::cout << "largest |mean| of a channel of y: "
            << (y.colwise().mean().cwiseAbs().maxCoeff() < 1e-6f ? "below" : "above") << " 1e-6\n";
}
