#include <gtest/gtest.h>

#include <batchnorm/core/saved.hpp>
#include <limits>
#include <vector>

namespace saved_test {

namespace bn = batchnorm;
using Eigen::Index;

using View = bn::ChannelView<const float>;

bn::detail::Fingerprint fingerprint(const View& view) { return bn::detail::Fingerprint::of(view); }

TEST(Fingerprint, IsOfTheValuesAndNotOfTheirPlace) {
  std::vector<float> memory(60);
  for (std::size_t k = 0; k < memory.size(); ++k) memory[k] = static_cast<float>(k) + 0.5f;
  const std::vector<float> copy = memory;
  EXPECT_EQ(fingerprint({memory.data(), 3, 4, 5, 20, 5}), fingerprint({copy.data(), 3, 4, 5, 20, 5}));
}

TEST(Fingerprint, FollowsStrides) {
  std::vector<float> dense(12), strided(3 * 10, -1.0f);
  for (Index r = 0; r < 3; ++r) {
    for (Index c = 0; c < 4; ++c) dense[std::size_t(r * 4 + c)] = strided[std::size_t(r * 10 + c)] = float(r * 4 + c);
  }
  EXPECT_EQ(fingerprint({dense.data(), 3, 4, 1, 4, 1}), fingerprint({strided.data(), 3, 4, 1, 10, 1}));
}

TEST(Fingerprint, NoticesThatEveryValueHasChanged) {
  for (const View shape :
       {View{nullptr, 1, 1, 2, 2, 2}, View{nullptr, 7, 5, 1, 5, 1}, View{nullptr, 3, 4, 50, 200, 50}}) {
    std::vector<float> before(std::size_t(shape.size()), 1.0f), after(before.size(), 2.0f);
    View a = shape, b = shape;
    a.data = before.data();
    b.data = after.data();
    EXPECT_NE(fingerprint(a), fingerprint(b));
  }
}

TEST(Fingerprint, NoticesAChangeAtEitherEndOfEveryAxis) {
  const View shape{nullptr, 5, 6, 7, 42, 7};
  std::vector<float> memory(std::size_t(shape.size()), 1.0f);
  View view = shape;
  view.data = memory.data();
  const auto before = fingerprint(view);
  const auto changed_in = [&](Index o0, Index o1, Index c0, Index c1, Index i0, Index i1) {
    std::vector<float> after = memory;
    for (Index o = o0; o < o1; ++o) {
      for (Index c = c0; c < c1; ++c) {
        for (Index i = i0; i < i1; ++i) after[std::size_t(o * 42 + c * 7 + i)] = 3.0f;
      }
    }
    View other = shape;
    other.data = after.data();
    return fingerprint(other) != before;
  };
  EXPECT_TRUE(changed_in(0, 1, 0, 6, 0, 7));
  EXPECT_TRUE(changed_in(4, 5, 0, 6, 0, 7));
  EXPECT_TRUE(changed_in(0, 5, 0, 1, 0, 7));
  EXPECT_TRUE(changed_in(0, 5, 5, 6, 0, 7));
  EXPECT_TRUE(changed_in(0, 5, 0, 6, 0, 1));
  EXPECT_TRUE(changed_in(0, 5, 0, 6, 6, 7));
}

TEST(Fingerprint, OfNaNIsItsBits) {
  const std::vector<float> memory(4, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(fingerprint({memory.data(), 2, 2, 1, 2, 1}), fingerprint({memory.data(), 2, 2, 1, 2, 1}));
}

TEST(Fingerprint, OfNothingIsOne) {
  EXPECT_EQ(fingerprint({nullptr, 0, 4, 1, 4, 1}), fingerprint({nullptr, 0, 7, 1, 7, 1}));
}

}  // namespace saved_test
