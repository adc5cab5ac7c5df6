// Activations that are computed again instead of kept: the same gradients, and running statistics updated once.
#include <batchnorm/batchnorm.hpp>
#include <iostream>
#include <vector>

namespace bn = batchnorm;
using Tensors = std::vector<Eigen::MatrixXf>;
using Layers = std::vector<bn::BatchNorm<float, bn::samples_in_rows, bn::sigmoid>>;

/// The inputs of layers [first, last), and what the last of them gives.
Tensors run(Layers& layers, std::size_t first, std::size_t last, const Eigen::MatrixXf& x) {
  Tensors tensors(last - first + 1, x);
  for (std::size_t k = first; k < last; ++k) layers[k].forward(tensors[k - first], tensors[k - first + 1]);
  return tensors;
}

/// Back through these layers, from the gradient of what they give to that of what they were given.
void back(Layers& layers, std::size_t first, std::size_t last, const Tensors& inputs, Eigen::MatrixXf& gradient) {
  for (std::size_t k = last; k-- > first;) layers[k].backward(inputs[k - first], gradient, gradient);
}

int main() {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(64, 16), dy = Eigen::MatrixXf::Random(64, 16);
  Layers kept(8, Layers::value_type({.channels = 16})), again = kept;
  Eigen::MatrixXf dx = dy, dx_again = dy;
  back(kept, 0, 8, run(kept, 0, 8, x), dx);  // nine tensors at once

  const Eigen::MatrixXf middle = run(again, 0, 4, x).back();  // all that is kept, beside x
  run(again, 4, 8, middle);
  for (auto& layer : again) layer.set_mode(bn::Mode::recompute);
  back(again, 4, 8, run(again, 4, 8, middle), dx_again);  // five at once
  back(again, 0, 4, run(again, 0, 4, x), dx_again);
  bool same = dx == dx_again;
  for (std::size_t k = 0; k < 8; ++k) {
    same = same && (kept[k].gradients().gamma == again[k].gradients().gamma).all() &&
           (kept[k].running().mean == again[k].running().mean).all() && again[k].running().batches == 1;
  }
  std::cout << (same ? "the same bits" : "other bits") << " of dx, dgamma and running means\n";
  return same ? 0 : 1;
}
