#include <gtest/gtest.h>

#include <batchnorm/base/packet.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "support/sweep.hpp"
#include "support/values.hpp"

namespace packet_test {

namespace bn = batchnorm;
using Eigen::Index;

/// Lane k holds start + k.
template <class Scalar>
bn::Packet<Scalar> counting_from(Scalar start) {
  Scalar lanes[bn::Packet<Scalar>::size];
  for (Index k = 0; k < bn::Packet<Scalar>::size; ++k) lanes[k] = start + Scalar(k);
  return bn::Packet<Scalar>::load(lanes);
}

template <class Scalar>
std::vector<Scalar> lanes_of(const bn::Packet<Scalar>& packet) {
  std::vector<Scalar> lanes(static_cast<std::size_t>(bn::Packet<Scalar>::size));
  packet.store(lanes.data());
  return lanes;
}

template <class Scalar>
class Packet : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Packet, Scalars);

TYPED_TEST(Packet, ComputesLaneByLane) {
  using S = TypeParam;
  const auto a = counting_from<S>(1), b = counting_from<S>(10), c = bn::Packet<S>::broadcast(S(0.5));
  const auto sums = lanes_of(a + b), differences = lanes_of(a - b), products = lanes_of(a * b),
             fused = lanes_of(multiply_add(a, b, c));
  for (std::size_t k = 0; k < sums.size(); ++k) {
    const S x = S(1 + k), y = S(10 + k);
    EXPECT_EQ(sums[k], x + y);
    EXPECT_EQ(differences[k], x - y);
    EXPECT_EQ(products[k], x * y);
    EXPECT_EQ(fused[k], x * y + S(0.5));
  }
}

// One instruction for both would leave what rounding has taken off: so bits would depend on where compilers use it.
TYPED_TEST(Packet, RoundsAProductBeforeItIsAddedTo) {
  using S = TypeParam;
  volatile S a = S(1.0001), b = S(1.0003);
  volatile S rounded = a * b;
  const auto zeros =
      lanes_of(bn::Packet<S>::broadcast(a) * bn::Packet<S>::broadcast(b) - bn::Packet<S>::broadcast(rounded));
  for (const S zero : zeros) EXPECT_EQ(zero, S(0));
}

TYPED_TEST(Packet, LoadsAndStoresAtAnyAddress) {
  using S = TypeParam;
  std::vector<S> memory(static_cast<std::size_t>(3 * bn::Packet<S>::size), S(-1));
  for (std::size_t offset = 0; offset < std::size_t(bn::Packet<S>::size); ++offset) {
    counting_from<S>(5).store(memory.data() + offset);
    EXPECT_EQ(lanes_of(bn::Packet<S>::load(memory.data() + offset)), lanes_of(counting_from<S>(5)));
  }
}

TYPED_TEST(Packet, SumsItsLanes) {
  using S = TypeParam;
  const S n = S(bn::Packet<S>::size);
  EXPECT_EQ(sum(counting_from<S>(1)), n * (n + 1) / 2);
}

TYPED_TEST(Packet, TakesTheMaximumAndPropagatesNaNFromEitherSide) {
  using S = TypeParam;
  constexpr S not_a_number = std::numeric_limits<S>::quiet_NaN();
  const auto set = [](S value) { return bn::Packet<S>::broadcast(value); };
  EXPECT_EQ(lanes_of(max(set(2), set(3)))[0], S(3));
  EXPECT_EQ(lanes_of(max(set(-2), set(-3)))[0], S(-2));
  EXPECT_TRUE(std::isnan(lanes_of(max(set(not_a_number), set(3)))[0]));
  EXPECT_TRUE(std::isnan(lanes_of(max(set(3), set(not_a_number)))[0]));
}

TYPED_TEST(Packet, SelectsWhereLessOrEqualAndNotForNaN) {
  using S = TypeParam;
  const auto set = [](S value) { return bn::Packet<S>::broadcast(value); };
  const auto selected = [&](S a, S b) { return lanes_of(select_less_equal(set(a), set(b), set(1), set(2)))[0]; };
  EXPECT_EQ(selected(-1, 0), S(1));
  EXPECT_EQ(selected(0, 0), S(1));
  EXPECT_EQ(selected(S(-0.0), 0), S(1));
  EXPECT_EQ(selected(1, 0), S(2));
  EXPECT_EQ(selected(std::numeric_limits<S>::quiet_NaN(), 0), S(2));
}

TYPED_TEST(Packet, DividesNegatesAndTakesMagnitudesLaneByLane) {
  using S = TypeParam;
  const auto a = counting_from<S>(-2), b = counting_from<S>(10);
  const auto quotients = lanes_of(a / b), negatives = lanes_of(-a), magnitudes = lanes_of(abs(a));
  for (std::size_t k = 0; k < quotients.size(); ++k) {
    const S x = S(k) - 2, y = S(10 + k);
    EXPECT_EQ(quotients[k], x / y);
    EXPECT_EQ(negatives[k], -x);
    EXPECT_EQ(magnitudes[k], std::abs(x));
  }
}

TYPED_TEST(Packet, NegatesZeroAndTakesItsMagnitude) {
  using S = TypeParam;
  const auto zero = bn::Packet<S>::broadcast(0);
  EXPECT_TRUE(std::signbit(lanes_of(-zero)[0]));
  EXPECT_FALSE(std::signbit(lanes_of(abs(-zero))[0]));
}

TYPED_TEST(Packet, TakesTheMinimumAndPropagatesNaNFromEitherSide) {
  using S = TypeParam;
  constexpr S not_a_number = std::numeric_limits<S>::quiet_NaN();
  const auto minimum = [](S a, S b) {
    return lanes_of(min(bn::Packet<S>::broadcast(a), bn::Packet<S>::broadcast(b)))[0];
  };
  EXPECT_EQ(minimum(2, 3), S(2));
  EXPECT_EQ(minimum(-2, -3), S(-3));
  EXPECT_TRUE(std::isnan(minimum(not_a_number, 3)));
  EXPECT_TRUE(std::isnan(minimum(3, not_a_number)));
}

TYPED_TEST(Packet, CopiesTheSignOfZeroAndInfinityToo) {
  using S = TypeParam;
  constexpr S infinity = std::numeric_limits<S>::infinity();
  for (const S magnitude : {S(0), S(2), S(-2), infinity}) {
    for (const S sign : {S(0), -S(0), S(5), S(-5), -infinity}) {
      const auto result = lanes_of(copysign(bn::Packet<S>::broadcast(magnitude), bn::Packet<S>::broadcast(sign)))[0];
      EXPECT_TRUE(testing_support::same_bits(result, std::copysign(magnitude, sign))) << magnitude << ", " << sign;
    }
  }
}

// 1.5 epsilon: the remainder r = a - m ln 2, the approximation of e^r and the last addition are worth half an epsilon
// each. In float with AVX-512 Eigen takes m ln 2 with ln 2 rounded to a float, which is off by 2.75e-9 of its value:
// |a| / 43.4 epsilon.
TYPED_TEST(Packet, ExponentiatesWithinTheRoundingOfItsSteps) {
  using S = TypeParam;
  const double least = std::log(double(std::numeric_limits<S>::min()));
  const double largest = 127.5 / 128 * std::log(double(std::numeric_limits<S>::max()));
  for (const S a : testing_support::sweep<S>()) {
    if (a < S(least) || a > S(largest)) continue;
    const auto lanes = lanes_of(exp(bn::Packet<S>::broadcast(a)));
    const double bound = 1.5 + (std::same_as<S, float> ? std::abs(double(a)) / 43.4 : 0);
    ASSERT_LE(testing_support::relative_epsilons(lanes[0], std::exp(testing_support::Real(a))), bound) << "e^" << a;
  }
}

TYPED_TEST(Packet, ExponentiatesToZeroAndInfinityAndKeepsNaN) {
  using S = TypeParam;
  using Limits = std::numeric_limits<S>;
  const auto exponential = [](S a) { return lanes_of(exp(bn::Packet<S>::broadcast(a)))[0]; };
  const S least = std::log(Limits::min()), largest = std::log(Limits::max());
  EXPECT_EQ(exponential(0), S(1));
  EXPECT_EQ(exponential(Limits::denorm_min()), S(1));
  EXPECT_GT(exponential(least + S(0.01)), Limits::min());
  EXPECT_EQ(exponential(least - S(0.01)), S(0));
  EXPECT_EQ(exponential(-Limits::infinity()), S(0));
  EXPECT_EQ(exponential(Limits::lowest()), S(0));
  EXPECT_EQ(exponential(largest + S(0.01)), Limits::infinity());
  EXPECT_EQ(exponential(Limits::max()), Limits::infinity());
  EXPECT_EQ(exponential(Limits::infinity()), Limits::infinity());
  EXPECT_TRUE(std::isnan(exponential(Limits::quiet_NaN())));
}

// A NaN may come with its sign bit set: x86 makes it so out of 0 * infinity.
TYPED_TEST(Packet, ExponentiatesEveryLaneForItself) {
  using S = TypeParam;
  constexpr S not_a_number = std::numeric_limits<S>::quiet_NaN();
  for (const S odd_one : {not_a_number, -not_a_number, -std::numeric_limits<S>::infinity(), S(1e4)}) {
    for (Index odd = 0; odd < bn::Packet<S>::size; ++odd) {
      std::vector<S> lanes(std::size_t(bn::Packet<S>::size), S(1));
      lanes[std::size_t(odd)] = odd_one;
      const auto result = lanes_of(exp(bn::Packet<S>::load(lanes.data())));
      for (Index k = 0; k < bn::Packet<S>::size; ++k) {
        if (k == odd) {
          EXPECT_EQ(std::isnan(result[std::size_t(k)]), std::isnan(odd_one));
        } else {
          EXPECT_NEAR(result[std::size_t(k)], std::exp(S(1)), 2 * double(std::numeric_limits<S>::epsilon()) * 2.8);
        }
      }
    }
  }
}

}  // namespace packet_test
