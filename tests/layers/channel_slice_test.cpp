// Layers on some channels of a larger tensor: what they make of a copy of these, and nothing beside.
#include <gtest/gtest.h>

#include <batchnorm/layers/batch_norm.hpp>
#include <cstring>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/kernels.hpp"
#include "support/throws.hpp"

namespace channel_slice_test {

namespace bn = batchnorm;
using Eigen::Index;

constexpr Index all = 7, first = 2, some = 4;

template <class Layout, int Order>
struct Case {
  using Tensor = Eigen::Tensor<float, 4, Order>;
  static constexpr int axis = Layout::template axis<4>();

  static Eigen::array<Index, 4> extents(Index channels) {
    Eigen::array<Index, 4> result{19, 5, 3, 6};
    result[axis] = channels;
    return result;
  }
  static Tensor random(Index channels) {
    Tensor t(extents(channels));
    t.setRandom();
    return t;
  }
  static Tensor copied(const Tensor& t) {
    Eigen::array<Index, 4> start{0, 0, 0, 0};
    start[axis] = first;
    return t.slice(start, extents(some));
  }
  /// `t` with a slice put in.
  static Tensor with(Tensor t, const Tensor& slice) {
    Eigen::array<Index, 4> start{0, 0, 0, 0};
    start[axis] = first;
    t.slice(start, extents(some)) = slice;
    return t;
  }
};

bool equal_bits(const auto& a, const auto& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), std::size_t(a.size()) * sizeof(float)) == 0;
}

template <class Layout, int Order>
void expect_what_a_copy_gives() {
  using C = Case<Layout, Order>;
  const auto x = C::random(all), dy = C::random(all), untouched = C::random(all);
  auto y = untouched, dx = untouched, inferred = untouched;
  bn::BatchNorm<float, Layout> layer({.channels = some}), of_copy = layer;
  const auto of = [](auto& t) { return bn::channel_slice<Layout>(t, first, some); };
  layer.forward(of(x), of(y));
  layer.backward(of(x), of(dy), of(dx));
  layer.infer(of(x), of(inferred));

  typename C::Tensor expected, expected_dx;
  const auto x_copy = C::copied(x), dy_copy = C::copied(dy);
  of_copy.forward(x_copy, expected);
  of_copy.backward(x_copy, dy_copy, expected_dx);
  EXPECT_TRUE(equal_bits(y, C::with(untouched, expected)));
  EXPECT_TRUE(equal_bits(dx, C::with(untouched, expected_dx)));
  EXPECT_TRUE(equal_bits(inferred, C::with(untouched, of_copy.infer(x_copy))));
  EXPECT_TRUE(equal_bits(layer.infer(of(x)), of_copy.infer(x_copy)));
}

TEST(ChannelSliceOfALayer, GivesWhatACopyGivesAndTouchesNothingElse) {
  expect_what_a_copy_gives<bn::channel_first, Eigen::RowMajor>();
  expect_what_a_copy_gives<bn::channel_first, Eigen::ColMajor>();
  expect_what_a_copy_gives<bn::channel_last, Eigen::RowMajor>();
  expect_what_a_copy_gives<bn::channel_last, Eigen::ColMajor>();
  expect_what_a_copy_gives<bn::channel_axis<0>, Eigen::RowMajor>();
}

TEST(ChannelSliceOfALayer, MayBeWrittenBesideOneThatIsRead) {
  using C = Case<bn::channel_first, Eigen::RowMajor>;
  auto both = C::random(2 * some);
  const auto x = bn::channel_slice<bn::channel_first>(both, 0, some);
  bn::BatchNorm<float, bn::channel_first> layer({.channels = some});
  EXPECT_NO_THROW(layer.forward(x, bn::channel_slice<bn::channel_first>(both, some, some)));
  EXPECT_TRUE(testing_support::has_parts(
      testing_support::message_of([&] { layer.forward(x, bn::channel_slice<bn::channel_first>(both, 1, some)); }),
      "forward(y)", "overlaps part of x"));
}

}  // namespace channel_slice_test
