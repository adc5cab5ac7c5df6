#include <gtest/gtest.h>

#include <algorithm>
#include <batchnorm/core/fingerprint.hpp>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

namespace fingerprint_test {

namespace bn = batchnorm;
using bn::Index;

template <class Element>
bn::ChannelView<const Element> dense(const Element* data, Index outer, Index channels, Index inner) {
  return {data, outer, channels, inner, channels * inner, inner};
}

template <class Element>
bn::detail::Fingerprint fingerprint(const std::vector<Element>& x, Index outer, Index channels, Index inner) {
  return bn::detail::Fingerprint::of(dense(x.data(), outer, channels, inner));
}

using View = bn::ChannelView<const float>;

bn::detail::Fingerprint of_view(const View& view) { return bn::detail::Fingerprint::of(view); }

struct Images {
  Index samples, channels, height, width;

  Index pixels() const { return height * width; }
  Index size() const { return samples * channels * pixels(); }
  /// The widest border of up to three that leaves an inside.
  Index border() const { return std::min<Index>(3, (std::min(height, width) - 1) / 2); }
  bool inside(Index row, Index column) const {
    const Index b = border();
    return row >= b && row < height - b && column >= b && column < width - b;
  }
};

/// A layout of images: their view, and which pixel lies at an offset.
struct ImageLayout {
  const char* name;
  bn::ChannelView<const float> (*view)(const Images&);
  Index (*pixel)(const Images&, Index offset);
  bool rows_first;
};

const ImageLayout image_layouts[] = {
    {"row-major NCHW", [](const Images& x) { return dense<float>(nullptr, x.samples, x.channels, x.pixels()); },
     [](const Images& x, Index offset) { return offset % x.pixels(); }, false},
    {"row-major NHWC", [](const Images& x) { return dense<float>(nullptr, x.samples * x.pixels(), x.channels, 1); },
     [](const Images& x, Index offset) { return offset / x.channels % x.pixels(); }, false},
    {"column-major NCHW", [](const Images& x) { return dense<float>(nullptr, x.pixels(), x.channels, x.samples); },
     [](const Images& x, Index offset) { return offset / (x.channels * x.samples); }, true},
    {"column-major NHWC", [](const Images& x) { return dense<float>(nullptr, 1, x.channels, x.samples * x.pixels()); },
     [](const Images& x, Index offset) { return offset / x.samples % x.pixels(); }, true},
    {"row-major matrix of pixels",
     [](const Images& x) { return dense<float>(nullptr, x.samples, x.channels * x.pixels(), 1); },
     [](const Images& x, Index offset) { return offset % x.pixels(); }, false},
    {"column-major matrix of pixels",
     [](const Images& x) { return dense<float>(nullptr, 1, x.channels * x.pixels(), x.samples); },
     [](const Images& x, Index offset) { return offset / x.samples % x.pixels(); }, false}};

/// Whether the fingerprint looks inside the border.
bool looks_inside(const ImageLayout& layout, const Images& x) {
  if (x.size() <= 384) return true;  // read whole
  bool result = false;
  const auto look = [&](Index offset) {
    const Index pixel = layout.pixel(x, offset);
    result = result || (layout.rows_first ? x.inside(pixel % x.height, pixel / x.height)
                                          : x.inside(pixel / x.width, pixel % x.width));
  };
  bn::detail::visit_spread(layout.view(x), [&](Index p, Index q) {
    look(p);
    look(q);
  });
  return result;
}

void expect_looks_inside(const ImageLayout& layout, const Images& x) {
  EXPECT_TRUE(looks_inside(layout, x)) << layout.name << " " << x.samples << "x" << x.channels << "x" << x.height << "x"
                                       << x.width << ", border " << x.border();
}

std::size_t places_in(const bn::ChannelView<const float>& view) {
  std::set<Index> places;
  bn::detail::visit_spread(view, [&](Index p, Index q) { places.insert({p, q}); });
  return places.size();
}

TEST(Fingerprint, IsOfTheValuesAndNotOfTheirPlace) {
  std::vector<float> memory(60);
  for (std::size_t k = 0; k < memory.size(); ++k) memory[k] = static_cast<float>(k) + 0.5f;
  const std::vector<float> copy = memory;
  EXPECT_EQ(of_view({memory.data(), 3, 4, 5, 20, 5}), of_view({copy.data(), 3, 4, 5, 20, 5}));
}

TEST(Fingerprint, FollowsStrides) {
  std::vector<float> dense(12), strided(3 * 10, -1.0f);
  for (Index r = 0; r < 3; ++r) {
    for (Index c = 0; c < 4; ++c) dense[std::size_t(r * 4 + c)] = strided[std::size_t(r * 10 + c)] = float(r * 4 + c);
  }
  EXPECT_EQ(of_view({dense.data(), 3, 4, 1, 4, 1}), of_view({strided.data(), 3, 4, 1, 10, 1}));
}

TEST(Fingerprint, NoticesThatEveryValueHasChanged) {
  for (const View shape :
       {View{nullptr, 1, 1, 2, 2, 2}, View{nullptr, 7, 5, 1, 5, 1}, View{nullptr, 3, 4, 50, 200, 50}}) {
    std::vector<float> before(std::size_t(shape.size()), 1.0f), after(before.size(), 2.0f);
    View a = shape, b = shape;
    a.data = before.data();
    b.data = after.data();
    EXPECT_NE(of_view(a), of_view(b));
  }
}

TEST(Fingerprint, NoticesAChangeAtEitherEndOfEveryAxis) {
  const View shape{nullptr, 5, 6, 7, 42, 7};
  std::vector<float> memory(std::size_t(shape.size()), 1.0f);
  View view = shape;
  view.data = memory.data();
  const auto before = of_view(view);
  const auto changed_in = [&](Index o0, Index o1, Index c0, Index c1, Index i0, Index i1) {
    std::vector<float> after = memory;
    for (Index o = o0; o < o1; ++o) {
      for (Index c = c0; c < c1; ++c) {
        for (Index i = i0; i < i1; ++i) after[std::size_t(o * 42 + c * 7 + i)] = 3.0f;
      }
    }
    View other = shape;
    other.data = after.data();
    return of_view(other) != before;
  };
  EXPECT_TRUE(changed_in(0, 1, 0, 6, 0, 7));
  EXPECT_TRUE(changed_in(4, 5, 0, 6, 0, 7));
  EXPECT_TRUE(changed_in(0, 5, 0, 1, 0, 7));
  EXPECT_TRUE(changed_in(0, 5, 5, 6, 0, 7));
  EXPECT_TRUE(changed_in(0, 5, 0, 6, 0, 1));
  EXPECT_TRUE(changed_in(0, 5, 0, 6, 6, 7));
}

TEST(Fingerprint, OfNaNIsItsBits) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), other = std::bit_cast<float>(0x7fc00001u);
  const std::vector<float> memory(4, nan), copy = memory, others(4, other);
  EXPECT_EQ(fingerprint(memory, 2, 2, 1), fingerprint(copy, 2, 2, 1));
  EXPECT_NE(fingerprint(memory, 2, 2, 1), fingerprint(others, 2, 2, 1));
}

TEST(Fingerprint, OfAnyEmptyTensorIsTheSame) {
  EXPECT_EQ(of_view({nullptr, 0, 4, 1, 4, 1}), of_view({nullptr, 0, 7, 1, 7, 1}));
}

/// A batch of random images in a border of zeros, row-major NCHW.
template <class Element>
std::vector<Element> images_in_border(const Images& shape, Index border, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  std::vector<Element> x(static_cast<std::size_t>(shape.size()), Element(0));
  for (Index k = 0; k < shape.size(); ++k) {
    const Index row = k / shape.width % shape.height, column = k % shape.width;
    if (std::min({row, shape.height - 1 - row, column, shape.width - 1 - column}) >= border)
      x[static_cast<std::size_t>(k)] = Element(normal(generator));
  }
  return x;
}

TEST(Fingerprint, LooksInsideABorderForEveryHeightAndWidth) {
  for (Index height = 1; height <= 256; ++height) {
    for (Index width = 1; width <= 256; ++width) expect_looks_inside(image_layouts[0], {4, 1, height, width});
  }
}

TEST(Fingerprint, LooksInsideABorderInEveryLayout) {
  std::mt19937 generator(1);
  const auto between = [&](int least, int most) {
    return Index(std::uniform_int_distribution<int>(least, most)(generator));
  };
  for (const ImageLayout& layout : image_layouts) {
    for (int draw = 0; draw < 4000; ++draw)
      expect_looks_inside(layout, {between(1, 128), between(1, 16), between(1, 256), between(1, 256)});
  }
}

// The fewest live elements: one of 49.
TEST(Fingerprint, LooksInsideABorderOfSmallPlanesInEveryLayout) {
  for (const ImageLayout& layout : image_layouts) {
    for (const Index samples : {1, 2, 3, 8, 32, 60, 64, 128}) {
      for (const Index channels : {1, 3, 16}) {
        for (Index height = 7; height <= 14; ++height) {
          for (Index width = 7; width <= 14; ++width) expect_looks_inside(layout, {samples, channels, height, width});
        }
      }
    }
  }
}

TEST(Fingerprint, TellsBatchesOfImagesWithBordersApart) {
  for (const Index side : {7, 14, 28, 56, 112}) {
    for (const Index border : {0, 1, 2, 3}) {
      const Images shape{side < 50 ? 64 : 4, 1, side, side};
      const auto a = images_in_border<float>(shape, border, 1), b = images_in_border<float>(shape, border, 2);
      const Index n = shape.samples, pixels = shape.pixels();
      EXPECT_NE(fingerprint(a, n, 1, pixels), fingerprint(b, n, 1, pixels)) << side << ", border " << border;
      EXPECT_NE(fingerprint(a, n * pixels, 1, 1), fingerprint(b, n * pixels, 1, 1)) << side << ", border " << border;
      EXPECT_NE(fingerprint(a, n, pixels, 1), fingerprint(b, n, pixels, 1)) << side << ", border " << border;
    }
  }
}

TEST(Fingerprint, NoticesTheOneChannelThatIsNotConstant) {
  for (const auto& [outer, inner] : {std::pair<Index, Index>{64, 49}, {3136, 1}, {1, 4096}}) {
    for (Index channels = 1; channels <= 51; ++channels) {
      for (Index live = 0; live < channels; ++live) {
        bool looked = false;
        const auto view = dense<float>(nullptr, outer, channels, inner);
        const auto look = [&, inner = inner](Index offset) { looked |= offset / inner % channels == live; };
        bn::detail::visit_spread(view, [&](Index p, Index q) {
          look(p);
          look(q);
        });
        EXPECT_TRUE(looked) << "channel " << live << " of " << channels << ", inner " << inner;
      }
    }
  }
}

TEST(Fingerprint, LooksAtSixtySixPlacesAtLeast) {
  std::mt19937 generator(2);
  const auto extent = [&] {
    return static_cast<Index>(std::exp2(std::uniform_real_distribution<double>(0, 9)(generator)));
  };
  for (int draw = 0; draw < 3000; ++draw) {
    const auto view = dense<float>(nullptr, extent(), extent(), extent());
    if (view.size() <= 384) continue;
    EXPECT_GE(places_in(view), 66u) << view.outer << "x" << view.channels << "x" << view.inner;
  }
}

TEST(Fingerprint, TellsBatchesApartThatDifferInATenthOfTheirElements) {
  std::mt19937 generator(3);
  std::bernoulli_distribution changed(.1);
  for (const auto& [outer, channels, inner] :
       {std::tuple<Index, Index, Index>{60, 100, 1}, {1, 100, 60}, {8, 4, 49}, {14, 14, 14}}) {
    std::vector<double> a(static_cast<std::size_t>(outer * channels * inner));
    for (double& value : a) value = std::normal_distribution<double>()(generator);
    const auto before = fingerprint(a, outer, channels, inner);
    constexpr int trials = 2000;
    int told = 0;
    for (int trial = 0; trial < trials; ++trial) {
      std::vector<double> b = a;
      for (double& value : b) {
        if (changed(generator)) value += 1;
      }
      told += fingerprint(b, outer, channels, inner) != before;
    }
    EXPECT_GE(told, trials * .999) << outer << "x" << channels << "x" << inner;
  }
}

TEST(Fingerprint, LooksInsideTheView) {
  std::mt19937 generator(4);
  const auto between = [&](int least, int most) {
    return Index(std::uniform_int_distribution<int>(least, most)(generator));
  };
  for (int draw = 0; draw < 2000; ++draw) {
    bn::ChannelView<const float> view = dense<float>(nullptr, between(1, 90), between(1, 90), between(1, 90));
    if (between(0, 1) == 1) view.outer_stride += between(0, 50);
    const auto look = [&](Index offset) {
      const Index o = offset / view.outer_stride, in_slice = offset % view.outer_stride;
      EXPECT_TRUE(0 <= offset && o < view.outer && in_slice < view.channels * view.inner);
    };
    const auto look_at_both = [&](Index p, Index q) {
      look(p);
      look(q);
    };
    bn::detail::visit_spread(view, look_at_both);
    if (draw < 20) bn::detail::visit_all(view, look_at_both);
  }
}

TEST(Fingerprint, OfAnAxisOfMoreThanFourBillionElementsLooksInside) {
  const Index much = Index(1) << 40;
  const auto view = dense<float>(nullptr, much, 3, 1);
  bn::detail::visit_spread(view,
                           [&](Index p, Index q) { EXPECT_TRUE(0 <= p && p < 3 * much && 0 <= q && q < 3 * much); });
}

template <class Element>
class FingerprintOf : public testing::Test {};
using Elements = testing::Types<float, double, Eigen::half, Eigen::bfloat16>;
TYPED_TEST_SUITE(FingerprintOf, Elements);

TYPED_TEST(FingerprintOf, SmallTensorsIsOfEveryElement) {
  for (const auto& [outer, channels, inner] :
       {std::tuple<Index, Index, Index>{7, 3, 1}, {1, 3, 7}, {5, 4, 3}, {1, 1, 1}, {1, 1, 384}, {384, 1, 1}}) {
    std::vector<TypeParam> x(static_cast<std::size_t>(outer * channels * inner), TypeParam(1));
    const auto before = fingerprint(x, outer, channels, inner);
    for (TypeParam& value : x) {
      value = TypeParam(2);
      EXPECT_NE(fingerprint(x, outer, channels, inner), before);
      value = TypeParam(1);
    }
  }
}

// Changes of all elements alike must not cancel in the sum.
TYPED_TEST(FingerprintOf, NoticesWhatIsDoneToEveryElement) {
  struct Shape {
    Index outer, channels, inner;
  };
  for (const Shape& shape : {Shape{7, 3, 1}, {60, 100, 1}, {1, 100, 60}, {16, 8, 49}}) {
    const auto n = static_cast<std::size_t>(shape.outer * shape.channels * shape.inner);
    std::mt19937 generator(5);
    std::vector<TypeParam> x(n);
    for (TypeParam& value : x) value = TypeParam(std::normal_distribution<float>()(generator));
    const auto before = fingerprint(x, shape.outer, shape.channels, shape.inner);
    const auto after = [&](const auto& change) {
      std::vector<TypeParam> y(n);
      std::transform(x.begin(), x.end(), y.begin(), change);
      return fingerprint(y, shape.outer, shape.channels, shape.inner);
    };
    EXPECT_NE(after([](TypeParam v) { return TypeParam(-v); }), before);
    EXPECT_NE(after([](TypeParam v) { return TypeParam(v * TypeParam(2)); }), before);
    EXPECT_NE(after([](TypeParam v) { return TypeParam(v * TypeParam(.5f)); }), before);
    EXPECT_NE(after([](TypeParam v) { return TypeParam(v + TypeParam(1)); }), before);
    EXPECT_NE(after([](TypeParam) { return TypeParam(0); }), before);
    std::vector<TypeParam> reversed(x.rbegin(), x.rend()), rotated = x;
    std::rotate(rotated.begin(), rotated.begin() + 1, rotated.end());
    EXPECT_NE(fingerprint(reversed, shape.outer, shape.channels, shape.inner), before);
    EXPECT_NE(fingerprint(rotated, shape.outer, shape.channels, shape.inner), before);
  }
}

// Two classes of values only, as black and white pixels have them: differences of few kinds.
TYPED_TEST(FingerprintOf, TellsBinaryBatchesApart) {
  std::mt19937 generator(6);
  std::vector<bn::detail::Fingerprint> seen;
  for (int draw = 0; draw < 300; ++draw) {
    std::vector<TypeParam> x(28 * 28);
    for (TypeParam& value : x) value = TypeParam(float(std::bernoulli_distribution(.2)(generator)));
    seen.push_back(fingerprint(x, 4, 1, 14 * 14));
    for (std::size_t k = 0; k + 1 < seen.size(); ++k) ASSERT_NE(seen[k], seen.back());
  }
}

// A whole column-major tensor of 4 samples, 3 channels and 5 positions, of which one sample is taken, or two.
TEST(Fingerprint, OfSomeSamplesIsOfTheirValuesAlone) {
  constexpr Index samples = 4, channels = 3, positions = 5;
  std::vector<float> tensor(samples * channels * positions);
  for (std::size_t k = 0; k < tensor.size(); ++k) tensor[k] = 0.1f * float(k * k % 97);
  for (const Index count : {1, 2}) {
    for (Index first = 0; first + count <= samples; ++first) {
      const bn::ChannelView<const float> some{tensor.data() + first, positions, channels, count,
                                              samples * channels,    samples};
      std::vector<float> copy;
      for (Index o = 0; o < positions; ++o) {
        for (Index c = 0; c < channels; ++c) copy.insert(copy.end(), some.plane(o, c), some.plane(o, c) + count);
      }
      const auto expected = fingerprint(copy, positions, channels, count);
      EXPECT_EQ(bn::detail::Fingerprint::of(some), expected);
      for (std::size_t k = 0; k < tensor.size(); ++k) {
        const float kept = tensor[k];
        tensor[k] += 1;
        const Index sample = Index(k) % samples;
        EXPECT_EQ(bn::detail::Fingerprint::of(some) != expected, first <= sample && sample < first + count) << k;
        tensor[k] = kept;
      }
    }
  }
}

}  // namespace fingerprint_test
