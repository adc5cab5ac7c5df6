#include <gtest/gtest.h>

#include <batchnorm/core/activation.hpp>
#include <cmath>
#include <limits>

#include "support/values.hpp"

namespace bn = batchnorm;

namespace {

template <class Scalar>
constexpr Scalar not_a_number = std::numeric_limits<Scalar>::quiet_NaN();
template <class Scalar>
constexpr Scalar infinity = std::numeric_limits<Scalar>::infinity();

/// f on packets filled with one value each; all lanes must agree, and the first is returned.
template <class Scalar, class F>
Scalar in_packet(const F& f) {
  Scalar lanes[bn::Packet<Scalar>::size];
  f([](Scalar value) { return bn::Packet<Scalar>::broadcast(value); }).store(lanes);
  for (const Scalar lane : lanes) EXPECT_TRUE(testing_support::same_bits(lane, lanes[0]));
  return lanes[0];
}

template <class Scalar>
Scalar relu(Scalar z) {
  return in_packet<Scalar>([&](auto set) { return bn::relu{}.forward(set(z)); });
}

template <class Scalar>
Scalar relu_gradient(Scalar z, Scalar dy) {
  return in_packet<Scalar>([&](auto set) { return bn::relu{}.backward(set(z), set(dy)); });
}

}  // namespace

template <class Scalar>
class Relu : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Relu, Scalars);

TYPED_TEST(Relu, KeepsWhatIsPositiveAndNothingElse) {
  using S = TypeParam;
  EXPECT_EQ(relu(S(2.5)), S(2.5));
  EXPECT_EQ(relu(S(-2.5)), S(0));
  EXPECT_EQ(relu(S(0)), S(0));
  EXPECT_EQ(relu(std::numeric_limits<S>::denorm_min()), std::numeric_limits<S>::denorm_min());
  EXPECT_EQ(relu(infinity<S>), infinity<S>);
  EXPECT_EQ(relu(-infinity<S>), S(0));
}

TYPED_TEST(Relu, LetsNaNThrough) { EXPECT_TRUE(std::isnan(relu(not_a_number<TypeParam>))); }

TYPED_TEST(Relu, PassesTheGradientWhereItsInputIsPositive) {
  using S = TypeParam;
  EXPECT_EQ(relu_gradient(S(0.5), S(3)), S(3));
  EXPECT_EQ(relu_gradient(S(-0.5), S(3)), S(0));
}

TYPED_TEST(Relu, HasGradientZeroAtZeroOfEitherSign) {
  using S = TypeParam;
  EXPECT_EQ(relu_gradient(S(0), S(3)), S(0));
  EXPECT_EQ(relu_gradient(-S(0), S(3)), S(0));
}

TYPED_TEST(Relu, StopsEvenANaNGradientWhereItIsOff) {
  EXPECT_EQ(relu_gradient(TypeParam(-1), not_a_number<TypeParam>), TypeParam(0));
}

TYPED_TEST(Relu, PassesTheGradientWhereItsInputIsNaN) {
  EXPECT_EQ(relu_gradient(not_a_number<TypeParam>, TypeParam(3)), TypeParam(3));
}

TEST(Identity, IsOne) {
  EXPECT_EQ((in_packet<float>([](auto set) { return bn::identity{}.forward(set(-1.5f)); })), -1.5f);
  EXPECT_EQ((in_packet<float>([](auto set) { return bn::identity{}.backward(set(-1.5f), set(3.0f)); })), 3.0f);
}

TEST(Activations, HaveTheNamesUsersWrite) {
  EXPECT_STREQ(bn::identity::name(), "identity");
  EXPECT_STREQ(bn::relu::name(), "relu");
}
