#include <gtest/gtest.h>

#include <batchnorm/walk/lanes.hpp>
#include <vector>

#include "support/values.hpp"

namespace lanes_test {

namespace bn = batchnorm;
using Eigen::Index;

template <class Scalar>
class ForEachPacket : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(ForEachPacket, Scalars);

TYPED_TEST(ForEachPacket, ReadsAndWritesARowOfAnyLengthAndNothingBehindIt) {
  using S = TypeParam;
  using Packet = bn::Packet<S>;
  for (Index length = 0; length <= 5 * Packet::size + 1; ++length) {
    std::vector<S> in(std::size_t(length + 1)), out(std::size_t(length + 1), S(-7));
    for (Index i = 0; i <= length; ++i) in[std::size_t(i)] = S(i + 1);
    // Only `length` elements are handed over as a vector of their own, so that a sanitizer sees a read behind the end.
    const std::vector<S> exact(in.begin(), in.end() - 1);
    Index next = 0;
    bn::detail::for_each_packet<S>(0, length, [&](Index i, auto lanes) {
      EXPECT_EQ(i, next);
      next += Packet::size;
      const auto packet = lanes.load(exact.data() + i, Packet::broadcast(S(100)));
      lanes.store(out.data() + i, packet + packet);
    });
    EXPECT_GE(next, length);
    for (Index i = 0; i < length; ++i) EXPECT_EQ(out[std::size_t(i)], S(2 * (i + 1)));
    EXPECT_EQ(out[std::size_t(length)], S(-7));
  }
}

TYPED_TEST(ForEachPacket, FillsTheLanesBehindTheEnd) {
  using S = TypeParam;
  using Packet = bn::Packet<S>;
  const std::vector<S> one{S(3)};
  S total = 0;
  bn::detail::for_each_packet<S>(
      0, 1, [&](Index i, auto lanes) { total += sum(lanes.load(one.data() + i, Packet::broadcast(S(10)))); });
  EXPECT_EQ(total, S(3 + 10 * (Packet::size - 1)));
}

}  // namespace lanes_test
