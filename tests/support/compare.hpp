/// \file
/// Comparisons that show the first five pairs that differ, with their index.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <iomanip>
#include <sstream>

#include "reference.hpp"
#include "tolerance.hpp"

namespace testing_support {

namespace compare_detail {

/// Collects differing pairs; prints the first five of them.
class Report {
 public:
  template <class Actual, class Expected>
  void differs(Index row, Index channel, const Actual& actual, const Expected& expected) {
    if (++pairs_ > 5) return;
    text_ << "\n  value " << row << " of channel " << channel << ": " << std::setprecision(21) << actual
          << ", expected " << expected;
  }

  testing::AssertionResult result(Index size) const {
    if (pairs_ == 0) return testing::AssertionSuccess();
    return testing::AssertionFailure() << pairs_ << " of " << size << " values differ, among them" << text_.str();
  }

 private:
  Index pairs_ = 0;
  std::ostringstream text_;
};

/// The columns are channels: each may have an allowance of its own. A NaN is close to nothing.
template <class Allowance>
testing::AssertionResult compare(const Values& actual, const Values& expected, const Allowance& allowance) {
  if (actual.rows() != expected.rows() || actual.cols() != expected.cols()) {
    return testing::AssertionFailure() << "expected " << expected.rows() << " values of " << expected.cols()
                                       << " channels, got " << actual.rows() << " of " << actual.cols();
  }
  Report report;
  for (Index c = 0; c < expected.cols(); ++c) {
    for (Index i = 0; i < expected.rows(); ++i) {
      const bool close = std::abs(actual(i, c) - expected(i, c)) <= allowance(i, c);
      if (!close) report.differs(i, c, actual(i, c), expected(i, c));
    }
  }
  return report.result(expected.size());
}

}  // namespace compare_detail

/// |y - ref| <= allowance * max(1, |ref|), for every value; and what storing it as Element adds.
template <class Element>
testing::AssertionResult close_forward(const Values& y, const Values& reference,
                                       Real allowance = tolerance<Element>()) {
  return compare_detail::compare(y, reference, [&](Index i, Index c) {
    const Real computed = allowance * std::max(Real(1), std::abs(reference(i, c)));
    return computed + storage_rounding<Element>(std::abs(reference(i, c)) + computed);
  });
}

/// |dx - ref| <= allowance * the largest term dx_hat * inv_std of the channel, for every value; and what storing it as
/// Element adds.
template <class Element>
testing::AssertionResult close_gradient(const Values& dx, const reference::Backward& expected,
                                        const PerChannel& inv_std, Real allowance = tolerance<Element>()) {
  const PerChannel largest = expected.dx_hat.abs().colwise().maxCoeff().transpose() * inv_std;
  return compare_detail::compare(dx, expected.dx, [&](Index i, Index c) {
    const Real computed = allowance * largest(c);
    return computed + storage_rounding<Element>(std::abs(expected.dx(i, c)) + computed);
  });
}

/// |sum - ref| <= allowance * sum of |terms|, for every channel. An empty `actual` stands for a parameter that is off
/// and fails.
template <class Scalar, class Actual>
testing::AssertionResult close_sums(const Actual& actual, const PerChannel& expected, const Values& terms,
                                    Real allowance = tolerance<Scalar>()) {
  const PerChannel magnitude = terms.abs().colwise().sum().transpose();
  return compare_detail::compare(actual.template cast<Real>().transpose(), expected.transpose(),
                                 [&](Index, Index c) { return allowance * magnitude(c); });
}

/// Relative, for every channel: variances, and other sums in which nothing cancels.
template <class Scalar, class Actual>
testing::AssertionResult close_relative(const Actual& actual, const PerChannel& expected,
                                        Real allowance = tolerance<Scalar>()) {
  return compare_detail::compare(actual.template cast<Real>().transpose(), expected.transpose(),
                                 [&](Index, Index c) { return allowance * std::abs(expected(c)); });
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
    if (!same_bits(a, b)) report.differs(row, c, a, b);
  });
  return report.result(size);
}

/// The same extents and the same bits, for arrays with one value per channel.
template <class Actual, class Expected>
testing::AssertionResult equal_statistics(const Actual& actual, const Expected& expected) {
  return equal_bits(actual.transpose().eval(), expected.transpose().eval());
}

}  // namespace testing_support
