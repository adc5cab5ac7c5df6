#include <gtest/gtest.h>

#include <batchnorm/walk/planes.hpp>
#include <cstdint>
#include <limits>

#include "support/blocks.hpp"

namespace planes_test {

namespace detail = batchnorm::detail;
using detail::PlaneBlocks;
using testing_support::Extent;
using testing_support::Index;

/// Inputs of so many bytes per element are cut already where there are few of them.
constexpr Index in_ranges = Index(1) << 13;

PlaneBlocks to_reduce(const Extent& e, Index bytes) {
  return PlaneBlocks::to_reduce(e.outer, e.channels, e.inner, bytes);
}
PlaneBlocks to_write(const Extent& e, Index bytes) {
  return PlaneBlocks::to_write(e.outer, e.channels, e.inner, bytes);
}

/// Packets, four of them and their tails; short planes of more channels and slices than are summed at a time; chunks of
/// 32768 values of several planes or of a part of one; few channels and many: dense, with gaps between slices, and
/// between channels.
const Extent extents[] = {{1, 1, 1},    {1, 1, 3},         {3, 2, 3},    {4, 3, 5},     {5, 3, 8},     {7, 3, 15},
                          {9, 2, 16},   {2, 2, 17},        {3, 5, 31},   {3, 5, 33},    {2, 3, 67},    {15, 40, 49},
                          {40, 70, 49}, {33, 35, 100},     {9, 65, 255}, {40, 3, 600},  {13, 2, 4096}, {5, 2, 4097},
                          {3, 2, 8191}, {2, 2, 8192},      {2, 2, 8193}, {3, 2, 20000}, {70, 1, 8200}, {1, 17, 999},
                          {2, 1500, 2}, {1, 1, 150 * 8192}};

template <class Check>
void for_each_extent(const Check& check) {
  for (Extent extent : extents) {
    for (const auto& [slice_gap, channel_gap] : {std::array{0, 0}, std::array{3, 0}, std::array{0, 5}}) {
      for (const Index bytes : {Index(4), in_ranges}) {
        extent.slice_gap = slice_gap;
        extent.channel_gap = channel_gap;
        SCOPED_TRACE(testing::Message() << extent << ", " << bytes << " bytes per element");
        check(extent, bytes);
        if (testing::Test::HasFailure()) return;
      }
    }
  }
}

TEST(PlaneBlocks, ReadEachElementOnce) {
  for_each_extent([](const Extent& extent, Index bytes) {
    testing_support::expect_each_element_is_read_once<float>(to_reduce(extent, bytes), extent);
    if (extent.outer * extent.inner < 100000)
      testing_support::expect_each_element_is_read_once<double, 2>(to_reduce(extent, bytes), extent);
  });
}

// Short planes that lie side by side are read in the order of memory, as far as their sums stay in L1.
TEST(PlaneBlocks, ReadShortPlanesSliceBySlice) {
  for (const Extent& extent : {Extent{20, 32, 49}, Extent{20, 7, 63}, Extent{3, 20, 60, 5}}) {
    SCOPED_TRACE(testing::Message() << extent);
    const auto blocks = to_reduce(extent, 4);
    ASSERT_EQ(blocks.count(), 1);
    const std::vector<float> memory(std::size_t(extent.outer * extent.outer_stride()));
    const float* last = nullptr;
    Index steps_back = 0;
    const auto visit = [&](const float* address, float) {
      steps_back += last != nullptr && address <= last;
      last = address;
    };
    testing_support::visit_chunk(blocks[0], blocks[0].chunk(0), std::array{extent.view(memory.data())}, visit);
    EXPECT_EQ(steps_back, 0);
  }
}

// Sixteen times this number is a float, seventeen times is none. In planes of a packet, or of one for each accumulator,
// lanes are added up over slices alone.
TEST(PlaneBlocks, AddFewNumbersInALaneBeforeTheyGoToDouble) {
  constexpr float number = 0x1p20f + 1;
  constexpr Index W = batchnorm::Packet<float>::size;
  for (const Index length : {W, 4 * W}) {
    for (const Index slices : {1, 15, 16, 17, 100}) {
      const Extent extent{slices, 3, length};
      const std::vector<float> memory(std::size_t(extent.outer * extent.outer_stride()), number);
      const auto blocks = to_reduce(extent, 4);
      ASSERT_EQ(blocks.count(), 1);
      const detail::Views<const float, 1> inputs{extent.view(memory.data())};
      detail::ColumnTable<float, testing_support::Label> table;
      testing_support::label_channels(table, blocks[0], 0);
      detail::ChannelSums sums;
      blocks[0].reduce(
          blocks[0].chunk(0), table, [](const auto&) { return testing_support::Sum(); }, inputs, sums);
      EXPECT_EQ(sums.s1[2], double(slices * length) * double(number)) << length << " numbers in " << slices;
    }
  }
}

TEST(PlaneBlocks, WriteEachElementOnceWhereTheyWereReduced) {
  for_each_extent([](const Extent& extent, Index bytes) {
    testing_support::expect_each_element_is_written_once<false, float>(to_reduce(extent, bytes), extent);
    testing_support::expect_each_element_is_written_once<true, float>(to_reduce(extent, bytes), extent);
  });
}

TEST(PlaneBlocks, WriteEachElementOnceInMemoryOrder) {
  for_each_extent([](const Extent& extent, Index bytes) {
    testing_support::expect_each_element_is_written_once<false, float>(to_write(extent, bytes), extent);
    testing_support::expect_each_element_is_written_once<true, float>(to_write(extent, bytes), extent);
  });
}

TEST(PlaneBlocks, CutFewLongChannelsIntoABoundedNumberOfRanges) {
  for (const Index inner : {2, 511, 8192, 8193, 1 << 20}) {
    for (const Index outer : {1, 2, 15, 1000}) {
      for (const Index channels : {1, 2, 15, 16, 1000}) {
        for (const Index bytes : {2, 4, 24}) {
          const auto blocks = PlaneBlocks::to_reduce(outer, channels, inner, bytes);
          EXPECT_LE(blocks.ranges(), detail::max_ranges);
          EXPECT_TRUE(channels < 16 || blocks.ranges() == 1);
        }
      }
    }
  }
  EXPECT_EQ(PlaneBlocks::to_reduce(1, 2, Index(1) << 28, 4).ranges(), detail::max_ranges);
}

TEST(PlaneBlocks, KeepShortChannelsTogetherAndWhole) {
  EXPECT_EQ(PlaneBlocks::to_reduce(1, 100, 60, 4).count(), 1);
  EXPECT_EQ(PlaneBlocks::to_reduce(1, 5000, 2, 4)[0].channels, detail::max_columns);
  EXPECT_EQ(PlaneBlocks::to_write(1, 5000, 2, 4)[0].channels, detail::max_columns);
}

TEST(PlaneBlocks, ReachTheLastOfMoreThan2To31Elements) {
  for (const Extent& extent :
       {Extent{3, 2, (Index(1) << 32) + 5}, Extent{Index(1) << 22, 3, 1025}, Extent{2, Index(1) << 30, 3}}) {
    SCOPED_TRACE(testing::Message() << extent);
    const auto* data = reinterpret_cast<const float*>(std::uintptr_t(4096));
    for (const auto& blocks : {to_reduce(extent, 4), to_write(extent, 4)}) {
      const auto block = blocks[blocks.count() - 1];
      EXPECT_EQ(block.first_channel + block.channels, extent.channels);
      const auto chunk = block.chunk(block.chunks() - 1);
      EXPECT_EQ(chunk.first + chunk.slices, extent.outer);
      EXPECT_EQ(chunk.end, extent.inner);
    }
    const auto blocks = to_reduce(extent, 4);
    EXPECT_EQ(testing_support::values_in(blocks), extent.count());
    const auto block = blocks[blocks.count() - 1];
    std::uintptr_t most = 0;
    const auto visit = [&](const float* address, float) {
      most = std::max(most, reinterpret_cast<std::uintptr_t>(address));
    };
    testing_support::visit_chunk(block, block.chunk(block.chunks() - 1), std::array{extent.view(data)}, visit);
    EXPECT_EQ(most, 4096 + 4 * std::uintptr_t(extent.outer * extent.outer_stride() - 1));
  }
}

}  // namespace planes_test
