#include "everything.hpp"

int use_layer(bn::BatchNorm<float>& layer) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, 3);
  Eigen::MatrixXf y;
  layer.forward(x, y);
  return y.rows() == 8 && layer.running().batches == 1 ? 0 : 1;
}
