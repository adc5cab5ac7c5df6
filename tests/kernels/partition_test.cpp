#include <gtest/gtest.h>

#include <batchnorm/kernels/partition.hpp>
#include <vector>

namespace bn = batchnorm;
using bn::detail::cut_channels;
using bn::detail::RowBlocks;
using Eigen::Index;

namespace {

/// The shapes at which the partition changes: small, just below and above one block, many blocks, many groups of
/// channels.
struct Shape {
  Index rows, channels;
};
constexpr Shape shapes[] = {{1, 1},      {7, 3},       {8, 1024},    {8, 1025},   {511, 1024},  {513, 1024},
                            {60, 100},   {9, 5000},    {100000, 64}, {1, 10000},  {1000000, 1}, {5243, 100},
                            {5242, 100}, {4000000, 3}, {512, 4096},  {3, 3000000}};

}  // namespace

TEST(RowBlocks, CoverEveryRowOfEveryChannelOnceInOrder) {
  for (const Shape& shape : shapes) {
    for (const Index bytes : {4, 8}) {
      SCOPED_TRACE(testing::Message() << shape.rows << " x " << shape.channels << ", " << bytes << " bytes");
      const RowBlocks blocks(shape.rows, shape.channels, bytes);
      std::vector<Index> next_row(std::size_t(shape.channels), 0);
      for (Index block = 0; block < blocks.blocks(); ++block) {
        ASSERT_GE(blocks.rows(block), 1);
        ASSERT_GE(blocks.channels(block), 1);
        ASSERT_LE(blocks.channels(block), bn::detail::group_channels);
        for (Index c = blocks.first_channel(block); c < blocks.first_channel(block) + blocks.channels(block); ++c) {
          ASSERT_EQ(blocks.first_row(block), next_row[std::size_t(c)]);
          next_row[std::size_t(c)] = blocks.last_row(block);
        }
      }
      for (const Index rows : next_row) ASSERT_EQ(rows, shape.rows);
    }
  }
}

TEST(RowBlocks, AreBoundedInNumberOfRanges) {
  for (const Shape& shape : shapes) {
    EXPECT_LE(RowBlocks(shape.rows, shape.channels, 4).ranges.parts(), bn::detail::max_ranges);
  }
}

TEST(RowBlocks, LeaveASmallTensorWhole) {
  EXPECT_EQ(RowBlocks(60, 100, 4).blocks(), 1);
  EXPECT_EQ(RowBlocks(512, 1024, 4).blocks(), 1);
  EXPECT_GT(RowBlocks(513, 1024, 4).blocks(), 1);
}

TEST(RowBlocks, ViewTheirPartOfTheTensor) {
  std::vector<float> memory(2000 * 1200);
  const bn::ChannelView<float> x{memory.data(), 2000, 1100, 1, 1200, 1};
  const RowBlocks blocks(x.outer, x.channels, sizeof(float));
  ASSERT_GT(blocks.ranges.parts(), 1);
  ASSERT_EQ(blocks.groups.parts(), 2);
  const auto view = blocks.view(x, 3);
  EXPECT_EQ(view.data, x.plane(blocks.first_row(3), 1024));
  EXPECT_EQ(view.channels, 76);
  EXPECT_EQ(view.outer, blocks.rows(3));
  EXPECT_EQ(view.outer_stride, 1200);
}

TEST(CutChannels, CoversEveryChannelOnceInGroupsThatStayInCache) {
  for (const Shape& shape : shapes) {
    const auto cut = cut_channels(shape.channels, shape.rows, 4);
    Index next = 0;
    for (Index part = 0; part < cut.parts(); ++part) {
      EXPECT_EQ(cut.begin(part), next);
      EXPECT_GT(cut.end(part), next);
      EXPECT_TRUE(cut.end(part) - next == 1 || (cut.end(part) - next) * shape.rows * 4 <= bn::detail::block_bytes);
      next = cut.end(part);
    }
    EXPECT_EQ(next, shape.channels);
  }
}
