// Built with -ffast-math: what core/ promises about NaN and infinity holds all the same.
#include <gtest/gtest.h>

#include <batchnorm/core/activation.hpp>
#include <batchnorm/core/options.hpp>
#include <batchnorm/core/population_statistics.hpp>
#include <batchnorm/functions/forward.hpp>
#include <cmath>
#include <limits>

#include "support/fast_math.hpp"
#include "support/throws.hpp"

namespace fast_math_test {

namespace bn = batchnorm;
using namespace testing_support;

template <class T>
bn::Packet<T> all(T value) {
  return bn::Packet<T>::broadcast(value);
}
/// The last lane.
template <class T>
T lane(const bn::Packet<T>& packet) {
  T lanes[bn::Packet<T>::size];
  packet.store(lanes);
  return lanes[bn::Packet<T>::size - 1];
}

template <class T>
class FastMathPacket : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(FastMathPacket, Scalars);

TYPED_TEST(FastMathPacket, TheLargerAndTheSmallerOfTwoAreNaNIfEitherIs) {
  using T = TypeParam;
  for (const bool sign : {false, true}) {
    for (const T other : {T(0), T(2), T(-3), infinity<T>(), nan<T>()}) {
      EXPECT_TRUE(is_nan(lane(max(all(nan<T>(sign)), all(other)))));
      EXPECT_TRUE(is_nan(lane(max(all(other), all(nan<T>(sign))))));
      EXPECT_TRUE(is_nan(lane(min(all(nan<T>(sign)), all(other)))));
      EXPECT_TRUE(is_nan(lane(min(all(other), all(nan<T>(sign))))));
    }
  }
  EXPECT_EQ(lane(max(all(T(-2)), all(T(3)))), T(3));
  EXPECT_EQ(lane(min(all(T(-2)), all(T(3)))), T(-2));
  EXPECT_EQ(magnitude(lane(max(all(T(-2)), all(infinity<T>())))), infinite_bits<T>);
}

TYPED_TEST(FastMathPacket, NaNComparesFalse) {
  using T = TypeParam;
  const auto chosen = [](T a, T b) { return lane(select_less_equal(all(a), all(b), all(T(1)), all(T(0)))) == 1; };
  for (const bool sign : {false, true}) {
    for (const T other : {T(0), T(2), T(-3), infinity<T>(), -infinity<T>(), nan<T>()}) {
      EXPECT_FALSE(chosen(nan<T>(sign), other));
      EXPECT_FALSE(chosen(other, nan<T>(sign)));
    }
  }
}

TYPED_TEST(FastMathPacket, NumbersCompareAsEver) {
  using T = TypeParam;
  const auto chosen = [](T a, T b) { return lane(select_less_equal(all(a), all(b), all(T(1)), all(T(0)))) == 1; };
  const T zero = from_bits<T>(0), negative_zero = from_bits<T>(bits_t<T>(1) << (sizeof(T) * 8 - 1));
  const T ascending[] = {-infinity<T>(), T(-3), T(-2), T(-1e-30), T(1e-30), T(1), T(2), infinity<T>()};
  for (const T& a : ascending) {
    for (const T& b : ascending) EXPECT_EQ(chosen(a, b), &a <= &b) << a << " " << b;
    EXPECT_EQ(chosen(a, zero), &a < ascending + 4);
    EXPECT_EQ(chosen(a, negative_zero), &a < ascending + 4);
    EXPECT_EQ(chosen(zero, a), &a >= ascending + 4);
    EXPECT_EQ(chosen(negative_zero, a), &a >= ascending + 4);
  }
  EXPECT_TRUE(chosen(zero, negative_zero));
  EXPECT_TRUE(chosen(negative_zero, zero));
}

TYPED_TEST(FastMathPacket, SignsAreThoseOfTheBits) {
  using T = TypeParam;
  const T zero = from_bits<T>(0);
  EXPECT_TRUE(has_sign(lane(-all(zero))));
  EXPECT_FALSE(has_sign(lane(-(-all(zero)))));
  EXPECT_TRUE(has_sign(lane(copysign(all(T(2)), -all(zero)))));
  EXPECT_FALSE(has_sign(lane(copysign(all(T(-2)), all(zero)))));
  EXPECT_TRUE(has_sign(lane(bn::activations::tanh{}.forward(-all(zero)))));
  EXPECT_FALSE(has_sign(lane(abs(-all(zero)))));
}

TYPED_TEST(FastMathPacket, TheExponentialKeepsItsEndsAndItsDigits) {
  using T = TypeParam;
  EXPECT_TRUE(is_nan(lane(exp(all(nan<T>())))));
  EXPECT_TRUE(is_nan(lane(exp(all(nan<T>(true))))));
  EXPECT_EQ(magnitude(lane(exp(all(-infinity<T>())))), 0);
  EXPECT_EQ(magnitude(lane(exp(all(T(-800))))), 0);
  EXPECT_EQ(magnitude(lane(exp(all(infinity<T>())))), infinite_bits<T>);
  EXPECT_EQ(magnitude(lane(exp(all(T(800))))), infinite_bits<T>);
  // The reduction of the argument loses digits under -ffast-math, as many as the argument has before the point.
  for (double a = -80; a < 80; a += 0.37) {
    const double argument = static_cast<double>(T(a)), expected = std::exp(argument);
    const double error = std::abs(static_cast<double>(lane(exp(all(T(a))))) / expected - 1);
    EXPECT_LE(error, (2 + std::abs(a)) * static_cast<double>(std::numeric_limits<T>::epsilon())) << a;
  }
}

/// f of NaN, and the gradient at 1 of a dy that is NaN.
template <class T, class A>
void expect_nan(const A& activation) {
  for (const bool sign : {false, true}) {
    const auto z = all(nan<T>(sign));
    EXPECT_TRUE(is_nan(lane(activation.forward(z)))) << activation.name();
    EXPECT_TRUE(is_nan(lane(activation.backward(all(T(1)), z)))) << activation.name() << ", dy";
  }
}

TYPED_TEST(FastMathPacket, NaNGoesThroughActivations) {
  using T = TypeParam;
  expect_nan<T>(bn::activations::identity{});
  expect_nan<T>(bn::relu{});
  expect_nan<T>(bn::leaky_relu{});
  expect_nan<T>(bn::sigmoid{});
  expect_nan<T>(bn::activations::tanh{});
  for (const bool sign : {false, true}) {
    const auto bad = all(nan<T>(sign)), one = all(T(1));
    EXPECT_TRUE(is_nan(lane(bn::add_relu{}.forward(bad, one))));
    EXPECT_TRUE(is_nan(lane(bn::add_relu{}.forward(one, bad))));
    EXPECT_TRUE(is_nan(lane(bn::add_relu{}.backward(one, one, bad))));
    EXPECT_TRUE(is_nan(lane(bn::sigmoid{}.backward(bad, one))));
    EXPECT_TRUE(is_nan(lane(bn::activations::tanh{}.backward(bad, one))));
    EXPECT_TRUE(is_nan(lane(bn::leaky_relu{}.inverse(bad))));
  }
}

TYPED_TEST(FastMathPacket, InfinityGoesThroughActivations) {
  using T = TypeParam;
  const auto up = all(infinity<T>()), down = all(-infinity<T>());
  const auto expect = [](const bn::Packet<T>& y, bits_t<T> bits, bool sign) {
    EXPECT_EQ(magnitude(lane(y)), bits);
    EXPECT_EQ(has_sign(lane(y)), sign);
  };
  const bits_t<T> one = std::bit_cast<bits_t<T>>(T(1));
  expect(bn::relu{}.forward(up), infinite_bits<T>, false);
  expect(bn::relu{}.forward(down), 0, false);
  expect(bn::leaky_relu{}.forward(down), infinite_bits<T>, true);
  expect(bn::sigmoid{}.forward(up), one, false);
  expect(bn::sigmoid{}.forward(down), 0, false);
  expect(bn::sigmoid{}.forward(all(T(-2000))), 0, false);
  expect(bn::activations::tanh{}.forward(up), one, false);
  expect(bn::activations::tanh{}.forward(down), one, true);
  expect(all(T(3)) / up, 0, false);
}

TEST(FastMath, OptionsRefuseWhatIsNotFinite) {
  for (const double epsilon : {nan<double>(), nan<double>(true), infinity<double>(), -infinity<double>(), -1e-5, 0.0}) {
    EXPECT_TRUE(has_parts(message_of([&] { bn::detail::check_epsilon<float>("BatchNorm", epsilon); }), "epsilon"));
  }
  for (const double weight : {nan<double>(), infinity<double>(), -0.5}) {
    EXPECT_TRUE(has_parts(message_of([&] { bn::exponential(weight); }), "exponential"));
    EXPECT_TRUE(has_parts(message_of([&] { bn::exponential_decay(weight); }), "exponential_decay"));
  }
  for (const double slope : {nan<double>(), infinity<double>(), -0.5, 0.0}) {
    EXPECT_TRUE(has_parts(message_of([&] { [[maybe_unused]] const bn::leaky_relu activation(slope); }), "leaky_relu"));
  }
}

TEST(FastMath, MomentsAndPopulationsKnowWhatIsNotFinite) {
  Eigen::MatrixXf x = Eigen::MatrixXf::Random(12, 2);
  x(7, 1) = nan<float>();
  bn::Moments moments;
  bn::batch_moments(x, moments);
  EXPECT_FALSE(moments.all_finite());
  bn::PopulationStatistics population(2);
  EXPECT_TRUE(has_parts(message_of([&] { population.add(moments); }), "expected finite", "channel 1"));
  x(7, 1) = 0;
  bn::batch_moments(x, moments);
  EXPECT_TRUE(moments.all_finite());
  population.add(moments);
  EXPECT_EQ(population.batches(), 1);
}

}  // namespace fast_math_test
