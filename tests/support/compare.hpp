/// \file
/// Comparisons that show the first five pairs that differ, with their index.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <sstream>

#include "reference.hpp"
#include "tolerance.hpp"

namespace testing_support {

namespace compare_detail {

/// Collects differing pairs; prints the first five of them.
class Report {
 public:
  void differs(Index row, Index channel, Real actual, Real expected);
  testing::AssertionResult result(Index size) const;

 private:
  Index pairs_ = 0;
  std::ostringstream text_;
};

/// |actual - expected| <= allowance, for every value. A NaN is close to nothing.
testing::AssertionResult compare(const Values& actual, const Values& expected, const Values& allowance);

/// The columns are channels: each may have an allowance of its own, allowance(row, channel).
template <class Allowance>
testing::AssertionResult compare(const Values& actual, const Values& expected, const Allowance& allowance) {
  Values allowed(expected.rows(), expected.cols());
  for (Index c = 0; c < expected.cols(); ++c) {
    for (Index i = 0; i < expected.rows(); ++i) allowed(i, c) = allowance(i, c);
  }
  return compare(actual, expected, allowed);
}

testing::AssertionResult compare_channels(const PerChannel& actual, const PerChannel& expected,
                                          const PerChannel& allowance);

testing::AssertionResult close_forward(const Values& y, const Values& reference, Real allowance,
                                       const StorageRounding& stored);
testing::AssertionResult close_gradient(const Values& dx, const reference::Backward& expected,
                                        const PerChannel& inv_std, Real allowance, const StorageRounding& stored);
testing::AssertionResult close_sums(const PerChannel& actual, const PerChannel& expected, const Values& terms,
                                    Real allowance);

}  // namespace compare_detail

/// |y - ref| <= allowance * max(1, |ref|), for every value; and what storing it as Element adds.
template <class Element>
testing::AssertionResult close_forward(const Values& y, const Values& reference,
                                       Real allowance = tolerance<Element>()) {
  return compare_detail::close_forward(y, reference, allowance, storage_of<Element>());
}

/// relu(z + residual), a sum that cancels: the allowance is relative to z, and one rounding more is the sum's own.
template <class Element>
testing::AssertionResult close_add_relu(const Values& y, const Values& z, const Values& residual,
                                        Real allowance = tolerance<Element>()) {
  return compare_detail::compare(y, (z + residual).max(Real(0)), [&](Index i, Index c) {
    const Real sum = std::abs(z(i, c) + residual(i, c));
    const Real computed = allowance * std::max(Real(1), std::abs(z(i, c))) + half_epsilon<Element>() * sum;
    return computed + storage_rounding<Element>(sum + computed);
  });
}

/// |dx - ref| <= allowance * the largest term dx_hat * inv_std of the channel, for every value; and what storing it as
/// Element adds.
template <class Element>
testing::AssertionResult close_gradient(const Values& dx, const reference::Backward& expected,
                                        const PerChannel& inv_std, Real allowance = tolerance<Element>()) {
  return compare_detail::close_gradient(dx, expected, inv_std, allowance, storage_of<Element>());
}

/// |sum - ref| <= allowance * sum of |terms|, for every channel. An empty `actual` stands for a parameter that is off
/// and fails.
template <class Scalar, class Actual>
testing::AssertionResult close_sums(const Actual& actual, const PerChannel& expected, const Values& terms,
                                    Real allowance = tolerance<Scalar>()) {
  return compare_detail::close_sums(actual.template cast<Real>(), expected, terms, allowance);
}

/// Relative, for every channel: variances, and other sums in which nothing cancels.
template <class Scalar, class Actual>
testing::AssertionResult close_relative(const Actual& actual, const PerChannel& expected,
                                        Real allowance = tolerance<Scalar>()) {
  return compare_detail::compare_channels(actual.template cast<Real>(), expected, allowance * expected.abs());
}

/// The same extents and the same bits.
template <class Actual, class Expected>
testing::AssertionResult equal_bits(const Actual& actual, const Expected& expected) {
  const auto extents = extents_of(expected);
  if (extents_of(actual) != extents) return testing::AssertionFailure() << "the extents differ";
  compare_detail::Report report;
  Index size = 0;
  for_each_index(extents, int(extents.size()) - 1, [&](Index row, Index c, const auto& index) {
    ++size;
    const auto a = element(actual, index);
    const decltype(a) b = element(expected, index);
    if (!same_bits(a, b)) report.differs(row, c, Real(a), Real(b));
  });
  return report.result(size);
}

/// The same extents and the same bits, for arrays with one value per channel.
template <class Actual, class Expected>
testing::AssertionResult equal_statistics(const Actual& actual, const Expected& expected) {
  return equal_bits(actual.transpose().eval(), expected.transpose().eval());
}

}  // namespace testing_support
