// Which blocks a shape is given, whether it streams, and that every regime covers what it should.
#include <gtest/gtest.h>

#include <batchnorm/walk/passes.hpp>
#include <limits>

#include "support/blocks.hpp"
#include "support/caches.hpp"

namespace passes_test {

namespace detail = batchnorm::detail;
using detail::RowBlocks;
using testing_support::Extent;
using testing_support::Index;

template <class Element>
detail::Blocks blocks_of(detail::Pass pass, const Extent& extent) {
  return detail::blocks_for<Element, 1>(pass, {extent.view(static_cast<const Element*>(nullptr))});
}

batchnorm::ChannelView<const float> view_of(const Extent& extent) {
  return extent.view(static_cast<const float*>(nullptr));
}

bool are_rows(const detail::Blocks& blocks) {
  return blocks.visit([](const auto& kind) { return std::same_as<decltype(kind), const RowBlocks&>; });
}
bool are_rows(const Extent& extent) { return are_rows(blocks_of<float>(detail::Pass::reduces, extent)); }

TEST(BlocksFor, TakeRowsOfChannelsAndManyVeryShortPlanesAsRows) {
  EXPECT_TRUE(are_rows({60, 100, 1}));
  EXPECT_TRUE(are_rows({60, 100, 1, 5}));
  EXPECT_TRUE(are_rows({16, 10, 63}));
  EXPECT_TRUE(are_rows({16, 10, 7, 3}));
  EXPECT_FALSE(are_rows({15, 10, 63}));
  EXPECT_FALSE(are_rows({16, 10, 64}));
  EXPECT_FALSE(are_rows({1, 10, 60}));
  EXPECT_FALSE(are_rows({16, 10, 7, 0, 3}));  // channels that do not lie side by side
}

// A pass has one kind of blocks: that of the view that allows least.
TEST(BlocksFor, LookAtEveryView) {
  const float* data = nullptr;
  const Extent beside{16, 10, 7}, apart{16, 10, 7, 0, 3};
  const auto blocks = detail::blocks_for<float, 2>(detail::Pass::reduces, {beside.view(data), apart.view(data)});
  EXPECT_FALSE(are_rows(blocks));
}

TEST(BlocksFor, CoverEveryElementOnceInEveryRegime) {
  for (const Extent& extent :
       {Extent{60, 100, 1}, Extent{60, 100, 1, 5}, Extent{4099, 3, 1}, Extent{4099, 3, 1, 2}, Extent{1000, 1024, 1},
        Extent{9, 1100, 1}, Extent{1000, 1, 1, 3}, Extent{17, 40, 49}, Extent{17, 40, 49, 2}, Extent{9, 40, 49},
        Extent{40, 70, 100}, Extent{40, 70, 100, 2}, Extent{40, 70, 100, 0, 4}, Extent{1, 7, 1031, 0, 4},
        Extent{1, 1, 600000}, Extent{2, 3, 600000}}) {
    SCOPED_TRACE(testing::Message() << extent);
    const auto reducing = blocks_of<float>(detail::Pass::reduces, extent);
    reducing.visit([&](const auto& b) { testing_support::expect_each_element_is_read_once<float>(b, extent); });
    for (const auto& blocks : {reducing, blocks_of<float>(detail::Pass::writes, extent)}) {
      blocks.visit(
          [&](const auto& b) { testing_support::expect_each_element_is_written_once<true, float>(b, extent); });
    }
  }
}

// Sixteen cores have something to do each as soon as there is more than one block takes; below, rows are one block.
TEST(BlocksFor, AreEnoughForManyCoresOfWhatIsMoreThanABlock) {
  const auto least = [](const Extent& extent) {
    Index result = std::numeric_limits<Index>::max();
    for (const auto pass : {detail::Pass::reduces, detail::Pass::writes}) {
      for (const auto& blocks :
           {blocks_of<float>(pass, extent), detail::blocks_for<float, 2>(pass, {view_of(extent), view_of(extent)})}) {
        result = std::min(result, blocks.count());
      }
    }
    return result;
  };
  for (const Extent& extent :
       {Extent{32, 64, 12544},  Extent{32, 64, 3136},  Extent{32, 256, 3136}, Extent{32, 512, 784},
        Extent{32, 1024, 196},  Extent{32, 2048, 49},  Extent{1, 64, 50176},  Extent{128, 16, 1024},
        Extent{32, 256, 289},   Extent{8, 1024, 100},  Extent{8, 67, 1024},   Extent{32 * 12544, 64, 1},
        Extent{100352, 256, 1}, Extent{25088, 512, 1}, Extent{6272, 1024, 1}, Extent{1568, 2048, 1},
        Extent{50176, 64, 1},   Extent{131072, 16, 1}, Extent{9248, 256, 1},  Extent{800, 1024, 1},
        Extent{1024, 4096, 1},  Extent{8192, 512, 1},  Extent{65536, 64, 1},  Extent{3000, 1000, 1},
        Extent{256, 4096, 1},   Extent{16, 40000, 1},  Extent{3072, 256, 1},  Extent{100000, 7, 1},
        Extent{1, 1, 600000}}) {
    EXPECT_GE(least(extent), detail::enough_blocks) << extent;
  }
  EXPECT_EQ(least({60, 100, 1}), 1);
  EXPECT_EQ(least({256, 1024, 1}), 1);
}

// Blocks are counted in int.
TEST(BlocksFor, AreFewerThan2To31ForATebibyte) {
  constexpr Index much = Index(1) << 40;
  for (const Extent& extent :
       {Extent{much / 1024, 1024, 1}, Extent{much / 3, 3, 1}, Extent{16, much / 16, 1}, Extent{much / 1024, 512, 2},
        Extent{2, 2, much / 4}, Extent{8, much / 1024, 128}, Extent{much / 4096, 4, 1024}, Extent{1, 1, much}}) {
    for (const auto pass : {detail::Pass::reduces, detail::Pass::writes}) {
      const auto blocks = blocks_of<Eigen::bfloat16>(pass, extent);
      EXPECT_LT(blocks.count(), Index(std::numeric_limits<int>::max())) << extent;
    }
  }
}

TEST(Streams, WhereInputsAndOutputsAreLargeAndApart) {
  const float* in = reinterpret_cast<const float*>(std::uintptr_t(1) << 40);
  float* out = reinterpret_cast<float*>(std::uintptr_t(1) << 41);
  const auto streams = [&](const Extent& extent, const float* x, float* y) {
    return detail::streams<float, 1, 1>({extent.view(x)}, {extent.view(y)}, false);
  };
  // x and y of half the threshold each, and a row more.
  const Extent at_threshold{detail::streaming_bytes() / 8 / 1024, 1024, 1}, above{at_threshold.outer + 1, 1024, 1};
  EXPECT_FALSE(streams(at_threshold, in, out));
  EXPECT_TRUE(streams(above, in, out));
  EXPECT_TRUE(streams(above, in, out + 1));
  EXPECT_FALSE(streams(above, out, out));
}

// Rows of 1000 floats share lines with their neighbors, rows of 1024 and folded rows of 100 do not.
TEST(Streams, LaterWhereRowsShareLines) {
  const auto streams = [](const Extent& extent) {
    const float* in = reinterpret_cast<const float*>(std::uintptr_t(1) << 40);
    float* out = reinterpret_cast<float*>(std::uintptr_t(1) << 41);
    const auto y = extent.view(out);
    const auto blocks = blocks_of<float>(detail::Pass::writes, extent);
    return detail::streams<float, 1, 1>({extent.view(in)}, {y}, blocks.share_lines(y));
  };
  EXPECT_TRUE(streams({3000, 1024, 1}));
  EXPECT_TRUE(streams({30000, 100, 1}));
  EXPECT_FALSE(streams({3000, 1000, 1}));
  EXPECT_TRUE(streams({9000, 1000, 1}));
  EXPECT_TRUE(streams({32, 250, 289}));  // planes write the lines that they share once
}

// As rows do which are many and have no gaps.
TEST(Streams, RowsThatShareLinesAsWell) {
  const auto may = [](const Extent& extent, std::uintptr_t address) {
    const auto view = extent.view(reinterpret_cast<float*>(address));
    const auto blocks =
        detail::blocks_for<float, 1, 1>(detail::Pass::writes, {extent.view<const float>(nullptr)}, {view});
    return blocks.may_write_lines_once(view);
  };
  EXPECT_TRUE(may({3000, 1000, 1}, 4096));
  EXPECT_TRUE(may({3000, 1024, 1}, 4096 + 16));
  EXPECT_FALSE(may({3000, 1024, 1}, 4096));
  EXPECT_FALSE(may({3000, 1000, 1, 8}, 4096));
  EXPECT_FALSE(may({100, 30000, 1}, 4096));
  EXPECT_FALSE(may({511, 1000, 1}, 4096));

  auto blocks = RowBlocks::to_write(3000, 1000, 1, true, 4);
  const auto view = Extent{3000, 1000, 1}.view(static_cast<float*>(nullptr));
  EXPECT_TRUE(blocks.share_lines(view));
  blocks.write_lines_once();
  EXPECT_FALSE(blocks.share_lines(view));
}

TEST(Streams, FromAnAmountOnThatTheCachesDecide) {
  constexpr Index MiB = Index(1) << 20;
  const auto with = [](Index l2, Index l3) {
    const testing_support::CacheSizes sizes(l2, l3);
    return detail::streaming_bytes();
  };
  EXPECT_EQ(with(2 * MiB, 32 * MiB), 4 * MiB);
  EXPECT_EQ(with(MiB, 32 * MiB), 16 * MiB);
  EXPECT_EQ(with(MiB / 2, 24 * MiB), 12 * MiB);
  EXPECT_EQ(with(MiB / 2, MiB), 8 * MiB);
  EXPECT_EQ(with(MiB, 256 * MiB), 16 * MiB);
}

// Lines of both outputs are streamed together.
TEST(Streams, TwoOutputsWhoseLinesBeginTogether) {
  const Extent extent{2048, 1024, 1};
  Extent strided = extent;
  strided.slice_gap = 16;
  const float* in = reinterpret_cast<const float*>(std::uintptr_t(1) << 40);
  float* out = reinterpret_cast<float*>(std::uintptr_t(1) << 41);
  const auto streams = [&](const auto& first, const auto& second) {
    return detail::streams<float, 1, 2>({extent.view(in)}, {first, second}, false);
  };
  float* const second = out + (Index(1) << 32);
  EXPECT_TRUE(streams(extent.view(out), extent.view(second)));
  EXPECT_TRUE(streams(extent.view(out + 3), extent.view(second + 3 + 16)));
  EXPECT_FALSE(streams(extent.view(out), extent.view(second + 1)));
  EXPECT_FALSE(streams(extent.view(out), strided.view(second)));
}

}  // namespace passes_test
