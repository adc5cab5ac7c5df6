/// \file
/// Moments of a batch that nobody needs to see.
#pragma once

#include <batchnorm/core/moments.hpp>

namespace testing_support {

/// Of channels that are alike.
inline batchnorm::Moments moments(double count, double mean, double m2, batchnorm::Index channels = 1) {
  batchnorm::Moments result(channels);
  result.count = count;
  result.mean.setConstant(mean);
  result.m2.setConstant(m2);
  return result;
}

}  // namespace testing_support
