#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <batchnorm/walk/rows.hpp>
#include <cstdint>
#include <iterator>
#include <limits>

#include "support/blocks.hpp"

namespace rows_test {

namespace detail = batchnorm::detail;
using detail::RowBlocks;
using testing_support::Extent;
using testing_support::Index;

/// S1 += x, S2 += x * channel.
struct Term {
  batchnorm::Packet<float> channel;
  void add(const auto& lanes, batchnorm::Packet<float>& s1, batchnorm::Packet<float>& s2, const float* x) const {
    const auto value = lanes.load(x, batchnorm::Packet<float>::broadcast(0));
    s1 = s1 + value;
    s2 = s2 + value * channel;
  }
};

/// Inputs of so many bytes per element are cut into ranges already where there are few of them.
constexpr Index in_ranges = Index(1) << 16;

RowBlocks blocks_of(const Extent& e, Index bytes) {
  return RowBlocks::to_reduce(e.outer, e.channels, e.inner, e.slice_gap == 0, bytes);
}

/// Packets and their tails, eight rows, chunks of 512 rows, folds and what they leave over, groups of 1024 columns,
/// short planes up to 511: each dense and with gaps between slices.
const Extent extents[] = {{1, 1, 1},     {1, 3, 1},     {5, 3, 1},    {16, 3, 1},    {17, 3, 1},    {63, 6, 1},
                          {2048, 3, 1},  {2049, 3, 1},  {5000, 5, 1}, {700, 16, 1},  {3000, 40, 1}, {301, 100, 1},
                          {127, 511, 1}, {128, 511, 1}, {9, 512, 1},  {513, 33, 1},  {3, 1024, 1},  {7, 1025, 1},
                          {5, 2050, 1},  {16, 5, 7},    {17, 50, 49}, {520, 3, 49},  {16, 30, 196}, {16, 3, 511},
                          {19, 2, 510},  {40, 300, 4},  {16, 700, 3}, {600, 129, 8}, {33, 1, 9}};

template <class Check>
void for_each_extent(const Check& check) {
  for (Extent extent : extents) {
    for (const Index gap : {0, 3}) {
      for (const Index bytes : {Index(4), in_ranges}) {
        extent.slice_gap = gap;
        SCOPED_TRACE(testing::Message() << extent << ", " << bytes << " bytes per element");
        check(blocks_of(extent, bytes), extent);
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

TEST(RowBlocks, ReadEachElementOnce) {
  for_each_extent([](const auto& blocks, const Extent& extent) {
    testing_support::expect_each_element_is_read_once<float>(blocks, extent);
  });
}

// Fewer rows are walked together where there are more inputs.
TEST(RowBlocks, ReadEachElementOfTwoAndThreeInputsOnce) {
  for_each_extent([](const auto& blocks, const Extent& extent) {
    if (extent.outer > 600) return;
    testing_support::expect_each_element_is_read_once<double, 2>(blocks, extent);
    testing_support::expect_each_element_is_read_once<float, 3>(blocks, extent);
  });
}

TEST(RowBlocks, WriteEachElementOnceWhereTheyWereReduced) {
  for_each_extent([](const auto& blocks, const Extent& extent) {
    testing_support::expect_each_element_is_written_once<false, float>(blocks, extent);
    testing_support::expect_each_element_is_written_once<true, float>(blocks, extent);
  });
}

TEST(RowBlocks, WriteEachElementOnce) {
  for (const Extent& extent : extents) {
    for (const Index bytes : {Index(4), in_ranges}) {
      SCOPED_TRACE(testing::Message() << extent << ", " << bytes << " bytes per element");
      const auto blocks = RowBlocks::to_write(extent.outer, extent.channels, extent.inner, true, bytes);
      testing_support::expect_each_element_is_written_once<true, float>(blocks, extent);
    }
  }
}

TEST(RowBlocks, CutManyRowsIntoABoundedNumberOfRanges) {
  for (const Index outer : {1, 7, 8, 511, 512, 513, 5000, 1 << 20}) {
    for (const Index channels : {1, 3, 40, 511, 1024, 5000}) {
      for (const Index bytes : {Index(2), Index(12), in_ranges}) {
        const auto blocks = RowBlocks::to_reduce(outer, channels, 1, true, bytes);
        EXPECT_LE(blocks.ranges(), detail::max_ranges);
        EXPECT_EQ(blocks.count() % blocks.ranges(), 0);
      }
    }
  }
  EXPECT_EQ(RowBlocks::to_reduce(1 << 20, 1024, 1, true, 4).ranges(), detail::max_ranges);
}

TEST(RowBlocks, KeepWhatFitsInABlockInOneRange) {
  EXPECT_EQ(RowBlocks::to_reduce(60, 100, 1, true, 4).count(), 1);
  EXPECT_EQ(RowBlocks::to_reduce(512, 1024, 1, true, 4).count(), 1);
  EXPECT_GT(RowBlocks::to_reduce(513, 1024, 1, true, 4).ranges(), 1);
  EXPECT_EQ(RowBlocks::to_write(512, 1024, 1, true, 4).count(), 1);
}

// What a block does once for each column is paid for by its rows; what is written is written by whole rows.
TEST(RowBlocks, CutColumnsBeforeRowsWhereTheyAreReducedOnly) {
  const auto reduced = RowBlocks::to_reduce(1024, 1024, 1, true, 4),
             written = RowBlocks::to_write(1024, 1024, 1, true, 4);
  EXPECT_EQ(reduced.ranges(), 2);
  EXPECT_EQ(reduced[0].channels, 128);
  EXPECT_FALSE(reduced.may_be_fused());
  EXPECT_EQ(written.ranges(), 16);
  EXPECT_EQ(written[0].channels, 1024);
}

TEST(RowBlocks, MayBeFusedWhereTheyAreWideAndHoldWholeChannels) {
  EXPECT_TRUE(RowBlocks::to_reduce(60, 100, 1, true, 4).may_be_fused());
  EXPECT_TRUE(RowBlocks::to_reduce(64, 40000, 1, true, 4).may_be_fused());
  EXPECT_TRUE(RowBlocks::to_reduce(32, 2048, 49, true, 4).may_be_fused());
  EXPECT_FALSE(RowBlocks::to_reduce(256, 4096, 1, true, 4).may_be_fused());
  EXPECT_FALSE(RowBlocks::to_reduce(100000, 64, 1, true, 4).may_be_fused());
}

TEST(RowBlocks, HaveNoMoreColumnsThanTheirBuffers) {
  for (Index channels = 1; channels <= 2100; ++channels) {
    for (const Index inner : {1, 2, 3, 4, 7, 9, 49, 196, 511}) {
      for (const Index outer : {16, 5000}) {
        const auto blocks = RowBlocks::to_reduce(outer, channels, inner, true, 4);
        ASSERT_LE(blocks[0].columns(), detail::max_columns) << channels << " channels, inner " << inner;
        ASSERT_GE(blocks[0].columns(), 1);
      }
    }
  }
}

// Those that do not end with a line make their neighbors share one.
TEST(RowBlocks, EndGroupsOfChannelsWithACacheLineWhereTheyCan) {
  for (const Index inner : {1, 2, 3, 4, 7, 9, 16, 49, 64}) {
    const auto block = RowBlocks::to_reduce(16, 5000, inner, true, 4)[0];
    EXPECT_EQ(block.channels * inner % detail::line_elements, 0) << "inner " << inner;
  }
}

TEST(RowBlocks, ReachTheLastOfMoreThan2To31Elements) {
  const Extent extent{(Index(1) << 33) + 5, 24, 1};
  const auto* data = reinterpret_cast<const float*>(std::uintptr_t(4096));
  const auto blocks = RowBlocks::to_reduce(extent.outer, extent.channels, extent.inner, true, 4);
  EXPECT_LE(blocks.ranges(), detail::max_ranges);
  EXPECT_EQ(testing_support::values_in(blocks), extent.count());
  const auto block = blocks[blocks.count() - 1];
  std::uintptr_t least = std::numeric_limits<std::uintptr_t>::max(), most = 0;
  const auto visit = [&](const float* address, float) {
    least = std::min(least, reinterpret_cast<std::uintptr_t>(address));
    most = std::max(most, reinterpret_cast<std::uintptr_t>(address));
  };
  for (const Index chunk : {block.chunks() - 2, block.chunks() - 1}) {
    testing_support::visit_chunk(block, block.chunk(chunk), std::array{extent.view(data)}, visit);
  }
  const std::uintptr_t end = 4096 + 4 * 24 * std::uintptr_t(extent.outer);
  EXPECT_EQ(most, end - 4);
  EXPECT_GT(least, end - 4 * std::uintptr_t(2 * detail::chunk_rows * detail::max_columns));
}

TEST(RowBlock, SpreadsOneValuePerChannelOverItsColumns) {
  const auto expect_spread = [](const RowBlocks& blocks, Index columns, const auto& channel_of) {
    const detail::ColumnShape shape = blocks[0];
    ASSERT_EQ(shape.columns, columns);
    std::array<detail::ColumnBuffer<float, detail::max_columns>, 2> rows;
    for (auto& row : rows) std::fill(std::begin(row.values), std::end(row.values), -1.F);
    for (Index c = 0; c < shape.channels; ++c) {
      rows[0][c] = float(c);
      rows[1][c] = float(c + 100);
    }
    shape.spread(rows.data(), rows.size());
    for (Index j = 0; j < columns; ++j) {
      ASSERT_EQ(rows[0][j], channel_of(j)) << j;
      ASSERT_EQ(rows[1][j], channel_of(j) + 100) << j;
    }
    // What a packet at the last column reads beyond.
    for (Index j = columns; j < columns + batchnorm::Packet<float>::size; ++j) ASSERT_EQ(rows[0][j], 0) << j;
  };
  // Channels 0 1 2 of each folded row behind those of another.
  const auto folded = RowBlocks::to_reduce(100000, 3, 1, true, 4);
  ASSERT_GT(folded[0].columns(), 3);
  expect_spread(folded, folded[0].columns(), [](Index j) { return float(j % 3); });
  // Short planes of 7: 0 0 0 0 0 0 0 1 1 ...
  expect_spread(RowBlocks::to_reduce(16, 5, 7, true, 4), 35, [](Index j) { return float(j / 7); });
}

// A line is written with the block that it begins in, with the constants of the channels that the next one has.
TEST(RowBlocks, WriteLinesOnceThatRowsShare) {
  for (const Extent& extent :
       {Extent{600, 65, 1}, Extent{600, 1000, 1}, Extent{520, 1030, 1}, Extent{513, 2500, 1}, Extent{1200, 1024, 1},
        Extent{700, 3, 1}, Extent{5001, 100, 1}, Extent{30, 41, 49}, Extent{1, 1500, 1}, Extent{1, 5, 1}}) {
    for (const Index place : {0, 1, 4, 15}) {
      SCOPED_TRACE(testing::Message() << extent << " from " << place);
      auto blocks = RowBlocks::to_write(extent.outer, extent.channels, extent.inner, true, 4);
      blocks.write_lines_once();
      testing_support::expect_each_element_is_written_once<true, float>(blocks, extent, place);
      testing_support::expect_each_element_is_written_once<true, double>(blocks, extent, place % 8);
    }
  }
}

// Whole numbers, so the sums are exact: those of all columns of a channel, over all of its rows.
TEST(RowBlock, GathersTheSumsOfItsColumnsByChannel) {
  for (const Extent& extent : {Extent{100, 5, 1}, Extent{2048, 3, 1}, Extent{16, 5, 7}, Extent{20, 3, 300}}) {
    SCOPED_TRACE(testing::Message() << extent);
    std::vector<float> memory(std::size_t(extent.outer * extent.outer_stride()));
    const auto owners = extent.owners();
    std::vector<double> s1(std::size_t(extent.channels)), s2(s1);
    for (std::size_t at = 0; at < memory.size(); ++at) {
      memory[at] = float(at * 7 % 13);
      s1[std::size_t(owners[at])] += memory[at];
      s2[std::size_t(owners[at])] += memory[at] * float(owners[at] + 1);
    }
    const RowBlocks blocks = blocks_of(extent, 4);
    ASSERT_EQ(blocks.count(), 1);
    const auto block = blocks[0];
    detail::ColumnTable<float, testing_support::Label> table;
    testing_support::label_channels(table, block, 1);
    detail::ChannelSums sums;
    std::vector<double> t1(s1.size()), t2(s1.size());
    for (Index chunk = 0; chunk < block.chunks(); ++chunk) {
      block.reduce(
          block.chunk(chunk), table, [](const auto& label) { return Term{label.channel}; },
          std::array{extent.view<const float>(memory.data())}, sums);
      for (std::size_t c = 0; c < t1.size(); ++c) t1[c] += sums.s1[Index(c)], t2[c] += sums.s2[Index(c)];
    }
    EXPECT_EQ(t1, s1);
    EXPECT_EQ(t2, s2);
  }
}

}  // namespace rows_test
