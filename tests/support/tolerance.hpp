/// \file
/// How far a result may lie from the reference: computed here, once. The few bounds that differ are stated, with their
/// reason, where they are used: as multiples of this one, or of half an epsilon for each addition.
///
/// Forward. y = (x - K) * scale + shift, with K = float(mean), scale = gamma * inv_std and shift = beta - (mean - K) *
/// scale rounded once each. With u = epsilon / 2, the unit roundoff of the data's type, the terms are
///
///   x - K, scale, the product, shift, the sum        5 u
///   inv_std: half the relative error of M2, whose short chains of additions err like a random walk: about    4 u
///
/// 9 u in all, for |gamma x_hat| up to a few; the allowance is 16 u = 8 epsilon, in float 1e-6. It is relative to
/// max(1, |ref|): y has spread 1, so a y near 0 is the difference of terms near 1 and is owed no more digits than they
/// have.
///
/// Input gradient. dx = a dy + b (x - K) + c: three terms of the size of a dy, each rounded three times, from two sums
/// that err as M2 does. The allowance is the same 8 epsilon, relative to the largest of the terms. For counts of 2 or 3
/// the terms cancel almost wholly, so `close_gradient` measures against the terms; with a larger count that is max
/// |dx|, which is what `gradient_error` divides by.
///
/// Parameter gradients. Sums of `count` terms: 8 epsilon of the sum of their magnitudes, for which no cancellation
/// matters.
///
/// All of it holds in double with double's epsilon, except that the mean is then one double and not a pair: its own
/// rounding, u |mean|, is worth u |mean| inv_std of y. General test data keep |mean| inv_std <= 3 (random_values); the
/// hard data are in float.
///
/// half and bfloat16. The arithmetic is float's, on inputs that are exact in float: to the float allowance comes the
/// rounding of the result when it is stored, half a unit in its last place. That is at most half an epsilon of the
/// stored type times the magnitude of what is rounded, and half of the least denormal where that is more. Statistics
/// and the gradients of parameters are not stored in 16 bits and are owed float's accuracy. But numbers of 16 bits lie
/// on a coarse grid, on which the roundings of a long sum are alike and do not cancel as a random walk's do: half an
/// epsilon of float, and so of the sum, for each addition in a lane. In a chunk of 8192 values of a plane these are
/// most, 512 with four accumulators of four lanes; of rows there are at most 72.
#pragma once

#include <algorithm>
#include <limits>

#include "values.hpp"

namespace testing_support {

/// Half an epsilon of the type of the arithmetic: what one operation errs by.
template <class Element>
constexpr Real half_epsilon() {
  constexpr bool sixteen_bits = std::numeric_limits<Element>::digits < std::numeric_limits<float>::digits;
  return Real(std::numeric_limits<std::conditional_t<sixteen_bits, float, Element>>::epsilon()) / 2;
}

/// 8 epsilon of it, in float 9.5e-7.
template <class Element>
constexpr Real tolerance() {
  return 16 * half_epsilon<Element>();
}

/// The same for sums over `count` values of a coarse grid.
template <class Element>
constexpr Real coarse_tolerance(Index count) {
  return tolerance<Element>() * (1 + Real(std::min<Index>(count, 8192) / 16 + 8) / 16);
}

/// epsilon of a type from the digits of its mantissa: that of numeric_limits<Eigen::half> is 2^-13 in Eigen 3.4, an
/// eighth of what it should be.
template <class Element>
constexpr Real epsilon_of() {
  Real result = 1;
  for (int k = 1; k < std::numeric_limits<Element>::digits; ++k) result /= 2;
  return result;
}

/// What storing a number in 16 bits may add to its error: half an epsilon of its magnitude, and half of the least
/// denormal where that is more. Float and double results are not rounded once more when they are stored.
struct StorageRounding {
  Real epsilon = 0, least = 0;

  Real operator()(Real magnitude) const { return std::max(epsilon * magnitude, least) / 2; }
};

template <class Element>
constexpr StorageRounding storage_of() {
  if constexpr (std::numeric_limits<Element>::digits >= std::numeric_limits<float>::digits) {
    return {};
  } else {
    return {epsilon_of<Element>(), Real(std::numeric_limits<Element>::denorm_min())};
  }
}

/// The same for a number of this magnitude.
template <class Element>
Real storage_rounding(Real magnitude) {
  return storage_of<Element>()(magnitude);
}

/// max |y - ref| / max(1, |ref|).
Real forward_error(const Values& y, const Values& reference);

/// max |dx - ref| / max |ref| over the tensor.
Real gradient_error(const Values& dx, const Values& reference);

}  // namespace testing_support
