// A network in a file that PyTorch's tools read: a dense layer, and the batch normalization behind it.
#include <batchnorm/adapters/safetensors.hpp>
#include <batchnorm/batchnorm.hpp>
#include <iostream>
#include <stdexcept>

namespace bn = batchnorm;

int main() try {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(32, 4);
  Eigen::MatrixXf weights = Eigen::MatrixXf::Random(10, 4), y;
  bn::BatchNorm<float> norm({.channels = 10});
  norm.forward((x * weights.transpose()).eval(), y);

  bn::safetensors::Writer().add("fc.weight", weights).add("bn1.", norm).write("network.safetensors");
  bn::safetensors::Reader file("network.safetensors");
  file.load("bn1.", norm);  // bn1.weight, bn1.bias, bn1.running_mean, ... as torch.nn.BatchNorm1d has them
  file.read("fc.weight", weights);

  for (const auto& [name, tensor] : file.tensors()) {
    std::cout << name << ": " << tensor.type << ", " << tensor.end - tensor.begin << " bytes\n";
  }
} catch (const std::runtime_error& error) {  // a folder that takes no files, for one
  std::cerr << error.what() << '\n';
  return 1;
}
