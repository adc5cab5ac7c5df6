/// \file
/// Batch renormalization of the small batches.
#pragma once

#include <batchnorm/functions/forward.hpp>
#include <batchnorm/layers/batch_renorm.hpp>

#include "small_batch.hpp"

namespace testing_support {

/// Limits that stay.
inline batchnorm::RenormSchedule within(double r_max, double d_max) {
  return {.plain_steps = 0, .r_max = r_max, .r_steps = 0, .d_max = d_max, .d_steps = 0};
}

/// Running statistics, off those of the small batches: r is near 2.5 in channel 0, near .3 in 1, near 1 in 2; d is far
/// up in channel 3, far down in 4.
template <class Layer>
void set_running(Layer& layer) {
  batchnorm::Moments moments;
  batchnorm::batch_moments(x1, moments);
  const Eigen::ArrayXd std = moments.variance().sqrt();
  layer.running().mean = moments.mean;
  layer.running().variance = moments.variance();
  layer.running().variance[0] /= 6;
  layer.running().variance[1] *= 11;
  layer.running().mean[2] += 0.4 * std[2];
  layer.running().mean[3] -= 4 * std[3];
  layer.running().mean[4] += 2 * std[4];
  layer.running().batches = 1000;
}

}  // namespace testing_support
