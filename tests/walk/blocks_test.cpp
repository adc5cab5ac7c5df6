#include <gtest/gtest.h>

#include <batchnorm/walk/blocks.hpp>

#include "support/blocks.hpp"

namespace blocks_test {

namespace detail = batchnorm::detail;
using detail::PlaneBlocks;
using detail::RowBlocks;
using testing_support::Extent;
using testing_support::Index;

/// A block of either kind and what it hides.
template <class Kind>
void expect_the_same(const detail::Block& block, const Kind& kind) {
  EXPECT_EQ(block.first_channel, kind.first_channel);
  EXPECT_EQ(block.channels, kind.channels);
  EXPECT_EQ(block.columns, detail::ColumnShape(kind).columns);
  EXPECT_EQ(block.range, kind.range);
  ASSERT_EQ(block.chunks(), kind.chunks());
  for (Index k = 0; k < block.chunks(); ++k) {
    const detail::PlaneChunk part = block.part(k), expected = kind.part(kind.chunk(k));
    EXPECT_EQ(part.first, expected.first);
    EXPECT_EQ(part.slices, expected.slices);
    EXPECT_EQ(part.begin, expected.begin);
    EXPECT_EQ(part.end, expected.end);
  }
}

template <class Kinds>
void expect_the_same_of_all(const Kinds& kinds, const Extent& extent) {
  SCOPED_TRACE(testing::Message() << extent);
  const detail::Blocks blocks(kinds);
  const auto view = extent.view(static_cast<const float*>(nullptr));
  ASSERT_EQ(blocks.count(), kinds.count());
  ASSERT_EQ(blocks.ranges(), kinds.ranges());
  EXPECT_EQ(blocks.may_be_fused(), kinds.may_be_fused());
  EXPECT_EQ(blocks.share_lines(view), kinds.share_lines(view));
  EXPECT_EQ(blocks.stride(view), kinds.stride(view));
  EXPECT_EQ(blocks.ahead(view), kinds.ahead(view));
  for (Index k = 0; k < blocks.count(); ++k) expect_the_same(blocks[k], kinds[k]);
  for (Index range = 0; range < blocks.ranges(); ++range) {
    EXPECT_EQ(testing_support::values_in(blocks, range), testing_support::values_in(kinds, range));
  }
}

TEST(Blocks, SayWhatTheirKindSays) {
  for (const Extent& e : {Extent{5, 3, 7}, Extent{60, 100, 1}, Extent{4099, 3, 1}, Extent{3000, 1000, 1},
                          Extent{16, 700, 3}, Extent{2, 3, 600000}, Extent{32, 512, 196}}) {
    expect_the_same_of_all(PlaneBlocks::to_reduce(e.outer, e.channels, e.inner, 4), e);
    expect_the_same_of_all(PlaneBlocks::to_write(e.outer, e.channels, e.inner, 4), e);
    if (e.inner >= detail::short_plane) continue;
    expect_the_same_of_all(RowBlocks::to_reduce(e.outer, e.channels, e.inner, true, 4), e);
    expect_the_same_of_all(RowBlocks::to_write(e.outer, e.channels, e.inner, true, 4), e);
  }
}

// A chunk is summed and written by its number: that of the block, whose tail is a chunk too.
TEST(Block, SumsAndWritesAChunkOfEitherKind) {
  const Extent extent{2049, 3, 1};
  const std::vector<float> ones(std::size_t(extent.count() * extent.channels), 1.0f);
  const detail::Views<const float, 1> inputs{extent.view(ones.data())};
  for (const detail::Blocks& blocks :
       {detail::Blocks(PlaneBlocks::to_reduce(extent.outer, extent.channels, 1, 4)),
        detail::Blocks(RowBlocks::to_reduce(extent.outer, extent.channels, 1, true, 4))}) {
    ASSERT_EQ(blocks.count(), 1);
    const detail::Block block = blocks[0];
    std::vector<float> out(ones.size());
    const detail::Views<float, 1> outputs{extent.view(out.data())};
    const auto table = testing_support::channel_labels<float>(block, 0);
    detail::ChannelSums sums;
    double total = 0;
    for (Index k = 0; k < block.chunks(); ++k) {
      block.reduce(
          k, table, [](const auto&) { return testing_support::Sum(); }, inputs, sums);
      total += sums.s1[2];
      block.visit([&](const auto& kind) {
        kind.template write<false>(
            kind.chunk(k), {}, table, [](const auto& label, const auto& x) { return std::array{x + label.channel}; },
            inputs, outputs);
      });
    }
    EXPECT_EQ(total, double(extent.outer));
    for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], 1.0f + float(i % 3)) << i;
  }
}

}  // namespace blocks_test
