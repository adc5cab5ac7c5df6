#include <gtest/gtest.h>

#include <batchnorm/walk/columns.hpp>
#include <batchnorm/walk/planes.hpp>
#include <batchnorm/walk/rows.hpp>

#include "support/values.hpp"

namespace columns_test {

namespace bn = batchnorm;
namespace detail = batchnorm::detail;
using bn::Index;
using bn::Packet;

template <class V>
struct Pair {
  V first, second;
};

/// What a table holds for column j, read as a packet and as a broadcast.
template <class Scalar>
void expect_column(const detail::ColumnTable<Scalar, Pair>& table, Index j, Scalar first, Scalar second) {
  Scalar lanes[Packet<Scalar>::size];
  table.packet(j).first.store(lanes);
  EXPECT_EQ(lanes[0], first) << "column " << j;
  table.packet(j).second.store(lanes);
  EXPECT_EQ(lanes[0], second) << "column " << j;
  table.broadcast(j).second.store(lanes);
  for (const Scalar lane : lanes) EXPECT_EQ(lane, second) << "column " << j;
}

template <class Scalar>
class ColumnTable : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(ColumnTable, Scalars);

TYPED_TEST(ColumnTable, HoldsTheConstantsOfEachColumnsChannel) {
  using S = TypeParam;
  const auto expect = [](const auto& blocks, Index repeat) {
    for (Index k = 0; k < blocks.count(); ++k) {
      const auto block = blocks[k];
      const detail::ColumnTable<S, Pair> computed(block, [](Index c, auto) {
        const auto channel = detail::Channels::count_up() + detail::all_channels(double(c));
        return Pair<detail::Channels>{channel, channel * channel};
      });
      detail::ColumnTable<S, Pair> filled;
      filled.fill(block, [&](Index c) {
        const auto channel = Packet<S>::count_up() + Packet<S>::broadcast(S(block.first_channel + c));
        return Pair<Packet<S>>{channel, channel * channel};
      });
      const Index columns = detail::ColumnShape(block).columns;
      for (Index j = 0; j < columns; ++j) {
        const S channel = S(block.first_channel + j / repeat % block.channels);
        expect_column<S>(computed, j, channel, channel * channel);
        expect_column<S>(filled, j, channel, channel * channel);
      }
      // What a packet reads behind the last column is there, and is nothing strange.
      S lanes[Packet<S>::size];
      computed.packet(columns - 1).first.store(lanes);
      for (Index lane = 1; lane < Packet<S>::size; ++lane) EXPECT_EQ(lanes[lane], S(0));
    }
  };
  for (const Index channels : {1, 2, 3, 7, 8, 9, 100, 1024, 1030}) {
    SCOPED_TRACE(testing::Message() << channels << " channels");
    expect(detail::RowBlocks::to_reduce(5, channels, 1, true, 4), 1);
    expect(detail::RowBlocks::to_reduce(2048, channels, 1, true, 4), 1);
    expect(detail::RowBlocks::to_reduce(16, channels, 7, true, 4), 7);
    expect(detail::PlaneBlocks::to_reduce(2, channels, 700, 4), 1);
  }
}

// Rounded once, from double.
TYPED_TEST(ColumnTable, RoundsWhatIsComputedInDouble) {
  const auto block = detail::RowBlocks::to_reduce(5, 3, 1, true, 4)[0];
  const detail::ColumnTable<TypeParam, Pair> table(block, [](Index, auto) {
    return Pair<detail::Channels>{detail::all_channels(1 / 3.0), detail::all_channels(0.1)};
  });
  expect_column<TypeParam>(table, 2, static_cast<TypeParam>(1 / 3.0), static_cast<TypeParam>(0.1));
}

TEST(ChannelSums, AreZeroAsFarAsPacketsReach) {
  detail::ChannelSums sums;
  std::fill_n(sums.s1.values, std::size(sums.s1.values), 7.0);
  std::fill_n(sums.s2.values, std::size(sums.s2.values), 7.0);
  sums.set_zero(detail::max_columns);
  for (Index c = 0; c < detail::max_columns + Packet<double>::size; ++c) {
    EXPECT_EQ(sums.s1[c], 0);
    EXPECT_EQ(sums.s2[c], 0);
  }
}

}  // namespace columns_test
