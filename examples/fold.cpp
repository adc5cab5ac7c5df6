// A trained normalization folded into the weights of the layer before it, and what that costs.
#include <batchnorm/batchnorm.hpp>
#include <batchnorm/functions/fold_into.hpp>
#include <iostream>

namespace bn = batchnorm;

int main() {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(64, 20), weights = Eigen::MatrixXf::Random(10, 20);  // out x in
  const Eigen::VectorXf bias = Eigen::VectorXf::Random(10);
  const auto dense = [&x](const auto& w, const auto& b) -> Eigen::MatrixXf {
    return (x * w.transpose()).rowwise() + b.matrix().transpose();
  };
  bn::BatchNorm<float> norm({.channels = 10});
  Eigen::MatrixXf y;
  for (int step = 0; step < 100; ++step) norm.forward(dense(weights, bias), y);

  // The output channels are the rows of the weights. Of convolutions, weights are a tensor: see fold_into.
  const auto folded =
      bn::fold_into<bn::channel_axis<0>>(weights, bias, norm.affine(), norm.running(), norm.options().epsilon);
  const auto proof = bn::fold_difference(norm.infer(dense(weights, bias)), dense(folded.weights, folded.bias));
  std::cout << folded.report << "\n" << (proof.largest < 1e-5 ? "folded: the same" : "folded: not the same") << "\n";
  return proof.largest < 1e-5 ? 0 : 1;
}
