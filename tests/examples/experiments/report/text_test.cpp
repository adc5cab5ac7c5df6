#include "experiments/report/text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace text_test {

using report::duration;
using report::fixed;
using report::grouped;

TEST(Text, Fixed) {
  EXPECT_EQ(fixed(0.97316, 4), "0.9732");
  EXPECT_EQ(fixed(-3, 0), "-3");
  EXPECT_EQ(fixed(1e12, 2), "1000000000000.00");
  EXPECT_EQ(fixed(std::numeric_limits<double>::quiet_NaN(), 4), "-");
}

TEST(Text, Significant) {
  EXPECT_EQ(report::significant(0.01234, 2), "0.012");
  EXPECT_EQ(report::significant(12.34, 2), "12");
  EXPECT_EQ(report::significant(1e-7 / 3, 2), "3.3e-08");
  EXPECT_EQ(report::significant(report::none, 2), "-");
  EXPECT_EQ(report::significant(report::diverged, 2), "diverged");
}

TEST(Text, Grouped) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-1234567), "-1,234,567");
  EXPECT_EQ(grouped(-123), "-123");
}

TEST(Text, Duration) {
  EXPECT_EQ(duration(0), "0:00");
  EXPECT_EQ(duration(75.4), "1:15");
  EXPECT_EQ(duration(59.6), "1:00");
  EXPECT_EQ(duration(3700), "1:01:40");
  EXPECT_EQ(duration(std::numeric_limits<double>::infinity()).substr(0, 6), "277777");
}

TEST(Text, Shortest) {
  EXPECT_EQ(report::shortest(0.01), "0.01");
  EXPECT_EQ(report::shortest(30.0), "30");
}

TEST(Text, ADivergedNetworkHasNoNumber) {
  EXPECT_EQ(fixed(report::diverged, 4), "diverged");
  EXPECT_LT(report::diverged, 0) << "below every accuracy";
}

TEST(Text, Joined) {
  EXPECT_EQ(report::joined({"a", "b", "c"}, ", "), "a, b, c");
  EXPECT_EQ(report::joined({"a"}, ", "), "a");
  EXPECT_EQ(report::joined({}, ", "), "");
}

}  // namespace text_test
