/// \file
/// Makers of Statistics: the one place where epsilon enters.
#pragma once

#include <batchnorm/core/arguments.hpp>
#include <batchnorm/kernels/coefficients.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// The statistics of a batch, from its moments or those of its parts, merged.
///
///   mean = moments.mean        inv_std = 1 / sqrt(moments.m2 / moments.count + epsilon)        count = moments.count
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 1.
/// Shapes   moments, result: [C]
/// Units    epsilon: those of x squared
/// Throws   std::invalid_argument if there are no values, if sizes differ, or if epsilon is not positive
inline Statistics statistics(const Moments& moments, double epsilon) {
  const detail::Call<samples_in_rows> call{"statistics"};
  call.check_size("moments.m2", moments.m2.size(), moments.channels());
  if (!(moments.count > 0)) {
    detail::fail("statistics(moments): expected moments of at least 1 value per channel, got ", moments.count);
  }
  detail::check_epsilon(call.name, epsilon);
  Statistics result;
  detail::assign(result, {moments, moments.count, epsilon}, moments.channels());
  return result;
}

/// Running or population statistics, as constants: count = 0.
///
///   mean = running.mean        inv_std = 1 / sqrt(running.variance + epsilon)
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2, step 11.
/// Shapes   running, result: [C]
/// Units    epsilon: those of x squared
/// Throws   std::invalid_argument if sizes differ, if a mean is not finite or a variance is not or is negative, or if
///          epsilon is not positive
inline Statistics statistics(const RunningStatistics& running, double epsilon) {
  const detail::Call<samples_in_rows> call{"statistics"};
  call.check_size("running.variance", running.variance.size(), running.mean.size());
  running.check_usable(call.name);
  detail::check_epsilon(call.name, epsilon);
  Statistics result;
  detail::assign(result, {running, epsilon}, running.mean.size());
  return result;
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
