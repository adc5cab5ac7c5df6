#include <gtest/gtest.h>

#include <batchnorm/core/moments.hpp>
#include <limits>

#include "support/compare.hpp"
#include "support/throws.hpp"

namespace moments_test {

namespace bn = batchnorm;
using testing_support::has_parts;
using testing_support::message_of;

bn::Moments moments(double count, std::initializer_list<double> mean, std::initializer_list<double> m2) {
  bn::Moments m(Eigen::Index(mean.size()));
  m.count = count;
  std::copy(mean.begin(), mean.end(), m.mean.begin());
  std::copy(m2.begin(), m2.end(), m.m2.begin());
  return m;
}

/// The moments of the rows [begin, end) of a table, by the definition.
bn::Moments moments_of(const testing_support::Values& x, Eigen::Index begin, Eigen::Index end) {
  const testing_support::Values part = x.middleRows(begin, end - begin);
  bn::Moments m(x.cols());
  m.count = static_cast<double>(end - begin);
  const auto mean = testing_support::reference::batch_mean(part);
  m.mean = mean.cast<double>();
  m.m2 = (testing_support::reference::batch_variance(part, mean) * testing_support::Real(m.count)).cast<double>();
  return m;
}

TEST(Moments, StartWithNoValues) {
  const bn::Moments none, three(3);
  EXPECT_EQ(none.count, 0);
  EXPECT_EQ(none.channels(), 0);
  EXPECT_EQ(three.count, 0);
  EXPECT_EQ(three.channels(), 3);
  EXPECT_TRUE((three.mean == 0).all() && (three.m2 == 0).all());
}

TEST(Moments, MergeAsComputedByHand) {
  auto a = moments(2, {2, 8}, {2, 0});
  a.merge(moments(6, {4, 0}, {8, 4}));
  EXPECT_EQ(a.count, 8);
  // mean = 2 + 2 * 6/8, m2 = 2 + 8 + 4 * 2 * 6/8; mean = 8 - 8 * 6/8, m2 = 0 + 4 + 64 * 2 * 6/8: all exact in binary.
  EXPECT_EQ(a.mean[0], 3.5);
  EXPECT_EQ(a.m2[0], 16.0);
  EXPECT_EQ(a.mean[1], 2.0);
  EXPECT_EQ(a.m2[1], 100.0);
}

TEST(Moments, MergedPartsAreTheWhole) {
  testing_support::Random random(1);
  const auto x = testing_support::random_values(31, 4, random);
  const auto whole = moments_of(x, 0, 31);
  auto merged = moments_of(x, 0, 7);
  merged.merge(moments_of(x, 7, 8)).merge(moments_of(x, 8, 30)).merge(moments_of(x, 30, 31));
  EXPECT_EQ(merged.count, whole.count);
  EXPECT_TRUE(testing_support::close_relative<double>(merged.mean, whole.mean.cast<testing_support::Real>()));
  EXPECT_TRUE(testing_support::close_relative<double>(merged.m2, whole.m2.cast<testing_support::Real>()));
}

TEST(Moments, MergeKeepsAVarianceThatIsSmallBesideTheMean) {
  auto a = moments(4, {1e8}, {4e-4});
  a.merge(moments(4, {1e8}, {4e-4}));
  EXPECT_EQ(a.mean[0], 1e8);
  EXPECT_EQ(a.m2[0], 8e-4);
}

TEST(Moments, OfNoValuesAreNeutral) {
  const auto a = moments(2, {2, 8}, {2, 5});
  auto left = a;
  left.merge(bn::Moments(2));
  auto right = bn::Moments(2);
  right.merge(a);
  auto from_default = bn::Moments();
  from_default.merge(a);
  for (const auto* merged : {&left, &right, &from_default}) {
    EXPECT_EQ(merged->count, 2);
    EXPECT_TRUE((merged->mean == a.mean).all() && (merged->m2 == a.m2).all());
  }
}

TEST(Moments, MergeRefusesOtherChannelsAndChangesNothing) {
  auto a = moments(2, {2, 8}, {2, 5});
  EXPECT_EQ(message_of([&] {
              a.merge(moments(1, {1, 2, 3}, {0, 0, 0}));
            }),
            "batchnorm: Moments::merge(other): expected 2 channels as in mean, got 2 in m2, 3 in other.mean and 3 in "
            "other.m2");
  EXPECT_EQ(a.count, 2);
  EXPECT_EQ(a.mean[0], 2.0);
}

TEST(Moments, MergeRefusesAnM2OfAnotherSizeThanTheMean) {
  auto a = moments(2, {2, 8}, {2, 5}), b = a;
  b.m2.setZero(3);
  EXPECT_THROW(a.merge(b), std::invalid_argument);
  EXPECT_THROW(b.merge(a), std::invalid_argument);
}

TEST(Moments, HaveABiasedAndAnUnbiasedVariance) {
  const auto a = moments(5, {0, 1}, {20, 40});
  EXPECT_EQ(a.variance()[0], 4.0);
  EXPECT_EQ(a.variance()[1], 8.0);
  EXPECT_EQ(a.unbiased_variance()[0], 5.0);
  EXPECT_EQ(a.unbiased_variance()[1], 10.0);
}

TEST(Moments, AreFiniteIfEveryChannelIs) {
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN(),
                   infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(moments(5, {0, 1}, {20, 40}).all_finite());
  EXPECT_FALSE(moments(5, {0, not_a_number}, {20, 40}).all_finite());
  EXPECT_FALSE(moments(5, {0, -infinity}, {20, 40}).all_finite());
  EXPECT_FALSE(moments(5, {0, 1}, {not_a_number, 40}).all_finite());
  EXPECT_FALSE(moments(5, {0, 1}, {infinity, 40}).all_finite());
}

}  // namespace moments_test
