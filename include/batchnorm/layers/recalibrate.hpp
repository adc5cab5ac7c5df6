/// \file
/// The paper's Algorithm 2 for one layer.
#pragma once

#include <batchnorm/core/population_statistics.hpp>
#include <batchnorm/layers/batch_norm.hpp>

namespace batchnorm::inline BATCHNORM_ABI {

/// Sets the running statistics of a layer to those of the population that `batches`, inputs of this layer, were drawn
/// from.
///
/// In a network of several layers, whose inputs change with the statistics of earlier ones, run the batches through all
/// of it in Mode::probe instead and add each layer's moments() to a PopulationStatistics of its own.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2, steps 7 to 10.
/// Shapes   each batch: a tensor as forward takes it
/// State    running() is replaced, with as many `batches` as there were
/// Cost     reads each batch once
/// Throws   std::invalid_argument if there is no batch, or one does not fit the layer, has fewer than two values per
///          channel or is not finite; what reading the range throws passes through; the layer has not changed then
template <Device D, class Scalar, class Layout, class Activation, class Batches>
void recalibrate(const D& device, BatchNorm<Scalar, Layout, Activation>& layer, Batches&& batches) {
  const detail::Call<Layout, Scalar> call{"recalibrate"};
  PopulationStatistics population(layer.options().channels);
  Moments moments;
  for (const auto& batch : batches) {
    call.input("batch", batch, layer.options().channels);
    batch_moments<Layout>(device, batch, moments);
    population.add(moments);
  }
  layer.running() = population.statistics();
}

/// recalibrate on the calling thread.
template <class Scalar, class Layout, class Activation, class Batches>
void recalibrate(BatchNorm<Scalar, Layout, Activation>& layer, Batches&& batches) {
  recalibrate(detail::CallingThread{}, layer, batches);
}

}  // namespace batchnorm::inline BATCHNORM_ABI
