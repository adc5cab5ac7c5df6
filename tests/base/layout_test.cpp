#include <gtest/gtest.h>

#include <batchnorm/base/layout.hpp>
#include <set>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "support/throws.hpp"
#include "support/values.hpp"

namespace layout_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::extents_of;
using testing_support::for_each_index;
using testing_support::has_parts;
using testing_support::message_of;

using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ColMatrix = Eigen::MatrixXf;

/// What a view says, and that it starts where the tensor does.
struct Seen {
  Index outer, channels, inner, outer_stride, channel_stride;
  friend bool operator==(const Seen&, const Seen&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Seen& s) {
    return out << "outer " << s.outer << " (stride " << s.outer_stride << ") x channels " << s.channels << " (stride "
               << s.channel_stride << ") x inner " << s.inner;
  }
};

template <class Layout, class T>
Seen seen(T&& t) {
  const auto view = bn::channel_view<Layout>(t);
  EXPECT_EQ(view.data, t.data());
  return {view.outer, view.channels, view.inner, view.outer_stride, view.channel_stride};
}

TEST(ChannelView, OfARowMajorMatrixWithSamplesInRowsIsRowsOfChannels) {
  RowMatrix x(5, 3);
  EXPECT_EQ(seen<bn::samples_in_rows>(x), (Seen{5, 3, 1, 3, 1}));
}

TEST(ChannelView, OfAColumnMajorMatrixWithSamplesInColumnsIsRowsOfChannels) {
  ColMatrix x(3, 5);
  EXPECT_EQ(seen<bn::samples_in_columns>(x), (Seen{5, 3, 1, 3, 1}));
}

TEST(ChannelView, OfAColumnMajorMatrixWithSamplesInRowsIsPlanes) {
  ColMatrix x(5, 3);
  EXPECT_EQ(seen<bn::samples_in_rows>(x), (Seen{1, 3, 5, 15, 5}));
}

TEST(ChannelView, OfARowMajorMatrixWithSamplesInColumnsIsPlanes) {
  RowMatrix x(3, 5);
  EXPECT_EQ(seen<bn::samples_in_columns>(x), (Seen{1, 3, 5, 15, 5}));
}

TEST(ChannelView, OfAMatrixUnderChannelLastAndChannelAxisIsTheSameAsByItsName) {
  RowMatrix x(5, 3);
  EXPECT_EQ(seen<bn::channel_last>(x), seen<bn::samples_in_rows>(x));
  EXPECT_EQ(seen<bn::channel_axis<1>>(x), seen<bn::samples_in_rows>(x));
  EXPECT_EQ(seen<bn::channel_axis<0>>(x), seen<bn::samples_in_columns>(x));
}

TEST(ChannelView, OfAnArrayIsThatOfAMatrix) {
  Eigen::Array<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> x(5, 3);
  EXPECT_EQ(seen<bn::samples_in_rows>(x), (Seen{5, 3, 1, 3, 1}));
  EXPECT_EQ(seen<bn::samples_in_rows>(x.matrix()), (Seen{5, 3, 1, 3, 1}));
}

TEST(ChannelView, OfAFixedSizeMatrixIsThatOfADynamicOne) {
  Eigen::Matrix<float, 5, 3> x;
  EXPECT_EQ(seen<bn::samples_in_rows>(x), (Seen{1, 3, 5, 15, 5}));
}

TEST(ChannelView, OfRowMajorNHWCIsRowsOfChannels) {
  Eigen::Tensor<float, 4, Eigen::RowMajor> x(2, 3, 5, 7);
  EXPECT_EQ(seen<bn::channel_last>(x), (Seen{30, 7, 1, 7, 1}));
}

TEST(ChannelView, OfRowMajorNCHWIsPlanes) {
  Eigen::Tensor<float, 4, Eigen::RowMajor> x(2, 3, 5, 7);
  EXPECT_EQ(seen<bn::channel_first>(x), (Seen{2, 3, 35, 105, 35}));
}

TEST(ChannelView, OfAColumnMajorTensorHasTheBatchInside) {
  Eigen::Tensor<float, 4> x(2, 3, 5, 7);
  EXPECT_EQ(seen<bn::channel_first>(x), (Seen{35, 3, 2, 6, 2}));
  EXPECT_EQ(seen<bn::channel_last>(x), (Seen{1, 7, 30, 210, 30}));
}

TEST(ChannelView, OfAColumnMajorTensorWithTheChannelsInFrontIsRowsOfChannels) {
  Eigen::Tensor<float, 4> x(3, 7, 5, 2);
  EXPECT_EQ(seen<bn::channel_axis<0>>(x), (Seen{70, 3, 1, 3, 1}));
}

TEST(ChannelView, OfAnInnerAxisCountsWhatLiesOnBothSides) {
  Eigen::Tensor<double, 5, Eigen::RowMajor> x(2, 3, 4, 5, 7);
  EXPECT_EQ(seen<bn::channel_axis<2>>(x), (Seen{6, 4, 35, 140, 35}));
  Eigen::Tensor<double, 5> z(2, 3, 4, 5, 7);
  EXPECT_EQ(seen<bn::channel_axis<2>>(z), (Seen{35, 4, 6, 24, 6}));
}

TEST(ChannelView, OfTensorMapAndTensorFixedSizeIsThatOfATensor) {
  std::vector<float> memory(2 * 3 * 5);
  Eigen::TensorMap<Eigen::Tensor<float, 3, Eigen::RowMajor>> map(memory.data(), 2, 3, 5);
  EXPECT_EQ(seen<bn::channel_first>(map), (Seen{2, 3, 5, 15, 5}));
  Eigen::TensorFixedSize<float, Eigen::Sizes<2, 3, 5>, Eigen::RowMajor> fixed;
  EXPECT_EQ(seen<bn::channel_first>(fixed), (Seen{2, 3, 5, 15, 5}));
}

TEST(ChannelView, OfABlockHasTheOuterStrideOfTheWholeMatrix) {
  RowMatrix rows(10, 8);
  EXPECT_EQ(seen<bn::samples_in_rows>(rows.block(1, 2, 5, 3)), (Seen{5, 3, 1, 8, 1}));
  ColMatrix columns(10, 8);
  EXPECT_EQ(seen<bn::samples_in_rows>(columns.block(1, 2, 5, 3)), (Seen{1, 3, 5, 15, 10}));
}

TEST(ChannelView, OfARefHasTheOuterStrideOfWhatItRefersTo) {
  RowMatrix rows(10, 8);
  Eigen::Ref<RowMatrix, 0, Eigen::OuterStride<>> ref(rows.block(1, 2, 5, 3));
  EXPECT_EQ(seen<bn::samples_in_rows>(ref), (Seen{5, 3, 1, 8, 1}));
  EXPECT_EQ(bn::channel_view<bn::samples_in_rows>(ref).data, &rows(1, 2));
}

TEST(ChannelView, OfATransposeHasTheAxesExchanged) {
  ColMatrix x(3, 5);
  EXPECT_EQ(seen<bn::samples_in_rows>(x.transpose()), (Seen{5, 3, 1, 3, 1}));
  EXPECT_EQ(seen<bn::samples_in_columns>(x.transpose()), (Seen{1, 5, 3, 15, 3}));
}

TEST(ChannelView, OfAReshapedVectorIsThatOfAMatrix) {
  Eigen::VectorXf v(15);
  EXPECT_EQ(seen<bn::samples_in_rows>(v.reshaped(5, 3)), (Seen{1, 3, 5, 15, 5}));
}

TEST(ChannelView, OfAConstObjectIsReadOnly) {
  const RowMatrix x = RowMatrix::Zero(5, 3);
  static_assert(std::is_same_v<decltype(bn::channel_view<bn::samples_in_rows>(x).data), const float*>);
  Eigen::Map<const RowMatrix> map(x.data(), 5, 3);
  static_assert(std::is_same_v<decltype(bn::channel_view<bn::samples_in_rows>(map).data), const float*>);
  EXPECT_EQ(bn::channel_view<bn::samples_in_rows>(map).data, x.data());
}

TEST(ChannelView, AddressesEveryElementOfTheTensor) {
  Eigen::Tensor<float, 4> x(2, 3, 5, 7);
  const auto view = bn::channel_view<bn::channel_first>(x);
  std::set<const float*> in_channel_1;
  for (Index o = 0; o < view.outer; ++o) {
    for (Index i = 0; i < view.inner; ++i) in_channel_1.insert(view.plane(o, 1) + i);
  }
  std::set<const float*> expected;
  for (Index n = 0; n < 2; ++n) {
    for (Index h = 0; h < 5; ++h) {
      for (Index w = 0; w < 7; ++w) expected.insert(&x(n, 1, h, w));
    }
  }
  EXPECT_EQ(in_channel_1, expected);
  EXPECT_EQ(view.count(), 70);
  EXPECT_EQ(view.size(), 210);
}

TEST(ChannelView, RefusesAnInnerStrideAndSaysWhatToDo) {
  std::vector<float> memory(60);
  using Strided = Eigen::Map<RowMatrix, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;
  Strided x(memory.data(), 5, 3, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(12, 2));
  EXPECT_EQ(message_of([&] { bn::channel_view<bn::samples_in_rows>(x, "dy"); }),
            "batchnorm: dy: expected consecutive elements along axis 1, got an inner stride of 2; copy it first, for "
            "example into a "
            "Matrix; dy is [5, 3] row-major");
}

TEST(ChannelView, RefusesAnInnerStrideThatTheTypeSays) {
  std::vector<float> memory(60);
  Eigen::Map<ColMatrix, 0, Eigen::InnerStride<2>> x(memory.data(), 5, 3);
  EXPECT_THROW(bn::channel_view<bn::samples_in_rows>(x), std::invalid_argument);
  EXPECT_THROW(bn::channel_view<bn::samples_in_columns>(x), std::invalid_argument);
}

TEST(ChannelView, IgnoresTheStrideOfAnAxisOfExtentOne) {
  std::vector<float> memory(60);
  using Strided = Eigen::Map<RowMatrix, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;
  Strided one_channel(memory.data(), 5, 1, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(6, 2));
  EXPECT_EQ(seen<bn::samples_in_rows>(one_channel).outer_stride, 6);
  Strided one_sample(memory.data(), 1, 3, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>(-5, 1));
  EXPECT_EQ(seen<bn::samples_in_rows>(one_sample), (Seen{1, 3, 1, 3, 1}));
}

TEST(LayoutTags, HaveTheNamesUsersWrite) {
  EXPECT_EQ(bn::samples_in_rows::name(), "samples_in_rows");
  EXPECT_EQ(bn::samples_in_columns::name(), "samples_in_columns");
  EXPECT_EQ(bn::channel_first::name(), "channel_first");
  EXPECT_EQ(bn::channel_last::name(), "channel_last");
  EXPECT_EQ(bn::channel_axis<2>::name(), "channel_axis<2>");
}

/// All views of the given extents in a buffer, row-major and column-major, with every stride and start that fits.
std::vector<bn::ChannelView<const float>> all_views(const std::vector<float>& buffer, Index rows, Index columns) {
  std::vector<bn::ChannelView<const float>> views;
  const Index size = Index(buffer.size());
  for (Index stride = columns; stride <= columns + 3; ++stride) {
    for (Index start = 0; start + (rows - 1) * stride + columns <= size; ++start) {
      views.push_back({buffer.data() + start, rows, columns, 1, stride, 1});
    }
  }
  for (Index stride = rows; stride <= rows + 3; ++stride) {
    for (Index start = 0; start + (columns - 1) * stride + rows <= size; ++start) {
      views.push_back({buffer.data() + start, 1, columns, rows, columns * rows, stride});
    }
  }
  return views;
}

std::set<const float*> elements_of(const bn::ChannelView<const float>& view) {
  std::set<const float*> elements;
  for (Index o = 0; o < view.outer; ++o) {
    for (Index c = 0; c < view.channels; ++c) {
      for (Index i = 0; i < view.inner; ++i) elements.insert(view.plane(o, c) + i);
    }
  }
  return elements;
}

// The rule behind "otherwise views must not meet", against all pairs of small views.
TEST(ViewsMeet, IsExactForEqualStridesAndNeverMissesAMeeting) {
  const std::vector<float> buffer(26);
  const std::pair<Index, Index> shapes[] = {{1, 4}, {4, 1}, {2, 3}, {3, 4}};
  Index missed = 0, invented = 0, pairs = 0;
  for (const auto& [rows, columns] : shapes) {
    const auto views = all_views(buffer, rows, columns);
    std::vector<std::set<const float*>> elements;
    for (const auto& view : views) elements.push_back(elements_of(view));
    for (std::size_t a = 0; a < views.size(); ++a) {
      for (std::size_t b = 0; b < views.size(); ++b) {
        const bool truth =
            std::any_of(elements[a].begin(), elements[a].end(), [&](auto* e) { return elements[b].contains(e); });
        const bool said = bn::detail::views_meet(views[a], views[b]);
        const bool same_strides =
            views[a].outer_stride == views[b].outer_stride && views[a].channel_stride == views[b].channel_stride;
        ++pairs;
        missed += truth && !said;
        invented += same_strides && !truth && said;
      }
    }
  }
  EXPECT_EQ(missed, 0) << "of " << pairs << " pairs of views";
  EXPECT_EQ(invented, 0) << "of " << pairs << " pairs of views";
}

/// The same for some samples of a column-major tensor, between whose channels and positions there are gaps.
TEST(ViewsMeet, IsExactForSamplesOfATensorToo) {
  const std::vector<float> buffer(40);
  Index wrong = 0, meetings = 0, pairs = 0;
  for (const Index samples : {2, 3, 5}) {
    std::vector<bn::ChannelView<const float>> views;
    for (const Index channels : {1, 2, 3}) {
      for (const Index gap : {0, 1}) {
        const Index outer_stride = 3 * samples + gap;
        for (Index count = 1; count <= samples; ++count) {
          for (Index start = 0; start + outer_stride + (channels - 1) * samples + count <= 40; ++start) {
            views.push_back({buffer.data() + start, 2, channels, count, outer_stride, samples});
          }
        }
      }
    }
    for (const auto& a : views) {
      const auto of_a = elements_of(a);
      for (const auto& b : views) {
        if (a.channels != b.channels || a.outer_stride != b.outer_stride) continue;
        const auto of_b = elements_of(b);
        const bool truth = std::any_of(of_a.begin(), of_a.end(), [&](auto* e) { return of_b.contains(e); });
        ++pairs;
        meetings += truth;
        // Of one run for each position and of several, the strides are not the same.
        const bool alike = a.inner == b.inner || a.channels == 1;
        wrong += alike ? bn::detail::views_meet(a, b) != truth : truth && !bn::detail::views_meet(a, b);
      }
    }
  }
  EXPECT_EQ(wrong, 0) << "of " << pairs << " pairs of views";
  EXPECT_GT(meetings, pairs / 10);
}

TEST(ViewsMeet, NeverForAViewWithoutElements) {
  const std::vector<float> buffer(26);
  const bn::ChannelView<const float> all{buffer.data(), 2, 13, 1, 13, 1};
  const bn::ChannelView<const float> none{buffer.data(), 0, 13, 1, 13, 1};
  EXPECT_TRUE(bn::detail::views_meet(all, all));
  EXPECT_FALSE(bn::detail::views_meet(all, none));
  EXPECT_FALSE(bn::detail::views_meet(none, all));
}

template <class Element>
class AddressOf : public testing::Test {};
using MisalignedElements = testing::Types<float, double, Eigen::half, Eigen::bfloat16>;
TYPED_TEST_SUITE(AddressOf, MisalignedElements);

TYPED_TEST(AddressOf, AnElementIsAMultipleOfItsAlignment) {
  using Matrix = Eigen::Matrix<TypeParam, Eigen::Dynamic, Eigen::Dynamic>;
  std::vector<std::uint64_t> memory(100);
  char* const bytes = reinterpret_cast<char*>(memory.data());
  for (std::size_t off = 0; off < 2 * sizeof(TypeParam); ++off) {
    const Eigen::Map<const Matrix> x(reinterpret_cast<const TypeParam*>(bytes + off), 4, 3);
    const auto see = [&] { return bn::channel_view<bn::samples_in_rows>(x, "dy"); };
    if (off % alignof(TypeParam) == 0) {
      EXPECT_EQ(see().size(), 12);
    } else {
      EXPECT_TRUE(has_parts(message_of(see), "dy: expected elements at addresses that are multiples of",
                            std::to_string(alignof(TypeParam)), "copy"));
    }
  }
}

/// 0, 1, 2, ... in the order of memory.
template <int Rank, int Order>
Eigen::Tensor<float, Rank, Order> numbered(const Eigen::array<Eigen::Index, Rank>& extents) {
  Eigen::Tensor<float, Rank, Order> t(extents);
  for (Index k = 0; k < t.size(); ++k) t.data()[k] = float(k);
  return t;
}

/// The values of a channel that a view sees.
std::multiset<float> values_of_channel(const bn::ChannelView<const float>& view, Index c) {
  std::multiset<float> values;
  for (Index o = 0; o < view.outer; ++o) values.insert(view.plane(o, c), view.plane(o, c) + view.inner);
  return values;
}

/// Those of samples [first, first + count) of a tensor of rank 4, by its own operator().
template <int ChannelAxis, class T>
std::multiset<float> values_of_samples(const T& t, Index first, Index count, Index channel) {
  constexpr std::size_t sample_axis = ChannelAxis == 0 ? 1 : 0;
  std::multiset<float> values;
  for_each_index(extents_of(t), ChannelAxis, [&](Index, Index c, const auto& index) {
    const Index sample = index[sample_axis];
    if (c == channel && sample >= first && sample < first + count) values.insert(t(index));
  });
  return values;
}

template <int ChannelAxis, int Order>
void expect_slices_of_samples() {
  using Layout = bn::channel_axis<ChannelAxis>;
  const auto t = numbered<4, Order>({5, 3, 4, 2});
  constexpr int sample_axis = ChannelAxis == 0 ? 1 : 0;
  const Index samples = t.dimension(sample_axis);
  for (Index first = 0; first <= samples; ++first) {
    for (Index count = 0; first + count <= samples; ++count) {
      const auto view = bn::detail::slice_samples<Layout>(t, first, count);
      EXPECT_EQ(view.channels, t.dimension(ChannelAxis));
      for (Index c = 0; c < view.channels; ++c) {
        EXPECT_EQ(values_of_channel(view, c), values_of_samples<ChannelAxis>(t, first, count, c))
            << "channel " << c << " on axis " << ChannelAxis << ", samples " << first << " to " << first + count;
      }
    }
  }
}

TEST(SliceSamples, IsTheViewOfTheseSamplesAlone) {
  expect_slices_of_samples<0, Eigen::RowMajor>();
  expect_slices_of_samples<1, Eigen::RowMajor>();
  expect_slices_of_samples<2, Eigen::RowMajor>();
  expect_slices_of_samples<3, Eigen::RowMajor>();
  expect_slices_of_samples<1, Eigen::ColMajor>();
  expect_slices_of_samples<3, Eigen::ColMajor>();
}

TEST(SliceSamples, IsRefusedWhereSamplesShareAnAxisOfTheViewWithAnother) {
  const auto t = numbered<4, Eigen::ColMajor>({5, 3, 4, 2});
  EXPECT_TRUE(has_parts(message_of([&] { (void)bn::detail::slice_samples<bn::channel_axis<2>>(t, 0, 2); }),
                        "slice_samples", "row-major"));
  EXPECT_TRUE(has_parts(message_of([&] { (void)bn::detail::slice_samples<bn::channel_axis<0>>(t, 0, 2); }),
                        "slice_samples", "row-major"));
}

template <int ChannelAxis, int AlongAxis, int Order>
void expect_parts_along() {
  if constexpr (ChannelAxis != AlongAxis) {
    const auto t = numbered<4, Order>({5, 3, 4, 2});
    for (Index first = 0; first < t.dimension(AlongAxis); ++first) {
      for (Index count = 0; first + count <= t.dimension(AlongAxis); ++count) {
        std::vector<std::multiset<float>> seen(std::size_t(t.dimension(ChannelAxis))), expected = seen;
        bn::detail::for_each_part<bn::channel_axis<ChannelAxis>, bn::channel_axis<AlongAxis>>(
            t, first, count, [&](const bn::ChannelView<const float>& view) {
              ASSERT_EQ(view.channels, t.dimension(ChannelAxis));
              for (Index c = 0; c < view.channels; ++c) seen[std::size_t(c)].merge(values_of_channel(view, c));
            });
        for_each_index(extents_of(t), ChannelAxis, [&](Index, Index c, const auto& index) {
          const Index along = index[std::size_t(AlongAxis)];
          if (first <= along && along < first + count) expected[std::size_t(c)].insert(t(index));
        });
        EXPECT_EQ(seen, expected) << "channels on axis " << ChannelAxis << ", indices " << first << " to "
                                  << first + count << " of axis " << AlongAxis;
      }
    }
  }
}

template <int ChannelAxis, int Order>
void expect_parts() {
  expect_parts_along<ChannelAxis, 0, Order>();
  expect_parts_along<ChannelAxis, 1, Order>();
  expect_parts_along<ChannelAxis, 2, Order>();
  expect_parts_along<ChannelAxis, 3, Order>();
}

TEST(ForEachPart, SeesTheseIndicesOfAnyAxisByTheChannelsOfAnyOther) {
  expect_parts<0, Eigen::RowMajor>();
  expect_parts<1, Eigen::RowMajor>();
  expect_parts<2, Eigen::RowMajor>();
  expect_parts<3, Eigen::RowMajor>();
  expect_parts<0, Eigen::ColMajor>();
  expect_parts<1, Eigen::ColMajor>();
  expect_parts<2, Eigen::ColMajor>();
  expect_parts<3, Eigen::ColMajor>();
}

TEST(ForEachPart, OfABlockSeesItsElementsAlone) {
  Eigen::MatrixXf large(6, 7);
  for (Index k = 0; k < large.size(); ++k) large.data()[k] = float(k);
  const auto block = large.block(1, 2, 4, 3);
  const auto first_of = [&]<class Layout, class Along>(Layout, Along, Index first, Index count) {
    std::multiset<float> values;
    bn::detail::for_each_part<Layout, Along>(block, first, count, [&](const auto& view) {
      values.merge(values_of_channel(bn::ChannelView<const float>(view), 1));
    });
    return values;
  };
  EXPECT_EQ(first_of(bn::channel_axis<0>(), bn::channel_axis<1>(), 1, 2),
            (std::multiset<float>{block(1, 1), block(1, 2)}));
  EXPECT_EQ(first_of(bn::channel_axis<1>(), bn::channel_axis<0>(), 1, 2),
            (std::multiset<float>{block(1, 1), block(2, 1)}));
}

TEST(ChannelSlice, IsTheViewOfTheseChannelsWithTheStridesOfAll) {
  auto nchw = numbered<4, Eigen::RowMajor>({2, 6, 3, 5});
  const auto planes = bn::channel_slice<bn::channel_first>(nchw, 2, 3);
  EXPECT_EQ(planes.dimensions(), (std::array<Index, 4>{2, 3, 3, 5}));
  const auto view = bn::channel_view<bn::channel_first>(planes);
  EXPECT_EQ(view.data, nchw.data() + 2 * 15);
  EXPECT_EQ((Seen{view.outer, view.channels, view.inner, view.outer_stride, view.channel_stride}),
            (Seen{2, 3, 15, 6 * 15, 15}));
  const auto& constant = nchw;
  const auto rows = bn::channel_view<bn::channel_last>(bn::channel_slice<bn::channel_last>(constant, 1, 4));
  EXPECT_EQ((Seen{rows.outer, rows.channels, rows.inner, rows.outer_stride, rows.channel_stride}),
            (Seen{2 * 6 * 3, 4, 1, 5, 1}));
}

TEST(ChannelSlice, RefusesChannelsThatAreNotThere) {
  auto nchw = numbered<4, Eigen::RowMajor>({2, 6, 3, 5});
  for (const auto& [first, count] : {std::pair<Index, Index>{-1, 2}, {0, 7}, {5, 2}, {2, -1}}) {
    EXPECT_TRUE(
        has_parts(message_of([&, f = first, n = count] { (void)bn::channel_slice<bn::channel_first>(nchw, f, n); }),
                  "channel_slice", "within the 6 of t", "[2, 6, 3, 5] row-major"));
  }
}

}  // namespace layout_test
