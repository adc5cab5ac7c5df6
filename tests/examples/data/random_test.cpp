#include "data/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace random_test {

TEST(Random, IsTheSameEverywhere) {
  data::Random random(1, 2);
  EXPECT_EQ(random.bits(), 14160483124688033854U);
  EXPECT_EQ(random.uniform(-1, 3), 0x1.b1b19e768557p-1);
  EXPECT_EQ(random.bell(2), 0x1.26347f50b2822p+2);
  EXPECT_EQ(random.below(1000), 534);
}

TEST(Random, SeedsAndStreamsDiffer) {
  const auto first = [](std::uint64_t seed, std::uint64_t stream) { return data::Random(seed, stream).bits(); };
  EXPECT_EQ(first(3, 4), first(3, 4));
  EXPECT_NE(first(3, 4), first(3, 5));
  EXPECT_NE(first(3, 4), first(4, 4));
  EXPECT_NE(first(3, 4), first(4, 3));
}

TEST(Random, HasTheMomentsItSays) {
  data::Random random(0);
  constexpr int count = 100000;
  double uniform = 0, bell = 0, bell_squares = 0, bell_most = 0;
  for (int i = 0; i < count; ++i) {
    const double u = random.uniform(2, 5), b = random.bell(2);
    EXPECT_TRUE(u >= 2 && u < 5) << u;
    uniform += u / count;
    bell += b / count;
    bell_squares += b * b / count;
    bell_most = std::max(bell_most, std::abs(b));
  }
  // Five standard errors: 3 / sqrt(12), 2 and about 4 over sqrt(count).
  EXPECT_NEAR(uniform, 3.5, 0.014);
  EXPECT_NEAR(bell, 0, 0.032);
  EXPECT_NEAR(bell_squares, 4, 0.08);
  EXPECT_LT(bell_most, 7);
}

TEST(Random, BelowIsEven) {
  data::Random random(0);
  std::array<int, 7> found{};
  for (int i = 0; i < 70000; ++i) ++found.at(static_cast<std::size_t>(random.below(7)));
  for (const int times : found) EXPECT_NEAR(times, 10000, 463);  // five standard errors
  EXPECT_EQ(random.below(1), 0);
  EXPECT_THROW(random.below(0), std::invalid_argument);
}

}  // namespace random_test
