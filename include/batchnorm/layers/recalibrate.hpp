/// \file
/// The paper's Algorithm 2 for one layer.
#pragma once

#include <batchnorm/core/population_statistics.hpp>
#include <batchnorm/functions/forward.hpp>
#include <batchnorm/layers/batch_norm.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// How recalibrate() runs; new fields come at the end.
struct RecalibrateOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// Which variance is taken for that of the population.
  PopulationVariance variance = PopulationVariance::mean_of_batches;
  /// The ranks that each have batches of their own, or none, unless this one has them all.
  const Reducer* across = nullptr;
};

/// Sets the running statistics of a layer to those of the population that `batches`, inputs of this layer, were drawn
/// from. What is done with a batch is what training would do: the layer's options say which estimate of the variance is
/// kept, and what becomes of a batch that is not finite or has a single value per channel.
///
/// In a network of several layers, whose inputs change with the statistics of earlier ones, run the batches through all
/// of it in Mode::probe instead and add each layer's moments() to a PopulationStatistics of its own. There batches with
/// weights or padding go as well, by batch_moments.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2, steps 7 to 10.
/// Shapes   each batch: a tensor as forward takes it
/// State    running() is replaced, with as many `batches` as were taken in and as many `skipped` as were left out
/// Cost     reads each batch once
/// Throws   std::invalid_argument if no batch is taken in, or one does not fit the layer, is empty, has one value per
///          channel under SingleValue::error or is not finite under NonFinite::error; what reading the range throws
///          passes through; the layer has not changed then
template <class Scalar, class Layout, class Activation, class Batches>
void recalibrate(BatchNorm<Scalar, Layout, Activation>& layer, Batches&& batches,
                 const RecalibrateOptions& options = {}) {
  const detail::Call<Layout> call{"recalibrate"};
  const Options& settings = layer.options();
  detail::Meeting ranks(call.name, options.across, detail::Message::population, settings.channels);
  PopulationStatistics population(settings.channels, {.running_variance = settings.running_variance,
                                                      .non_finite = settings.non_finite,
                                                      .single_value = settings.single_value,
                                                      .variance = options.variance});
  Moments moments;
  for (const auto& batch : batches) {
    call.check_not_empty(call.inputs(settings.channels, detail::Named{"batch", batch})[0]);
    batch_moments<Layout>(batch, moments, {.device = options.device});
    population.add(moments);
  }
  if (ranks) ranks.merge(population);
  layer.running() = population.statistics();
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
