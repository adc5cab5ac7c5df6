#include <gtest/gtest.h>

#include <algorithm>
#include <batchnorm/core/activation.hpp>
#include <cmath>
#include <limits>

#include "support/gradient_check.hpp"
#include "support/sweep.hpp"
#include "support/throws.hpp"
#include "support/values.hpp"

namespace activation_test {

namespace bn = batchnorm;
using testing_support::message_of;
using testing_support::Real;
using testing_support::relative_epsilons;
using testing_support::same_bits;
using testing_support::sweep;

template <class Scalar>
constexpr Scalar not_a_number = std::numeric_limits<Scalar>::quiet_NaN();
template <class Scalar>
constexpr Scalar infinity = std::numeric_limits<Scalar>::infinity();

/// f on packets filled with one value each; all lanes must agree, and the first is returned.
template <class Scalar, class F>
Scalar in_packet(const F& f) {
  Scalar lanes[bn::Packet<Scalar>::size];
  f([](Scalar value) { return bn::Packet<Scalar>::broadcast(value); }).store(lanes);
  for (const Scalar lane : lanes) EXPECT_TRUE(same_bits(lane, lanes[0]));
  return lanes[0];
}

template <class Scalar, class Activation>
Scalar value(const Activation& activation, Scalar z) {
  return in_packet<Scalar>([&](auto set) { return activation.forward(set(z)); });
}

template <class Scalar, class Activation>
Scalar gradient(const Activation& activation, Scalar z, Scalar dy) {
  return in_packet<Scalar>([&](auto set) { return activation.backward(set(z), set(dy)); });
}

template <class Scalar, class Activation>
Scalar inverse(const Activation& activation, Scalar y) {
  return in_packet<Scalar>([&](auto set) { return activation.inverse(set(y)); });
}

Real logistic(Real z) { return 1 / (1 + std::exp(-z)); }
/// Even in z, and without the cancellation of 1 - logistic(z) for large z.
Real logistic_derivative(Real z) { return logistic(-std::abs(z)) / (1 + std::exp(-std::abs(z))); }

/// |actual - reference| <= (epsilons + per_unit |z|) * epsilon |reference| + floor, over the sweep. `per_unit` is what
/// AVX-512's exp of floats adds (packet_test.cpp), as the argument of exp is z times something.
template <class Scalar, class Function, class Reference>
void expect_close(const Function& function, const Reference& reference, double epsilons, double per_unit, Real floor) {
  for (const Scalar z : sweep<Scalar>()) {
    const Real expected = reference(Real(z)), actual = Real(function(z));
    const double bound = epsilons + (std::same_as<Scalar, float> ? per_unit * std::abs(double(z)) : 0);
    ASSERT_LE(std::abs(actual - expected),
              bound * Real(std::numeric_limits<Scalar>::epsilon()) * std::abs(expected) + floor)
        << "z = " << z << ", " << actual << " is off by " << relative_epsilons(Scalar(actual), expected) << " epsilon";
  }
}

/// backward(z, dy) is dy times a central difference of forward.
template <class Activation>
void expect_gradient_is_that_of_forward(const Activation& activation) {
  const double dy = -1.7;
  for (double z : {-6.0, -1.25, -0.7, -0.3, -1e-3, 1e-3, 0.2, 0.5, 0.8, 2.0, 5.0}) {
    const double difference = testing_support::central_difference(z, [&] { return value(activation, z); });
    EXPECT_NEAR(gradient(activation, z, dy), dy * difference, double(testing_support::difference_tolerance))
        << activation.name() << " at " << z;
  }
}

template <class Scalar, class Activation>
void expect_monotone(const Activation& activation, Scalar low, Scalar high) {
  auto values = sweep<Scalar>();
  std::sort(values.begin(), values.end());
  Scalar last = value(activation, -infinity<Scalar>);
  EXPECT_EQ(last, low);
  for (const Scalar z : values) {
    const Scalar y = value(activation, z);
    // Neighbors may change places by the rounding of either.
    ASSERT_GE(y, last - 4 * std::numeric_limits<Scalar>::epsilon() * std::abs(last)) << "z = " << z;
    ASSERT_GE(y, low);
    ASSERT_LE(y, high);
    last = y;
  }
  EXPECT_EQ(value(activation, infinity<Scalar>), high);
}

using Scalars = testing::Types<float, double>;

template <class Scalar>
class Relu : public testing::Test {};
TYPED_TEST_SUITE(Relu, Scalars);

TYPED_TEST(Relu, KeepsWhatIsPositiveAndNothingElse) {
  using S = TypeParam;
  EXPECT_EQ(value(bn::relu{}, S(2.5)), S(2.5));
  EXPECT_EQ(value(bn::relu{}, S(-2.5)), S(0));
  EXPECT_EQ(value(bn::relu{}, S(0)), S(0));
  EXPECT_EQ(value(bn::relu{}, std::numeric_limits<S>::denorm_min()), std::numeric_limits<S>::denorm_min());
  EXPECT_EQ(value(bn::relu{}, infinity<S>), infinity<S>);
  EXPECT_EQ(value(bn::relu{}, -infinity<S>), S(0));
}

TYPED_TEST(Relu, LetsNaNThrough) { EXPECT_TRUE(std::isnan(value(bn::relu{}, not_a_number<TypeParam>))); }

TYPED_TEST(Relu, PassesTheGradientWhereItsInputIsPositive) {
  using S = TypeParam;
  EXPECT_EQ(gradient(bn::relu{}, S(0.5), S(3)), S(3));
  EXPECT_EQ(gradient(bn::relu{}, S(-0.5), S(3)), S(0));
}

TYPED_TEST(Relu, HasGradientZeroAtZeroOfEitherSign) {
  using S = TypeParam;
  EXPECT_EQ(gradient(bn::relu{}, S(0), S(3)), S(0));
  EXPECT_EQ(gradient(bn::relu{}, -S(0), S(3)), S(0));
}

TYPED_TEST(Relu, StopsEvenANaNGradientWhereItIsOff) {
  EXPECT_EQ(gradient(bn::relu{}, TypeParam(-1), not_a_number<TypeParam>), TypeParam(0));
}

TYPED_TEST(Relu, PassesTheGradientWhereItsInputIsNaN) {
  EXPECT_EQ(gradient(bn::relu{}, not_a_number<TypeParam>, TypeParam(3)), TypeParam(3));
}

TEST(Identity, IsOne) {
  EXPECT_EQ(value(bn::activations::identity{}, -1.5f), -1.5f);
  EXPECT_EQ(gradient(bn::activations::identity{}, -1.5f, 3.0f), 3.0f);
  EXPECT_EQ(inverse(bn::activations::identity{}, -1.5f), -1.5f);
}

template <class Scalar>
class LeakyRelu : public testing::Test {};
TYPED_TEST_SUITE(LeakyRelu, Scalars);

TYPED_TEST(LeakyRelu, ScalesWhatIsNotPositive) {
  using S = TypeParam;
  const bn::leaky_relu activation(0.25);
  EXPECT_EQ(value(activation, S(2.5)), S(2.5));
  EXPECT_EQ(value(activation, S(-2.5)), S(-0.625));
  EXPECT_EQ(value(activation, S(0)), S(0));
  EXPECT_EQ(value(activation, infinity<S>), infinity<S>);
  EXPECT_EQ(value(activation, -infinity<S>), -infinity<S>);
  EXPECT_TRUE(std::isnan(value(activation, not_a_number<S>)));
}

TYPED_TEST(LeakyRelu, HasItsSlopeAtZeroOfEitherSign) {
  using S = TypeParam;
  const bn::leaky_relu activation(0.25);
  EXPECT_EQ(gradient(activation, S(0.5), S(3)), S(3));
  EXPECT_EQ(gradient(activation, S(-0.5), S(3)), S(0.75));
  EXPECT_EQ(gradient(activation, S(0), S(3)), S(0.75));
  EXPECT_EQ(gradient(activation, -S(0), S(3)), S(0.75));
  EXPECT_EQ(gradient(activation, not_a_number<S>, S(3)), S(3));
}

TYPED_TEST(LeakyRelu, IsInvertedWithinTheRoundingOfAProductAndAQuotient) {
  using S = TypeParam;
  for (const double slope : {0.01, 0.2, 1 / 3.0, 1.0, 3.0}) {
    const bn::leaky_relu activation(slope);
    for (const S z : sweep<S>()) {
      const S y = value(activation, z), back = inverse(activation, y);
      if (z > 0) {
        ASSERT_EQ(back, z);
      } else if (std::abs(y) >= std::numeric_limits<S>::min()) {  // a denormal y has lost digits of z
        ASSERT_LE(relative_epsilons(back, Real(z)), 1) << "z = " << z << ", slope " << slope;
      }
    }
    EXPECT_TRUE(same_bits(inverse(activation, S(0)), S(0)));
    EXPECT_EQ(inverse(activation, -infinity<S>), -infinity<S>);
    EXPECT_TRUE(std::isnan(inverse(activation, not_a_number<S>)));
  }
}

TEST(LeakyReluSlope, Is001UnlessGiven) {
  EXPECT_EQ(bn::leaky_relu{}.slope(), 0.01);
  EXPECT_EQ(bn::leaky_relu(0.2).slope(), 0.2);
  EXPECT_EQ(value(bn::leaky_relu{}, -2.0), -0.02);
}

TEST(LeakyReluSlope, MustBePositiveAndFinite) {
  EXPECT_EQ(message_of([] { bn::leaky_relu(0.0); }),
            "batchnorm: leaky_relu(slope): expected a positive and finite slope, got 0; for slope 0 use relu");
  for (const double slope : {-0.1, 1e-50, 1e50, infinity<double>, not_a_number<double>})
    EXPECT_NE(message_of([&] { bn::leaky_relu{slope}; }), "") << slope;
}

template <class Scalar>
class Sigmoid : public testing::Test {};
TYPED_TEST_SUITE(Sigmoid, Scalars);

// exp 1.5 (packet_test.cpp), the sum and the quotient half an epsilon each.
TYPED_TEST(Sigmoid, IsTheLogisticFunctionWithinTheRoundingOfItsSteps) {
  using S = TypeParam;
  expect_close<S>([](S z) { return value(bn::sigmoid{}, z); }, logistic, 2.5, 1 / 43.4, std::numeric_limits<S>::min());
}

// exp 1.5, (1 + e)^2 twice a half and a half for the square, the quotient a half.
TYPED_TEST(Sigmoid, HasADerivativeThatKeepsItsDigitsOnBothSides) {
  using S = TypeParam;
  expect_close<S>([](S z) { return gradient(bn::sigmoid{}, z, S(1)); }, logistic_derivative, 3.5, 1 / 43.4,
                  std::numeric_limits<S>::min());
}

TYPED_TEST(Sigmoid, RisesFromZeroToOne) { expect_monotone<TypeParam>(bn::sigmoid{}, 0, 1); }

TYPED_TEST(Sigmoid, IsAHalfAtZeroWithSlopeAQuarter) {
  using S = TypeParam;
  EXPECT_EQ(value(bn::sigmoid{}, S(0)), S(0.5));
  EXPECT_EQ(value(bn::sigmoid{}, -S(0)), S(0.5));
  EXPECT_EQ(gradient(bn::sigmoid{}, S(0), S(3)), S(0.75));
}

TYPED_TEST(Sigmoid, IsFlatAtInfinityAndKeepsNaN) {
  using S = TypeParam;
  for (const S z : {infinity<S>, -infinity<S>, std::numeric_limits<S>::max(), std::numeric_limits<S>::lowest()})
    EXPECT_EQ(gradient(bn::sigmoid{}, z, S(3)), S(0));
  for (const S z : {not_a_number<S>, -not_a_number<S>}) {
    EXPECT_TRUE(std::isnan(value(bn::sigmoid{}, z)));
    EXPECT_TRUE(std::isnan(gradient(bn::sigmoid{}, z, S(3))));
  }
}

template <class Scalar>
class Tanh : public testing::Test {};
TYPED_TEST_SUITE(Tanh, Scalars);

// From 0.625 on y = 1 - q, q = 2 / (E + 1): q errs by 1.5 E / (E + 1) + 1 <= 2.2 epsilon and is at most 0.8 y; half an
// epsilon for the difference. Below, the correction errs by less than 5 epsilon and is at most an eighth of y; half an
// epsilon for the sum. exp's argument is 2z, so its share of AVX-512's |2z| / 43.4 is at most 0.63 * 2 / 43.4.
TYPED_TEST(Tanh, IsTheHyperbolicTangentWithinTheRoundingOfItsSteps) {
  using S = TypeParam;
  expect_close<S>([](S z) { return value(bn::activations::tanh{}, z); }, [](Real z) { return std::tanh(z); }, 2.3,
                  1.26 / 43.4, 0);
}

// As sigmoid's, of 2z and times 4: what is below the least normal number before the 4 is lost.
TYPED_TEST(Tanh, HasADerivativeThatKeepsItsDigitsOnBothSides) {
  using S = TypeParam;
  expect_close<S>([](S z) { return gradient(bn::activations::tanh{}, z, S(1)); },
                  [](Real z) { return 4 * logistic_derivative(2 * z); }, 3.5, 2 / 43.4,
                  4 * Real(std::numeric_limits<S>::min()));
}

TYPED_TEST(Tanh, RisesFromMinusOneToOne) { expect_monotone<TypeParam>(bn::activations::tanh{}, -1, 1); }

TYPED_TEST(Tanh, IsOddToTheBit) {
  using S = TypeParam;
  for (const S z : sweep<S>())
    ASSERT_TRUE(same_bits(value(bn::activations::tanh{}, -z), -value(bn::activations::tanh{}, z))) << "z = " << z;
  EXPECT_TRUE(same_bits(value(bn::activations::tanh{}, -S(0)), -S(0)));
}

TYPED_TEST(Tanh, IsItsArgumentWhereThatIsTiny) {
  using S = TypeParam;
  for (const S z : {std::numeric_limits<S>::denorm_min(), std::numeric_limits<S>::min(), S(1e-30)})
    EXPECT_EQ(value(bn::activations::tanh{}, z), z);
}

TYPED_TEST(Tanh, HasSlopeOneAtZero) {
  EXPECT_EQ(gradient(bn::activations::tanh{}, TypeParam(0), TypeParam(3)), TypeParam(3));
}

TYPED_TEST(Tanh, IsFlatAtInfinityAndKeepsNaN) {
  using S = TypeParam;
  for (const S z : {infinity<S>, -infinity<S>, std::numeric_limits<S>::max(), std::numeric_limits<S>::lowest()})
    EXPECT_EQ(gradient(bn::activations::tanh{}, z, S(3)), S(0));
  for (const S z : {not_a_number<S>, -not_a_number<S>}) {
    EXPECT_TRUE(std::isnan(value(bn::activations::tanh{}, z)));
    EXPECT_TRUE(std::isnan(gradient(bn::activations::tanh{}, z, S(3))));
  }
}

template <class Scalar>
class AddRelu : public testing::Test {
 protected:
  static Scalar value(Scalar z, Scalar residual) {
    return in_packet<Scalar>([&](auto set) { return bn::add_relu{}.forward(set(z), set(residual)); });
  }
  static Scalar gradient(Scalar z, Scalar residual, Scalar dy) {
    return in_packet<Scalar>([&](auto set) { return bn::add_relu{}.backward(set(z), set(residual), set(dy)); });
  }
};
TYPED_TEST_SUITE(AddRelu, Scalars);

TYPED_TEST(AddRelu, IsReluOfTheSum) {
  using S = TypeParam;
  EXPECT_EQ(this->value(S(-1), S(3)), S(2));
  EXPECT_EQ(this->value(S(3), S(-1)), S(2));
  EXPECT_EQ(this->value(S(1), S(-3)), S(0));
  EXPECT_EQ(this->value(infinity<S>, S(-3)), infinity<S>);
}

TYPED_TEST(AddRelu, PassesTheGradientWhereTheSumIsPositive) {
  using S = TypeParam;
  EXPECT_EQ(this->gradient(S(-1), S(3), S(5)), S(5));
  EXPECT_EQ(this->gradient(S(1), S(-3), S(5)), S(0));
  EXPECT_EQ(this->gradient(S(1), S(-1), S(5)), S(0));
  EXPECT_EQ(this->gradient(S(1), S(-3), not_a_number<S>), S(0));
}

TYPED_TEST(AddRelu, KeepsNaNOfEitherArgument) {
  using S = TypeParam;
  EXPECT_TRUE(std::isnan(this->value(not_a_number<S>, S(-1))));
  EXPECT_TRUE(std::isnan(this->value(S(-1), not_a_number<S>)));
  EXPECT_TRUE(std::isnan(this->value(infinity<S>, -infinity<S>)));
  EXPECT_EQ(this->gradient(S(-1), not_a_number<S>, S(5)), S(5));
}

TEST(Activations, HaveTheGradientThatFiniteDifferencesShow) {
  expect_gradient_is_that_of_forward(bn::activations::identity{});
  expect_gradient_is_that_of_forward(bn::relu{});
  expect_gradient_is_that_of_forward(bn::leaky_relu(0.2));
  expect_gradient_is_that_of_forward(bn::sigmoid{});
  expect_gradient_is_that_of_forward(bn::activations::tanh{});
}

TEST(Activations, HaveTheNamesUsersWrite) {
  EXPECT_EQ(bn::activations::identity::name(), "identity");
  EXPECT_EQ(bn::relu::name(), "relu");
  EXPECT_EQ(bn::leaky_relu{}.name(), "leaky_relu(0.01)");
  EXPECT_EQ(bn::leaky_relu(0.2).name(), "leaky_relu(0.2)");
  EXPECT_EQ(bn::sigmoid::name(), "sigmoid");
  EXPECT_EQ(bn::activations::tanh::name(), "tanh");
  EXPECT_EQ(bn::add_relu::name(), "add_relu");
}

/// For one type only, and with a name that is not a std::string.
struct doubled {
  bn::Packet<float> forward(const bn::Packet<float>& z) const { return z + z; }
  bn::Packet<float> backward(const bn::Packet<float>&, const bn::Packet<float>& dy) const { return dy + dy; }
  const char* name() const { return "doubled"; }
};

template <class A>
constexpr bool is_activation = bn::FusableActivation<A, float>&& bn::FusableActivation<A, double>;
template <class A>
constexpr bool is_invertible = bn::InvertibleActivation<A, float>&& bn::InvertibleActivation<A, double>;
template <class A>
constexpr bool is_residual = bn::ResidualActivation<A, float>&& bn::ResidualActivation<A, double>;

TEST(Activations, AreToldApartByTheirConcepts) {
  static_assert(is_activation<bn::activations::identity> && is_activation<bn::relu> && is_activation<bn::leaky_relu> &&
                is_activation<bn::sigmoid> && is_activation<bn::activations::tanh>);
  static_assert(is_invertible<bn::activations::identity> && is_invertible<bn::leaky_relu>);
  static_assert(!is_invertible<bn::relu> && !is_invertible<bn::sigmoid> && !is_invertible<bn::activations::tanh>);
  static_assert(is_residual<bn::add_relu> && !is_residual<bn::relu> && !is_activation<bn::add_relu>);
  static_assert(bn::FusableActivation<doubled> && !bn::FusableActivation<doubled, double> &&
                !bn::FusableActivation<int>);
}

}  // namespace activation_test
