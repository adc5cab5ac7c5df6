#include "compare.hpp"

#include <algorithm>
#include <iomanip>

namespace testing_support::compare_detail {

void Report::differs(Index row, Index channel, Real actual, Real expected) {
  if (++pairs_ > 5) return;
  text_ << "\n  value " << row << " of channel " << channel << ": " << std::setprecision(21) << actual << ", expected "
        << expected;
}

testing::AssertionResult Report::result(Index size) const {
  if (pairs_ == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure() << pairs_ << " of " << size << " values differ, among them" << text_.str();
}

testing::AssertionResult compare(const Values& actual, const Values& expected, const Values& allowance) {
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

testing::AssertionResult compare_channels(const PerChannel& actual, const PerChannel& expected,
                                          const PerChannel& allowance) {
  return compare(Values(actual.transpose()), Values(expected.transpose()), Values(allowance.transpose()));
}

testing::AssertionResult close_forward(const Values& y, const Values& reference, Real allowance,
                                       const StorageRounding& stored) {
  return compare(y, reference, [&](Index i, Index c) {
    const Real size = std::abs(reference(i, c)), computed = allowance * std::max(Real(1), size);
    return computed + stored(size + computed);
  });
}

testing::AssertionResult close_gradient(const Values& dx, const reference::Backward& expected,
                                        const PerChannel& inv_std, Real allowance, const StorageRounding& stored) {
  const PerChannel largest = expected.dx_hat.abs().colwise().maxCoeff().transpose() * inv_std;
  return compare(dx, expected.dx, [&](Index i, Index c) {
    const Real computed = allowance * largest(c);
    return computed + stored(std::abs(expected.dx(i, c)) + computed);
  });
}

testing::AssertionResult close_sums(const PerChannel& actual, const PerChannel& expected, const Values& terms,
                                    Real allowance) {
  return compare_channels(actual, expected, allowance * terms.abs().colwise().sum().transpose());
}

}  // namespace testing_support::compare_detail
