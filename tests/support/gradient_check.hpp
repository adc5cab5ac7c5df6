/// \file
/// Central differences: a witness that knows nothing of the formulas.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

#include "compare.hpp"

namespace testing_support {

/// With step h the difference quotient errs by h^2 |f'''| / 6 and by the rounding of the loss, epsilon |f| / h. The
/// losses here are sums of about a hundred terms near 1 with derivatives near 1: at h = 1e-5 both are below 1e-9, and
/// 1e-7 leaves room for a steep f'''.
inline constexpr double difference_step = 1e-5;
inline constexpr Real difference_tolerance = 1e-7L;

/// The derivative of loss() with respect to the number that `parameter` refers to, which is given back as it was.
template <class Loss>
double central_difference(double& parameter, const Loss& loss) {
  const double kept = parameter;
  parameter = kept + difference_step;
  const double above = loss();
  parameter = kept - difference_step;
  const double below = loss();
  parameter = kept;
  return (above - below) / (2 * difference_step);
}

/// Whether `gradient` is the derivative of loss() with respect to every element of `parameter` (tensors of any rank,
/// matrices). The error is relative to max(1, |gradient|).
template <class Tensor, class Loss>
testing::AssertionResult is_gradient(const Tensor& gradient, Tensor& parameter, const Loss& loss,
                                     Real allowance = difference_tolerance) {
  const auto extents = extents_of(parameter);
  const int axis = int(extents.size()) - 1;
  Values differences(count_of(extents, axis), extents.back());
  for_each_index(extents, axis, [&](Index row, Index c, const auto& index) {
    differences(row, c) = central_difference(element(parameter, index), loss);
  });
  return compare_detail::compare(values_of(gradient, axis), differences, [&](Index i, Index c) {
    return allowance * std::max(Real(1), std::abs(differences(i, c)));
  });
}

/// sum of cotangent * y: a scalar whose gradient with respect to y is the cotangent.
template <class Tensor>
double projection(const Tensor& y, const Tensor& cotangent) {
  double sum = 0;
  for_each_index(extents_of(y), 0,
                 [&](Index, Index, const auto& index) { sum += element(y, index) * element(cotangent, index); });
  return sum;
}

}  // namespace testing_support
