#include <gtest/gtest.h>

#include <batchnorm/core/packet.hpp>
#include <limits>
#include <vector>

#include "support/values.hpp"

namespace bn = batchnorm;
using Eigen::Index;

namespace {

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

}  // namespace

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
