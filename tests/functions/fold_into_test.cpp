// Normalization folded into weights: the folded layer gives what layer and normalization give one after the other. Both
// are computed here, in double, by loops that say what a convolution is; the library's part is the weights.
#include <gtest/gtest.h>

#include <batchnorm/functions/fold_into.hpp>
#include <functional>
#include <limits>
#include <sstream>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "support/by_hand.hpp"
#include "support/kernels.hpp"
#include "support/random.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/values.hpp"

namespace fold_into_test {

namespace bn = batchnorm;
using Eigen::Index;
using testing_support::affine_by_hand;
using testing_support::has_parts;
using testing_support::max_abs;
using testing_support::message_of;
using testing_support::Random;
using testing_support::running_by_hand;

constexpr double epsilon = 1e-3;

struct Images {
  Index samples, channels, height, width;
  std::vector<double> values = std::vector<double>(std::size_t(samples * channels * height * width));

  double& operator()(Index n, Index c, Index h, Index w) {
    return values[std::size_t(((n * channels + c) * height + h) * width + w)];
  }
  bool has(Index h, Index w) const { return 0 <= h && h < height && 0 <= w && w < width; }

  /// f(channel, value) of all values.
  template <class F>
  Images map(const F& f) const {
    Images result = *this;
    for (std::size_t k = 0; k < values.size(); ++k) {
      result.values[k] = f(Index(k) / (height * width) % channels, values[k]);
    }
    return result;
  }
};

struct Geometry {
  Index inputs = 6, outputs = 12, groups = 1, height = 2, width = 3, stride = 1, padding = 0;
  bool transposed = false;

  bool same_group(Index o, Index i) const { return o / (outputs / groups) == i / (inputs / groups); }
  double terms() const { return double(inputs * height * width + 1); }
};

using Weight = std::function<double(Index o, Index i, Index h, Index w)>;

double zero_border(Index) { return 0; }

/// y(o, p) = bias(o) + sum_ik weight(o, i, k) x(i, stride p - padding + k), with border(i) where there is no x; or
/// transposed, what that gives back to x: y(o, stride p - padding + k) gets weight(o, i, k) x(i, p).
Images convolution(const Geometry& g, Images x, const Weight& weight, const std::vector<double>& bias,
                   const std::function<double(Index)>& border = zero_border) {
  const auto extent = [&](Index size, Index kernel) {
    return g.transposed ? (size - 1) * g.stride - 2 * g.padding + kernel
                        : (size + 2 * g.padding - kernel) / g.stride + 1;
  };
  Images y{x.samples, g.outputs, extent(x.height, g.height), extent(x.width, g.width)};
  const Images& walked = g.transposed ? x : y;
  y = y.map([&](Index o, double) { return bias.empty() ? 0 : bias[std::size_t(o)]; });
  for (Index n = 0; n < x.samples; ++n)
    for (Index o = 0; o < g.outputs; ++o)
      for (Index i = 0; i < g.inputs; ++i)
        for (Index p = 0; p < walked.height; ++p)
          for (Index q = 0; q < walked.width; ++q)
            for (Index h = 0; h < g.height; ++h)
              for (Index w = 0; w < g.width; ++w) {
                if (!g.same_group(o, i)) continue;
                const Index far_h = p * g.stride - g.padding + h, far_w = q * g.stride - g.padding + w;
                if (!g.transposed) {
                  y(n, o, p, q) += weight(o, i, h, w) * (x.has(far_h, far_w) ? x(n, i, far_h, far_w) : border(i));
                } else if (y.has(far_h, far_w)) {
                  y(n, o, far_h, far_w) += weight(o, i, h, w) * x(n, i, p, q);
                }
              }
  return y;
}

/// Where a framework keeps weight(o, i, h, w): on these axes, and of the channels that lie on the axis which is not
/// whole those of one group.
enum class Whole { outputs, inputs };
template <int Out, int In, int H, int W, Whole whole>
struct Arrangement {
  using Output = bn::channel_axis<Out>;
  using Input = bn::channel_axis<In>;
  using Extents = std::array<Index, 4>;

  static Extents extents(const Geometry& g) {
    Extents e;
    e[Out] = whole == Whole::outputs ? g.outputs : g.outputs / g.groups;
    e[In] = whole == Whole::inputs ? g.inputs : g.inputs / g.groups;
    e[H] = g.height;
    e[W] = g.width;
    return e;
  }
  static Extents index(const Geometry& g, Index o, Index i, Index h, Index w) {
    const Extents e = extents(g);
    Extents at;
    at[Out] = o % e[Out];
    at[In] = i % e[In];
    at[H] = h;
    at[W] = w;
    return at;
  }
};
using PyTorch = Arrangement<0, 1, 2, 3, Whole::outputs>;
using PyTorchTransposed = Arrangement<1, 0, 2, 3, Whole::inputs>;
using Keras = Arrangement<3, 2, 0, 1, Whole::outputs>;
using KerasTransposed = Arrangement<2, 3, 0, 1, Whole::inputs>;
using KerasDepthwise = Arrangement<3, 2, 0, 1, Whole::inputs>;
using WithHeightBetween = Arrangement<0, 2, 1, 3, Whole::inputs>;
using AtBothEnds = Arrangement<3, 0, 1, 2, Whole::inputs>;
using OutputsWithin = Arrangement<1, 3, 0, 2, Whole::outputs>;

std::vector<double> random_values(Index size, double low, double high, Random& random) {
  std::vector<double> values;
  for (Index k = 0; k < size; ++k) values.push_back(random.uniform(low, high));
  return values;
}

Images random_images(Index channels, Random& random) {
  return Images{2, channels, 5, 6}.map([&](Index c, double) { return double(c % 3) + random.normal(); });
}

/// A normalization whose numbers are floats, so that one of floats is the same.
template <class Scalar>
struct Norm {
  bn::AffineParameters<Scalar> affine;
  bn::RunningStatistics running;

  Norm(Index channels, Random& random) : affine(channels), running(channels) {
    for (Index c = 0; c < channels; ++c) {
      affine.gamma[c] = Scalar(float(random.uniform(0.5, 2) * (c % 3 == 1 ? -1 : 1)));
      affine.beta[c] = Scalar(float(random.uniform(-1, 1)));
      running.mean[c] = random.uniform(-3, 3);
      running.variance[c] = random.uniform(0.25, 4);
    }
  }
  double gamma(Index c) const { return affine.gamma.size() == 0 ? 1 : double(affine.gamma[c]); }
  double beta(Index c) const { return affine.beta.size() == 0 ? 0 : double(affine.beta[c]); }
  double scale(Index c) const { return gamma(c) / std::sqrt(running.variance[c] + epsilon); }
  double operator()(Index c, double x) const { return scale(c) * (x - running.mean[c]) + beta(c); }
  /// What it adds up, without signs.
  double magnitude(Index c, double x) const {
    return std::abs(scale(c)) * (std::abs(x) + std::abs(running.mean[c])) + std::abs(beta(c));
  }
};

/// The relative error of a folded weight: the scale is rounded to the type of parameters, the product to that of
/// weights. A bias is rounded once. Beside that, sums of `terms` products in double: each way one rounding for each of
/// them and few for the normalization.
template <class Element>
double allowance(const Geometry& g) {
  using Scalar = bn::statistics_t<Element>;
  const double weight = double(testing_support::epsilon_of<Element>() + testing_support::epsilon_of<Scalar>()) / 2;
  return 1.001 * weight + 2 * (g.terms() + 4) * 0x1p-53;
}

void expect_close(const Images& actual, const Images& expected, const Images& magnitude, double allowance) {
  ASSERT_EQ(actual.values.size(), expected.values.size());
  ASSERT_FALSE(expected.values.empty());
  for (std::size_t k = 0; k < expected.values.size(); ++k) {
    ASSERT_LE(std::abs(actual.values[k] - expected.values[k]), allowance * magnitude.values[k]) << "value " << k;
  }
}

std::vector<double> without_signs(std::vector<double> values) {
  for (double& value : values) value = std::abs(value);
  return values;
}
Images without_signs(const Images& images) {
  return images.map([](Index, double x) { return std::abs(x); });
}

template <class Arrangement, class Tensor>
Weight weight_of(const Geometry& g, const Tensor& weights) {
  return
      [&g, &weights](Index o, Index i, Index h, Index w) { return double(weights(Arrangement::index(g, o, i, h, w))); };
}
Weight without_signs(const Weight& weight) {
  return [weight](Index o, Index i, Index h, Index w) { return std::abs(weight(o, i, h, w)); };
}

/// A layer of random weights and, perhaps, a random bias.
template <class Arrangement, class Element, int Order>
struct Layer {
  Geometry geometry;
  Eigen::Tensor<Element, 4, Order> weights;
  std::vector<double> bias;

  Layer(const Geometry& g, bool has_bias, Random& random) : geometry(g), weights(Arrangement::extents(g)) {
    for (Index k = 0; k < weights.size(); ++k) {
      weights.data()[k] = Element(float(random.uniform(0.1, 1) * (random.uniform() < 0.5 ? -1 : 1)));
    }
    if (has_bias) bias = random_values(g.outputs, -2, 2, random);
  }
  Eigen::Map<const Eigen::VectorXd> bias_vector() const { return {bias.data(), Index(bias.size())}; }
  Weight weight() const { return weight_of<Arrangement>(geometry, weights); }

  Images operator()(const Images& x) const { return convolution(geometry, x, weight(), bias); }
  /// What it adds up, without signs.
  Images magnitude(const Images& x) const {
    return convolution(geometry, without_signs(x), without_signs(weight()), without_signs(bias));
  }
  template <class Folded>
  static Images apply(const Geometry& g, const Folded& folded, const Images& x) {
    const Eigen::ArrayXd bias = folded.bias.template cast<double>();
    return convolution(g, x, weight_of<Arrangement>(g, folded.weights), {bias.begin(), bias.end()});
  }
};

/// Normalization behind a layer.
template <class Arrangement, class Element = double, int Order>
void check_behind(const Geometry& g, bool has_bias) {
  using Scalar = bn::statistics_t<Element>;
  Random random(std::uint64_t(g.groups + 10 * g.stride));
  const Layer<Arrangement, Element, Order> layer(g, has_bias, random);
  const Norm<Scalar> norm(g.outputs, random);
  const Images x = random_images(g.inputs, random);
  const auto folded = bn::fold_into<typename Arrangement::Output, typename Arrangement::Input>(
      layer.weights, layer.bias_vector(), norm.affine, norm.running, epsilon, {.groups = g.groups});
  expect_close(layer.apply(g, folded, x), layer(x).map(norm),
               layer.magnitude(x).map([&](Index c, double z) { return norm.magnitude(c, z); }), allowance<Element>(g));
}

/// Normalization before a layer.
template <class Arrangement, class Element = double, int Order>
void check_before(const Geometry& g, bool has_bias) {
  using Scalar = bn::statistics_t<Element>;
  Random random(std::uint64_t(100 + g.groups + 10 * g.stride));
  const Layer<Arrangement, Element, Order> layer(g, has_bias, random);
  const Norm<Scalar> norm(g.inputs, random);
  const Images x = random_images(g.inputs, random);
  const auto folded = bn::fold_into_next<typename Arrangement::Output, typename Arrangement::Input>(
      layer.weights, layer.bias_vector(), norm.affine, norm.running, epsilon,
      {.groups = g.groups, .padding = bn::Padding::none});
  expect_close(layer.apply(g, folded, x), layer(x.map(norm)),
               layer.magnitude(x.map([&](Index c, double z) { return norm.magnitude(c, z); })), allowance<Element>(g));
}

/// Every number of groups, up to one for each input channel, with and without a bias.
template <class Check>
void for_each_grouping(Geometry geometry, const Check& check) {
  for (const Index groups : {1, 2, 3, 6}) {
    for (const bool has_bias : {false, true}) {
      SCOPED_TRACE(testing::Message() << groups << " groups, bias " << has_bias << ", transposed "
                                      << geometry.transposed << ", padding " << geometry.padding << ", stride "
                                      << geometry.stride);
      geometry.groups = groups;
      check(geometry, has_bias);
    }
  }
}

template <class Arrangement, int Order>
void check_all_behind() {
  for (const bool transposed : {false, true}) {
    for (const Index padding : {0, 1}) {
      for_each_grouping({.stride = 1 + padding, .padding = padding, .transposed = transposed},
                        check_behind<Arrangement, double, Order>);
    }
  }
}
template <class Arrangement, int Order>
void check_all_before() {
  for (const Index stride : {1, 2}) for_each_grouping({.stride = stride}, check_before<Arrangement, double, Order>);
}
template <class Arrangement>
void check_both_orders() {
  check_all_behind<Arrangement, Eigen::RowMajor>();
  check_all_behind<Arrangement, Eigen::ColMajor>();
  check_all_before<Arrangement, Eigen::RowMajor>();
  check_all_before<Arrangement, Eigen::ColMajor>();
}

TEST(FoldInto, IsComputedByHand) {
  const Eigen::MatrixXf weights{{1, 2, 3}, {4, 5, 6}};  // out x in
  const Eigen::Vector2f bias(10, 20);
  const auto folded = bn::fold_into<bn::channel_axis<0>>(weights, bias, affine_by_hand(), running_by_hand(), 7);
  EXPECT_EQ(folded.weights, (Eigen::MatrixXf{{0.5f, 1, 1.5f}, {-2, -2.5f, -3}}));
  EXPECT_EQ(folded.bias[0], 7.5f);   // (10 - 1) / 2 + 3
  EXPECT_EQ(folded.bias[1], -8.5f);  // (20 - 2) * -1/2 + 1/2
  const auto turned = bn::fold_into<bn::channel_axis<1>>(weights.transpose().eval(), bias.transpose(), affine_by_hand(),
                                                         running_by_hand(), 7);
  EXPECT_EQ(turned.weights, folded.weights.transpose());
  EXPECT_EQ(turned.bias[1], folded.bias[1]);
}

TEST(FoldIntoNext, IsComputedByHand) {
  const Eigen::MatrixXf weights{{2, 4}, {6, 8}, {10, 12}};  // out x in
  const Eigen::Vector3f bias(1, 2, 3);
  const auto folded = bn::fold_into_next<bn::channel_axis<0>, bn::channel_axis<1>>(weights, bias, affine_by_hand(),
                                                                                   running_by_hand(), 7);
  EXPECT_EQ(folded.weights, (Eigen::MatrixXf{{1, -2}, {3, -4}, {5, -6}}));
  // The normalization is x/2 + 5/2 and -x/2 + 3/2.
  EXPECT_EQ(folded.bias[0], 12.0f);  // 1 + 2 * 2.5 + 4 * 1.5
  EXPECT_EQ(folded.bias[1], 29.0f);
  EXPECT_EQ(folded.bias[2], 46.0f);
}

TEST(FoldInto, TakesWeightsAsPyTorchHasThem) { check_both_orders<PyTorch>(); }
TEST(FoldInto, TakesWeightsOfTransposedConvolutionsAsPyTorchHasThem) { check_both_orders<PyTorchTransposed>(); }
TEST(FoldInto, TakesWeightsAsKerasHasThem) { check_both_orders<Keras>(); }
TEST(FoldInto, TakesWeightsOfTransposedConvolutionsAsKerasHasThem) { check_both_orders<KerasTransposed>(); }
TEST(FoldInto, TakesWeightsOfDepthwiseConvolutionsAsKerasHasThem) { check_both_orders<KerasDepthwise>(); }
TEST(FoldInto, TakesAxesInAnyOrder) {
  check_both_orders<WithHeightBetween>();
  check_both_orders<AtBothEnds>();
  check_both_orders<OutputsWithin>();
}

TEST(FoldInto, TakesFloatsAndNumbersOfSixteenBits) {
  for_each_grouping({.stride = 2, .padding = 1}, check_behind<PyTorch, float, Eigen::RowMajor>);
  for_each_grouping({.transposed = true}, check_behind<PyTorchTransposed, Eigen::half, Eigen::RowMajor>);
  for_each_grouping({}, check_behind<KerasDepthwise, Eigen::bfloat16, Eigen::RowMajor>);
  for_each_grouping({}, check_before<PyTorch, float, Eigen::RowMajor>);
  for_each_grouping({}, check_before<KerasDepthwise, Eigen::half, Eigen::RowMajor>);
}

TEST(FoldInto, NeedsOneAxisWhereThatHasAllOutputs) {
  Random random(1);
  for (const Index groups : {1, 3}) {
    const Geometry g{.groups = groups};
    const Layer<PyTorch, double, Eigen::RowMajor> layer(g, true, random);
    const Norm<double> norm(g.outputs, random);
    const auto one =
        bn::fold_into<bn::channel_axis<0>>(layer.weights, layer.bias_vector(), norm.affine, norm.running, epsilon);
    const auto two = bn::fold_into<bn::channel_axis<0>, bn::channel_axis<1>>(
        layer.weights, layer.bias_vector(), norm.affine, norm.running, epsilon, {.groups = groups});
    for (Index k = 0; k < one.weights.size(); ++k) EXPECT_EQ(one.weights.data()[k], two.weights.data()[k]);
    EXPECT_TRUE((one.bias == two.bias).all());
  }
}

TEST(FoldInto, TakesTensorsOfOtherRanksMapsAndBlocks) {
  const Eigen::ArrayXd none;
  Eigen::Tensor<double, 3> line(2, 4, 5);
  Eigen::TensorFixedSize<double, Eigen::Sizes<3, 2, 2, 2, 2>, Eigen::RowMajor> volume;
  Eigen::MatrixXd large(7, 9);
  line.setRandom();
  volume.setRandom();
  large.setRandom();
  bn::RunningStatistics running = running_by_hand();
  const bn::AffineParameters<double> affine;
  const auto a = bn::fold_into<bn::channel_axis<0>>(Eigen::TensorMap<const Eigen::Tensor<double, 3>>(line), none,
                                                    affine, running, 7);
  for (Index o = 0; o < 2; ++o) EXPECT_EQ(a.weights(o, 3, 4), line(o, 3, 4) / (o == 0 ? 4 : 8));
  const auto b = bn::fold_into<bn::channel_axis<2>>(volume, none, affine, running, 7);
  for (Index o = 0; o < 2; ++o) EXPECT_EQ(b.weights(2, 1, o, 1, 0), volume(2, 1, o, 1, 0) / (o == 0 ? 4 : 8));
  const auto c = bn::fold_into<bn::channel_axis<1>>(large.block(1, 2, 4, 2), none, affine, running, 7);
  EXPECT_EQ(c.weights(3, 0), large(4, 2) / 4);
  EXPECT_EQ(c.weights(3, 1), large(4, 3) / 8);
  EXPECT_EQ(c.bias[0], -0.25);
}

TEST(FoldInto, SubtractsTheMeanFromTheBiasBeforeAnythingIsRounded) {
  bn::RunningStatistics running(1);
  running.mean[0] = 1e6;
  running.variance[0] = 1;
  const auto folded =
      bn::fold_into<bn::channel_axis<0>>(Eigen::MatrixXf::Ones(1, 1).eval(), Eigen::VectorXd::Constant(1, 1e6 + 0.125),
                                         bn::AffineParameters<float>(), running, 1e-30);
  EXPECT_EQ(folded.bias[0], 0.125f);  // 1e6 + 0.125 - 1e6: of floats that would be nothing
  EXPECT_EQ(folded.report.bits_lost[0], 0);
}

TEST(FoldIntoNext, RefusesZerosBeyondTheBorderUnlessTheyStayZeros) {
  Random random(2);
  const Geometry g{.padding = 1};
  const Layer<PyTorch, double, Eigen::RowMajor> layer(g, true, random);
  Norm<double> norm(g.inputs, random);
  const auto fold = [&](bn::Padding padding) {
    return bn::fold_into_next<bn::channel_axis<0>, bn::channel_axis<1>>(layer.weights, layer.bias_vector(), norm.affine,
                                                                        norm.running, epsilon, {.padding = padding});
  };
  EXPECT_TRUE(has_parts(message_of([&] { (void)fold(bn::Padding::unknown); }), "fold_into_next(padding)",
                        "beyond its border", "Padding::unknown", "Padding::none", "[12, 6, 2, 3] row-major"));
  EXPECT_TRUE(has_parts(message_of([&] { (void)fold(bn::Padding::zeros); }), "fold_into_next(padding)", "no zeros",
                        "channel 0", "Padding::zeros", "mean - beta / (gamma inv_std)"));

  // What the message says to do instead.
  const Images x = random_images(g.inputs, random), expected = layer(x.map(norm));
  const auto magnitude = [&](Index c, double z) { return norm.magnitude(c, z); };
  const auto folded = fold(bn::Padding::none);
  const auto pad = [&](Index c) { return norm.running.mean[c] - norm.beta(c) / norm.scale(c); };
  const Images padded =
      convolution(g, x, weight_of<PyTorch>(g, folded.weights), {folded.bias.begin(), folded.bias.end()}, pad);
  const Images border = convolution(g, x.map(magnitude), without_signs(layer.weight()), without_signs(layer.bias),
                                    [&](Index c) { return norm.magnitude(c, pad(c)); });
  expect_close(padded, expected, border, allowance<double>(g));

  // And why it is refused: right within, wrong at the border.
  Images wrong = layer.apply(g, folded, x), right = expected;
  EXPECT_NEAR(wrong(0, 0, 2, 2), right(0, 0, 2, 2), 1e-12);
  EXPECT_GT(std::abs(wrong(0, 0, 0, 0) - right(0, 0, 0, 0)), 0.01);

  norm.affine.beta.resize(0);
  norm.running.mean.setZero();
  const Images scaled = layer.apply(g, fold(bn::Padding::zeros), x);
  expect_close(scaled, layer(x.map(norm)), layer.magnitude(x.map(magnitude)), allowance<double>(g));
}

TEST(FoldReport, TellsWhereToLook) {
  bn::RunningStatistics running(4);
  running.mean << 0, 64, -5, 1;
  running.variance << 15, 3, 0, 1;
  bn::AffineParameters<float> affine(4);
  affine.gamma << 1, -10, 3, 1e-5f;
  const Eigen::MatrixXf weights = Eigen::MatrixXf::Ones(4, 2);
  const auto folded = bn::fold_into<bn::channel_axis<0>>(weights, Eigen::VectorXf(), affine, running, 1);
  const bn::FoldReport& report = folded.report;
  EXPECT_EQ(report.bits_lost[0], 0);
  EXPECT_NEAR(report.bits_lost[1], 5, 1e-12);  // 64 / 2
  EXPECT_NEAR(report.bits_lost[2], std::log2(5), 1e-12);
  EXPECT_EQ(report.worst_channel, 1);
  EXPECT_EQ(report.largest_scale, 5);
  EXPECT_EQ(report.largest_scale_channel, 1);
  EXPECT_EQ(report.small_variances, (std::vector<Index>{2, 3}));
  EXPECT_EQ(report.small_gammas, std::vector<Index>{3});
  std::ostringstream text;
  text << report;
  EXPECT_EQ(text.str(),
            "largest |scale| 5 in channel 1, most bits lost 5 in channel 1, small variances: 2 3, small "
            "gammas: 3");

  // With a bias the layer's values lie about mean - bias; before a layer there is none.
  const Eigen::Vector4f bias(0, 56, 0, 0);
  const auto with_bias = bn::fold_into<bn::channel_axis<0>>(weights, bias, affine, running, 1, {.small_gamma = 1});
  EXPECT_NEAR(with_bias.report.bits_lost[1], 2, 1e-12);
  EXPECT_EQ(with_bias.report.worst_channel, 2);
  EXPECT_EQ(with_bias.report.small_gammas, (std::vector<Index>{0, 3}));
  const auto next =
      bn::fold_into_next<bn::channel_axis<1>, bn::channel_axis<0>>(weights, Eigen::VectorXf(), affine, running, 1);
  EXPECT_NEAR(next.report.bits_lost[1], 5, 1e-12);
}

TEST(FoldInto, RefusesSizesThatDoNotFit) {
  const auto affine = affine_by_hand();
  const auto running = running_by_hand();
  const Eigen::MatrixXf weights = Eigen::MatrixXf::Ones(3, 4), two = Eigen::MatrixXf::Ones(2, 4);
  const Eigen::VectorXf none;
  EXPECT_EQ(
      message_of([&] { (void)bn::fold_into<bn::channel_axis<0>>(weights, none, affine, running, 7); }),
      "batchnorm: fold_into(weights): expected the 2 channels of the normalization, or those of one group, on axis "
      "0 (channel_axis<0>), that of the output channels, got 3 and 1 group; name the axis of the input channels "
      "too where an axis has those of one group; weights is [3, 4] column-major");
  EXPECT_TRUE(has_parts(message_of([&] {
                          (void)bn::fold_into_next<bn::channel_axis<1>, bn::channel_axis<0>>(weights, none, affine,
                                                                                             running, 7, {.groups = 2});
                        }),
                        "fold_into_next(weights)", "2 channels", "axis 0", "input", "got 3 and 2 groups"));
  EXPECT_TRUE(has_parts(
      message_of([&] { (void)bn::fold_into<bn::channel_axis<0>>(two, Eigen::VectorXf::Ones(4), affine, running, 7); }),
      "fold_into(bias)", "expected 2", "got 4"));
  EXPECT_TRUE(has_parts(
      message_of([&] { (void)bn::fold_into<bn::channel_axis<0>>(two, none, affine, running, 7, {.groups = 0}); }),
      "fold_into(groups)", "at least 1", "got 0"));
  EXPECT_TRUE(has_parts(message_of([&] {
                          (void)bn::fold_into<bn::channel_axis<1>, bn::channel_axis<0>>(
                              Eigen::MatrixXf::Ones(3, 1).eval(), none, affine, running, 7, {.groups = 2});
                        }),
                        "fold_into(groups)", "divisor of the 3 channels on axis 0", "got 2"));
  EXPECT_TRUE(has_parts(
      message_of([&] { (void)bn::fold_into<bn::channel_axis<0>>(two, none, affine, running, 7, {.groups = 7}); }),
      "fold_into(groups)", "divisor of the 2 channels of the normalization", "got 7"));
  EXPECT_TRUE(has_parts(message_of([&] {
                          (void)bn::fold_into<bn::channel_axis<0>>(two, none, bn::AffineParameters<float>(3), running,
                                                                   7);
                        }),
                        "fold_into", "expected 2", "gamma", "got 3"));
  EXPECT_TRUE(has_parts(message_of([&] { (void)bn::fold_into<bn::channel_axis<0>>(two, none, affine, running, 0); }),
                        "epsilon > 0"));
}

TEST(FoldInto, TakesWeightsOfAnySizeAndNoneAtAll) {
  bn::AffineParameters<double> affine(2);
  const bn::RunningStatistics running(2);
  const Eigen::MatrixXd large{{1e200, -1e200, 3}, {1e307, 1, -1e307}};
  const auto folded = bn::fold_into<bn::channel_axis<0>>(large, Eigen::VectorXd(), affine, running, 1e-5);
  EXPECT_LE(max_abs(folded.weights.array() / large.array() - 1 / std::sqrt(1 + 1e-5)), 1e-15);
  const auto none = bn::fold_into<bn::channel_axis<0>>(Eigen::MatrixXf(0, 3), Eigen::VectorXf(),
                                                       bn::AffineParameters<float>(), bn::RunningStatistics(0), 1e-5);
  EXPECT_EQ(none.weights.cols(), 3);
  EXPECT_EQ(none.bias.size() + none.report.bits_lost.size(), 0);
  const auto next = bn::fold_into_next<bn::channel_axis<0>, bn::channel_axis<1>>(
      Eigen::MatrixXf(3, 0), Eigen::VectorXf::Ones(3), bn::AffineParameters<float>(), bn::RunningStatistics(0), 1e-5);
  EXPECT_TRUE((next.bias == 1).all());
}

TEST(FoldInto, RefusesWhatIsNotFiniteAndNamesTheChannel) {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Eigen::VectorXf none;
  auto affine = affine_by_hand();
  auto running = running_by_hand();
  Eigen::MatrixXf weights = Eigen::MatrixXf::Ones(2, 4);
  const auto message = [&] {
    return message_of([&] { (void)bn::fold_into<bn::channel_axis<0>>(weights, none, affine, running, 7); });
  };
  for (const float value : {infinity, -infinity, nan}) {
    weights(1, 2) = value;
    EXPECT_TRUE(has_parts(message(), "fold_into(weights)", "finite weights", "channel 1"));
  }
  weights(1, 2) = 1;
  affine.gamma[1] = nan;
  EXPECT_TRUE(has_parts(message(), "fold_into", "finite", "channel 1", "gamma"));
  affine.gamma[1] = 3e38f;
  weights.row(1).setConstant(100);
  EXPECT_TRUE(has_parts(message(), "fold_into", "expected", "channel 1", "scale"));
  affine.gamma[1] = 1;
  running.variance[1] = -1;
  EXPECT_TRUE(has_parts(message(), "variance >= 0", "channel 1"));
}

TEST(FoldInto, RefusesWhatNumbersOfSixteenBitsCannotHold) {
  bn::RunningStatistics running(6);
  running.variance[4] = 1e-6;
  const bn::AffineParameters<float> affine;
  Eigen::Tensor<Eigen::half, 4, Eigen::RowMajor> weights(4, 3, 1, 1);  // transposed, two groups of three
  weights.setConstant(Eigen::half(100));
  const Eigen::VectorXf none;
  const auto fold = [&](double eps) {
    return bn::fold_into<bn::channel_axis<1>, bn::channel_axis<0>>(weights, none, affine, running, eps, {.groups = 2});
  };
  EXPECT_EQ(float(fold(1).weights(3, 1, 0, 0)), 100.0f);
  EXPECT_TRUE(has_parts(message_of([&] { (void)fold(1e-12); }), "fold_into(weights)", "at most 65504", "channel 4",
                        "of scale 1000", "wider type", "[4, 3, 1, 1] row-major"));
}

TEST(FoldDifference, IsTheLargestOfEachChannelInAnyLayout) {
  Eigen::MatrixXd y = Eigen::MatrixXd::Random(5, 3), other = y;
  other(4, 1) += 0.5;
  other(2, 1) -= 0.75;
  other(0, 2) += 0.25;
  const auto in_rows = bn::fold_difference(y, other);
  EXPECT_EQ(in_rows.channel, 1);
  EXPECT_NEAR(in_rows.largest, 0.75, 1e-15);
  EXPECT_EQ(in_rows.by_channel[0], 0);
  EXPECT_NEAR(in_rows.by_channel[2], 0.25, 1e-15);
  const auto in_columns = bn::fold_difference<bn::samples_in_columns>(y.transpose(), other.transpose());
  EXPECT_TRUE((in_columns.by_channel == in_rows.by_channel).all());

  Eigen::Tensor<float, 4, Eigen::RowMajor> image(2, 3, 4, 5);
  Eigen::Tensor<float, 4> turned(2, 3, 4, 5);
  image.setZero();
  turned.setZero();
  auto changed = image;
  auto changed_turned = turned;
  changed(1, 2, 3, 4) = changed_turned(1, 2, 3, 4) = -3;
  EXPECT_EQ(bn::fold_difference<bn::channel_first>(image, changed).channel, 2);
  EXPECT_EQ(bn::fold_difference<bn::channel_last>(image, changed).channel, 4);
  EXPECT_EQ(bn::fold_difference<bn::channel_first>(turned, changed_turned).by_channel[2], 3);
  EXPECT_EQ(bn::fold_difference<bn::channel_last>(turned, changed_turned).by_channel[4], 3);
  std::ostringstream text;
  text << bn::fold_difference<bn::channel_first>(image, changed);
  EXPECT_EQ(text.str(), "largest difference 3 in channel 2");
}

TEST(FoldDifference, RefusesOtherExtentsAndWhatIsNotFinite) {
  Eigen::MatrixXf y = Eigen::MatrixXf::Random(5, 3), other = y;
  EXPECT_TRUE(has_parts(message_of([&] { (void)bn::fold_difference(y, y.topRows(4).eval()); }),
                        "fold_difference(folded_y)", "[5, 3]", "got [4, 3]"));
  other(1, 2) = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(has_parts(message_of([&] { (void)bn::fold_difference(y, other); }), "fold_difference(folded_y)",
                        "NaN or infinity in channel 2"));
  EXPECT_TRUE(has_parts(message_of([&] { (void)bn::fold_difference(other, y); }), "fold_difference(y)", "channel 2"));
  const Eigen::MatrixXf none(0, 3);
  EXPECT_EQ(bn::fold_difference(none, none).largest, 0);
  const Eigen::MatrixXd large{{1e200, 1}, {-1e308, 2}, {1e308, 3}};  // their squares are not finite, they are
  EXPECT_EQ(bn::fold_difference(large, large).largest, 0);
}

}  // namespace fold_into_test
