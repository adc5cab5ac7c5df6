// A layer from another framework: its options, and the arrays that it was trained to. Here Caffe's, which keeps sums.
#include <algorithm>
#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <iostream>

namespace bn = batchnorm;

int main() {
  // What a file has: three blobs of the layer BatchNorm, and two of the layer Scale after it.
  Eigen::ArrayXd mean_sum(2), variance_sum(2);
  Eigen::ArrayXf gamma(2), beta(2);
  const double weight_sum = 1000;  // the scale blob, in the limit 1 / (1 - 0.999)
  mean_sum << 500, -2000;
  variance_sum << 4000, 250;
  gamma << 1.5f, 0.5f;
  beta << 0, 1;

  bn::BatchNorm<float> norm(bn::presets::caffe(2));
  norm.affine().gamma = gamma;
  norm.affine().beta = beta;
  norm.running().mean = mean_sum / weight_sum;
  norm.running().variance = variance_sum / weight_sum;
  norm.running().batches = 10000;  // so that training goes on with the weight that Caffe would give a batch

  Eigen::MatrixXf x(1, 2);
  x << 2.5f, -1;
  const Eigen::MatrixXf y = norm.infer(x);
  const float expected[] = {1.5f * (2.5f - 0.5f) / std::sqrt(4.00001f), 0.5f * (-1 + 2) / std::sqrt(0.25001f) + 1};
  const float difference = std::max(std::abs(y(0) - expected[0]), std::abs(y(1) - expected[1]));
  std::cout << norm << "\ny = " << y << "\n\nThe others begin as\n";

  using namespace bn::presets;
  for (const auto preset : {pytorch, keras, tensorflow_fused, onnx, flax, mxnet, dlib, paper}) {
    std::cout << bn::BatchNorm<float>(preset(2)) << "\n";
  }
  return difference < 1e-6f ? 0 : 1;
}
