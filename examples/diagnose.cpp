// What is wrong with a layer, as its state tells: a table for people, a list of findings for programs.
#include <batchnorm/layers/diagnose.hpp>
#include <iostream>

namespace bn = batchnorm;

int main() {
  bn::BatchNorm<float, bn::samples_in_rows, bn::sigmoid> norm({.channels = 6});
  Eigen::MatrixXf x, y;
  const auto train = [&](int batches, float mean) {
    for (int batch = 0; batch < batches; ++batch) {
      x = Eigen::MatrixXf::Random(60, 6);
      x.col(1).setConstant(3);   // a sensor that is stuck
      x.col(2) *= 1e-3f;         // another that measures kilometers
      x.col(3).array() += mean;  // and one that jumps after some time
      norm.forward(x, y);
    }
  };
  train(100, 0);
  train(1, 5);
  norm.affine().gamma[4] = 0;  // weight decay did that
  norm.affine().beta[5] = 8;   // and a rate of learning that was too large did this
  std::cout << bn::diagnose(norm);

  // A program that trains would stop, or set gamma to 1 again.
  int dead = 0;
  for (const bn::Finding& finding : bn::diagnose(norm)) dead += finding.kind == bn::FindingKind::dead;
  std::cout << "\ndead: " << dead << "\n";
  return dead == 2 ? 0 : 1;
}
