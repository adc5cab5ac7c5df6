/// \file
/// The paper's Algorithm 2 for one layer.
#pragma once

#include <batchnorm/core/population_statistics.hpp>
#include <batchnorm/layers/batch_norm.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// Sets the running statistics of a layer to those of the population that `batches`, inputs of this layer, were drawn
/// from. What is done with a batch is what training would do: the layer's options say which estimate of the variance is
/// kept, and what becomes of a batch that is not finite or has a single value per channel.
///
/// In a network of several layers, whose inputs change with the statistics of earlier ones, run the batches through all
/// of it in Mode::probe instead and add each layer's moments() to a PopulationStatistics of its own.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2, steps 7 to 10.
/// Shapes   each batch: a tensor as forward takes it
/// State    running() is replaced, with as many `batches` as were taken in and as many `skipped` as were left out
/// Cost     reads each batch once
/// Throws   std::invalid_argument if no batch is taken in, or one does not fit the layer, is empty, has one value per
///          channel under SingleValue::error or is not finite under NonFinite::error; what reading the range throws
///          passes through; the layer has not changed then
template <Device D, class Scalar, class Layout, class Activation, class Batches>
void recalibrate(const D& device, BatchNorm<Scalar, Layout, Activation>& layer, Batches&& batches,
                 PopulationVariance variance = PopulationVariance::mean_of_batches) {
  const detail::Call<Layout, Scalar> call{"recalibrate"};
  const Options& options = layer.options();
  PopulationStatistics population(options.channels, {.running_variance = options.running_variance,
                                                     .non_finite = options.non_finite,
                                                     .single_value = options.single_value,
                                                     .variance = variance});
  Moments moments;
  for (const auto& batch : batches) {
    call.check_not_empty(call.input("batch", batch, options.channels));
    batch_moments<Layout>(device, batch, moments);
    population.add(moments);
  }
  layer.running() = population.statistics();
}

/// recalibrate on the calling thread.
template <class Scalar, class Layout, class Activation, class Batches>
void recalibrate(BatchNorm<Scalar, Layout, Activation>& layer, Batches&& batches,
                 PopulationVariance variance = PopulationVariance::mean_of_batches) {
  recalibrate(detail::CallingThread{}, layer, batches, variance);
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
