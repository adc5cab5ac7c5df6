#include <gtest/gtest.h>

#include <algorithm>
#include <batchnorm/walk/partition.hpp>
#include <cstdint>

namespace partition_test {

namespace bn = batchnorm;
using bn::Index;
using bn::detail::Cut;
using View = bn::ChannelView<const float>;

TEST(Cut, HasConsecutivePartsThatAreTheWhole) {
  for (const Index extent : {0, 1, 2, 7, 8, 9, 64, 1000}) {
    for (const Index part : {1, 2, 3, 8, 64, 1000, 1001}) {
      const Cut cut{extent, part};
      Index next = 0;
      for (Index k = 0; k < cut.parts(); ++k) {
        EXPECT_EQ(cut.begin(k), next);
        EXPECT_GT(cut.size(k), 0);
        EXPECT_EQ(cut.size(k), k + 1 < cut.parts() ? part : cut.end(k) - cut.begin(k));
        next = cut.end(k);
      }
      EXPECT_EQ(next, extent);
    }
  }
}

TEST(Cut, HoldsMoreThan2To31Elements) {
  const Cut cut{(Index(1) << 40) + 1, 8192};
  EXPECT_EQ(cut.parts(), (Index(1) << 27) + 1);
  EXPECT_EQ(cut.begin(cut.parts() - 1), Index(1) << 40);
  EXPECT_EQ(cut.size(cut.parts() - 1), 1);
}

TEST(Fitting, IsAllOrWhatThereIsRoomFor) {
  for (const Index room : {0, 1, 6, 7, 100}) {
    for (const Index count : {0, 1, 2, 7, 50}) {
      for (const Index size : {1, 2, 3, 7, 101}) {
        EXPECT_EQ(bn::detail::fitting(room, count, size), std::min(count, room / size))
            << count << " of " << size << " in " << room;
      }
    }
  }
}

TEST(Division, HasQuotientAndRest) {
  for (const Index k : {Index(0), Index(1), Index(6), Index(7), (Index(1) << 40) + 5}) {
    for (const Index n : {1, 2, 7, 1000}) {
      const auto [quotient, rest] = bn::detail::Division(k, n);
      EXPECT_EQ(quotient, k / n);
      EXPECT_EQ(rest, k % n);
    }
  }
}

TEST(BytesOf, CountsTheElementsOfAllViews) {
  const View view{nullptr, 1 << 20, 4096, 3, 3 * 4096, 3};
  EXPECT_EQ(bn::detail::bytes_of(bn::detail::Views<const float, 2>{view, view}), Index(3) << 35);
}

// A plane with gaps in it is none.
TEST(OnePlane, IsADenseViewOfOneChannel) {
  using bn::detail::is_one_plane;
  EXPECT_TRUE(is_one_plane(View{nullptr, 5, 1, 7, 7, 7}));
  EXPECT_TRUE(is_one_plane(View{nullptr, 5, 1, 1, 1, 1}));
  EXPECT_TRUE(is_one_plane(View{nullptr, 1, 1, 7, 99, 99}));
  EXPECT_FALSE(is_one_plane(View{nullptr, 5, 1, 7, 8, 7}));
  EXPECT_FALSE(is_one_plane(View{nullptr, 5, 2, 7, 14, 7}));
}

TEST(OnePlane, HasAllElementsSideBySide) {
  const float element = 0;
  const View plane = bn::detail::as_one_plane(View{&element, Index(1) << 20, 1, Index(1) << 14, Index(1) << 14, 1});
  EXPECT_EQ(plane.data, &element);
  EXPECT_EQ(plane.outer, 1);
  EXPECT_EQ(plane.channels, 1);
  EXPECT_EQ(plane.inner, Index(1) << 34);
}

}  // namespace partition_test
