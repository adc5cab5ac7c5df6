// Weights by position: what they add up to, where a sample is taken, and what stands for a row.
#include <gtest/gtest.h>

#include <batchnorm/walk/columns.hpp>
#include <batchnorm/walk/planes.hpp>
#include <batchnorm/walk/rows.hpp>
#include <batchnorm/walk/weights.hpp>
#include <vector>

#include "support/blocks.hpp"
#include "support/random.hpp"

namespace weights_test {

using batchnorm::ChannelView;
using batchnorm::Index;
using batchnorm::Packet;
using namespace batchnorm::detail;
using Weights = PositionWeights<float>;

/// Weights that are sums of few powers of two, so that sums of them are exact; two thirds of them 0.
std::vector<float> some_weights(Index count) {
  testing_support::Random random(5);
  std::vector<float> result;
  for (Index k = 0; k < count; ++k) {
    const double u = random.uniform(-16, 8);
    result.push_back(u > 0 ? float(int(u)) / 8 : 0.0f);
  }
  return result;
}

ChannelView<const float> view(Index outer, Index channels, Index inner) {
  return {nullptr, outer, channels, inner, channels * inner, inner};
}

TEST(PositionWeights, AddUpOverEveryPart) {
  const std::vector<float> values = some_weights(7 * 150);
  const Weights weights(values, view(7, 3, 150));
  for (const PlaneChunk& chunk :
       {PlaneChunk{0, 7, 0, 150}, {2, 3, 0, 150}, {6, 1, 0, 150}, {3, 1, 64, 128}, {5, 1, 37, 150}, {4, 0, 0, 150}}) {
    double weight = 0, present = 0;
    for (Index o = chunk.first; o < chunk.first + chunk.slices; ++o) {
      for (Index i = chunk.begin; i < chunk.end; ++i) {
        weight += double(values[std::size_t(o * 150 + i)]);
        present += values[std::size_t(o * 150 + i)] > 0;
      }
    }
    EXPECT_EQ(weights.total(chunk), weight);
    EXPECT_EQ(weights.present(chunk), present);
  }
  EXPECT_EQ(weights.total(view(7, 3, 150)), weights.total(PlaneChunk{0, 7, 0, 150}));
  EXPECT_EQ(weights.largest(), *std::max_element(values.begin(), values.end()));
}

TEST(PositionWeights, KnowWhetherTheyAreAsGoodAsNone) {
  for (const Index count : {1, 5, 64, 1000}) {
    std::vector<float> values(std::size_t(count), 1.0f);
    EXPECT_TRUE(Weights(values, view(count, 3, 1)).are_ones());
    for (const float other : {0.0f, 0.5f, 2.0f}) {
      for (const std::size_t at : {std::size_t(0), values.size() / 2, values.size() - 1}) {
        values[at] = other;
        EXPECT_FALSE(Weights(values, view(count, 3, 1)).are_ones()) << count << " with " << other << " at " << at;
        values[at] = 1;
      }
    }
  }
}

TEST(PositionWeights, FindTheNextThatIsThere) {
  for (const Index there : {0, 1, 63, 64, 200, 999}) {
    std::vector<float> values(1000, 0.0f);
    values[std::size_t(there)] = 0.25f;
    const Weights weights(values, view(1, 1, 1000));
    for (const Index from : {Index(0), there / 2, there}) EXPECT_EQ(weights.next_present(from, 1000), there);
    EXPECT_EQ(weights.next_present(0, there), there);
    EXPECT_EQ(weights.next_present(there + 1, 1000), 1000);
  }
}

/// Elements that hold their positions; the other channels hold -1.
std::vector<float> positions(Index outer, Index channels, Index inner) {
  std::vector<float> x(std::size_t(outer * channels * inner), -1.0f);
  for (Index o = 0; o < outer; ++o) {
    for (Index i = 0; i < inner; ++i) x[std::size_t(o * channels * inner + i)] = float(o * inner + i);
  }
  return x;
}

TEST(Sample, IsTakenOfWhatIsThere) {
  const Index outer = 6, channels = 2, inner = 40;
  const std::vector<float> x = positions(outer, channels, inner);
  const ChannelView<const float> v{x.data(), outer, channels, inner, channels * inner, inner};
  for (const std::vector<Index>& there :
       {std::vector<Index>{239}, {0}, {3, 5, 7}, {20, 21, 100, 101, 102, 200, 201, 239}}) {
    std::vector<float> values(std::size_t(outer * inner), 0.0f);
    for (const Index position : there) values[std::size_t(position)] = 1;
    const Sample<4> sample(PlaneChunk{0, outer, 0, inner}, inner, Weights(values, v));
    for (std::size_t k = 0; k < 4; ++k) {
      const Index taken = Index(sample.value(v, k, 0));
      EXPECT_TRUE(std::find(there.begin(), there.end(), taken) != there.end()) << taken;
    }
  }
}

TEST(PositionWeights, StandForEachColumnOfARow) {
  for (const auto& [outer, channels, inner] :
       {std::array<Index, 3>{50, 3, 1}, {40, 31, 1}, {40, 17, 1}, {16, 5, 7}, {20, 9, 15}, {17, 300, 2}}) {
    const std::vector<float> values = some_weights(outer * inner);
    const Weights weights(values, view(outer, channels, inner));
    ASSERT_FALSE(weights.is_one_for_row());
    for (Index o = 0; o < outer; ++o) {
      for (const Index first : {Index(0), channels / 2}) {
        const float* const run = weights.in_row(o, first);
        for (Index j = 0; j < (channels - first) * inner; ++j) {
          ASSERT_EQ(run[j], values[std::size_t(o * inner + j % inner)]) << channels << "x" << inner << ", column " << j;
        }
      }
    }
  }
}

/// That blocks write what the weight of each position and the constants of each channel make, from element `place` of a
/// line on: weight * (channel + 1).
template <bool Streaming, class Blocks>
void expect_written_by_position(const Blocks& blocks, const testing_support::Extent& extent, const Weights& weights,
                                Index place) {
  const auto in = testing_support::LineAligned<float>(place + extent.outer * extent.outer_stride());
  const auto out = testing_support::LineAligned<float>(in.size(), -7.0F);
  const Views<const float, 1> inputs{extent.view<const float>(in.data() + place)};
  const Views<float, 1> outputs{extent.view(out.data() + place)};
  const auto weighted = weighted_function(
      [](const auto& weight, const auto& label, const auto&) { return std::array{weight.times(label.channel)}; },
      weights);
  for (Index k = 0; k < blocks.count(); ++k) {
    const auto block = blocks[k];
    const auto table = testing_support::channel_labels<float>(block, 1);
    for (Index chunk = 0; chunk < block.chunks(); ++chunk) {
      block.template write<Streaming>(block.chunk(chunk), {0, Cache::l1}, table, weighted, inputs, outputs);
    }
  }
  if (Streaming) finish_streaming();
  Index wrong = 0;
  for (Index o = 0; o < extent.outer; ++o) {
    for (Index c = 0; c < extent.channels; ++c) {
      for (Index i = 0; i < extent.inner; ++i) {
        wrong += outputs[0].plane(o, c)[i] != float(weights.of(o, i)) * float(c + 1);
      }
    }
  }
  EXPECT_EQ(wrong, 0) << extent << " from element " << place << " of a line, " << (Streaming ? "streamed" : "stored");
}

TEST(WeightedFunction, WritesByPositionWhereverPlanesBegin) {
  for (const testing_support::Extent extent : {testing_support::Extent{3, 5, 16},
                                               {2, 7, 25},
                                               {20, 4, 49},
                                               {3, 3, 196},
                                               {2, 40, 9},
                                               {4, 1, 100},
                                               {3, 3, 50, 4, 0},
                                               {2, 3, 70, 0, 5}}) {
    const Weights weights(some_weights(extent.count()), extent.view<float>(nullptr));
    for (Index place = 0; place < 16; ++place) {
      for (const auto& blocks : {PlaneBlocks::to_write(extent.outer, extent.channels, extent.inner, 4),
                                 PlaneBlocks::to_reduce(extent.outer, extent.channels, extent.inner, 4)}) {
        expect_written_by_position<true>(blocks, extent, weights, place);
        expect_written_by_position<false>(blocks, extent, weights, place);
      }
    }
  }
}

TEST(WeightedFunction, WritesByPositionWhereverRowsBegin) {
  for (const testing_support::Extent extent : {testing_support::Extent{40, 3, 1},
                                               {200, 31, 1},
                                               {70, 40, 1},
                                               {9, 300, 1},
                                               {6, 2050, 1},
                                               {17, 5, 7},
                                               {16, 300, 15},
                                               {30, 33, 1, 5}}) {
    const Weights weights(some_weights(extent.count()), extent.view<float>(nullptr));
    const bool dense = extent.slice_gap == 0, folding = folds_rows(extent.channels, true);
    for (const Index place : {0, 1, 5, 15}) {
      auto blocks = RowBlocks::to_write(extent.outer, extent.channels, extent.inner, dense, 4, folding);
      expect_written_by_position<true>(blocks, extent, weights, place);
      expect_written_by_position<false>(blocks, extent, weights, place);
      if (weights.is_one_for_row() || !dense) continue;
      blocks.write_lines_once();
      expect_written_by_position<true>(blocks, extent, weights, place);
    }
  }
}

TEST(PositionWeights, StandForAWholeRow) {
  for (const auto& [outer, channels] : {std::array<Index, 2>{40, 32}, {17, 300}}) {
    const std::vector<float> values = some_weights(outer);
    const Weights weights(values, view(outer, channels, 1));
    ASSERT_TRUE(weights.is_one_for_row());
    for (Index o = 0; o < outer; ++o) EXPECT_EQ(weights.of_row(o), values[std::size_t(o)]);
  }
}

}  // namespace weights_test
