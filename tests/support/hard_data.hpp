/// \file
/// Data on which batch normalization in float goes wrong when it is done carelessly.
#pragma once

#include "values.hpp"

namespace testing_support {

/// Normal values with this mean and standard deviation in every channel. At mean 1e4 and std 1e-2 neighboring floats
/// are 1e-3 apart: the data are coarse, and the reference is computed from the same coarse values.
inline Values values_about(Real mean, Real deviation, Index count, Index channels, Random& random) {
  return normal_values(count, channels, random) * deviation + mean;
}

/// The same number everywhere.
inline Values constant_values(Real value, Index count, Index channels) {
  return Values::Constant(count, channels, value);
}

/// From 1e-3 to 1e10, of both signs: exact in float or not.
inline constexpr Real constants[] = {1e-3L, 0.1L, 1.0L, -3.3L, 1234.567L, -1e4L, 1e6L, 16777217.0L, 1e10L};

}  // namespace testing_support
