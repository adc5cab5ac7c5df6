// Weights by position: what they add up to, where a sample is taken, and what stands for a row.
#include <gtest/gtest.h>

#include <batchnorm/walk/columns.hpp>
#include <batchnorm/walk/weights.hpp>
#include <vector>

#include "support/random.hpp"

namespace {

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
  const Index W = Packet<float>::size;
  for (const auto& [outer, channels, inner] :
       {std::array<Index, 3>{50, 3, 1}, {40, 63, 1}, {40, 64, 1}, {17, 300, 1}, {16, 5, 7}, {20, 9, 49}}) {
    const std::vector<float> values = some_weights(outer * inner);
    const Weights weights(values, view(outer, channels, inner));
    for (Index o = 0; o < outer; ++o) {
      for (const Index first : {Index(0), channels / 2}) {
        const auto run = weights.in_row(o, first);
        for (Index j = 0; j < (channels - first) * inner; j += W) {
          for (Index k = 0; k < std::min(W, (channels - first) * inner - j); ++k) {
            EXPECT_EQ(run.at(j)[k], values[std::size_t(o * inner + (j + k) % inner)]);
          }
        }
      }
    }
  }
}

}  // namespace
