/// \file
/// A normalization of two channels, of which every number is exact: x/2 + 5/2 and -x/2 + 3/2 with epsilon 7.
#pragma once

#include <batchnorm/core/parameters.hpp>
#include <batchnorm/core/running_statistics.hpp>

namespace testing_support {

/// inv_std is 1/4 and 1/8.
inline batchnorm::RunningStatistics running_by_hand() {
  batchnorm::RunningStatistics running(2);
  running.mean << 1, 2;
  running.variance << 9, 57;
  return running;
}

inline batchnorm::AffineParameters<float> affine_by_hand() {
  batchnorm::AffineParameters<float> affine(2);
  affine.gamma << 2, -4;
  affine.beta << 3, 0.5f;
  return affine;
}

}  // namespace testing_support
