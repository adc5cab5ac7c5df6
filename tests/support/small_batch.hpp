/// \file
/// Two small batches of five channels, and layers that have other parameters than they begin with.
#pragma once

#include <batchnorm/layers/batch_norm.hpp>

#include "values.hpp"

namespace testing_support {

/// A batch, one sample in each row.
using FloatRows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

inline FloatRows some_values(Index rows, Index columns, std::uint64_t seed) {
  Random random(seed);
  return random_values(rows, columns, random).cast<float>();
}

template <class Layer>
Layer make_layer(batchnorm::Options options = {.channels = 5}) {
  Layer layer(options);
  layer.affine().gamma << 0.5f, 1.0f, 2.0f, -1.0f, 0.75f;
  layer.affine().beta << 0.25f, -1.0f, 3.0f, 0.0f, 0.5f;
  return layer;
}

/// Other parameters than a layer begins with, for any number of channels.
template <class Layer>
void set_parameters(Layer& layer) {
  for (Index c = 0; c < layer.options().channels; ++c) {
    layer.affine().gamma[c] = 0.5f + 0.25f * static_cast<float>(c);
    layer.affine().beta[c] = 1.5f - 0.5f * static_cast<float>(c);
  }
}

inline const FloatRows x1 = some_values(7, 5, 1), x2 = some_values(7, 5, 2), dy1 = some_values(7, 5, 3),
                       dy2 = some_values(7, 5, 4);

}  // namespace testing_support
