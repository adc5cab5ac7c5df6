// Built with -ffast-math: NaN in a batch is told, kept in its channel and left out of the running statistics.
#define EIGEN_USE_THREADS
#include <gtest/gtest.h>

#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "support/fast_math.hpp"
#include "support/throws.hpp"

namespace fast_math_test {

namespace bn = batchnorm;
using namespace testing_support;

/// A tensor NCHW of odd extents and the same values as a matrix of rows, filled by a formula; channel 1 is the one that
/// gets what is not finite.
constexpr Eigen::Index samples = 5, channels = 3, height = 7, width = 9;
constexpr Eigen::Index rows = samples * height * width;

template <class T>
T value_at(Eigen::Index i) {
  return static_cast<T>((i * 37) % 101) / T(25) - T(2);
}

template <class Layout, class T>
auto make_tensor() {
  if constexpr (std::same_as<Layout, bn::channel_first>) {
    Eigen::Tensor<T, 4, Eigen::RowMajor> x(samples, channels, height, width);
    for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = value_at<T>(i);
    return x;
  } else {
    Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> x(rows, channels);
    for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = value_at<T>(i);
    return x;
  }
}

/// The channel of the element at an address.
template <class Layout>
Eigen::Index channel_of(Eigen::Index i) {
  return std::same_as<Layout, bn::channel_first> ? i / (height * width) % channels : i % channels;
}
/// An element of channel 1, in the middle of the data or the last of them, where the ends of packets are.
template <class Layout>
Eigen::Index spoiled(bool last) {
  Eigen::Index i = rows * channels / (last ? 1 : 2) - 1;
  while (channel_of<Layout>(i) != 1) --i;
  return i;
}

template <class T, class L, class A>
struct Case {
  using Scalar = T;
  using Layout = L;
  using Activation = A;
};
template <class Case>
class FastMathLayer : public testing::Test {
 protected:
  using T = typename Case::Scalar;
  using Layout = typename Case::Layout;
  using Activation = typename Case::Activation;
  using Tensor = decltype(make_tensor<Layout, T>());
  static constexpr bool takes_residual = bn::ResidualActivation<Activation, T>;
  using Norm = bn::BatchNorm<T, Layout, Activation>;

  void forward(Norm& norm) {
    if constexpr (takes_residual) {
      norm.forward(x, residual, y);
    } else {
      norm.forward(x, y);
    }
  }
  void infer(const Norm& norm) {
    if constexpr (takes_residual) {
      norm.infer(x, residual, y);
    } else {
      norm.infer(x, y);
    }
  }
  void backward(Norm& norm) {
    if constexpr (takes_residual) {
      norm.backward(x, residual, dy, dx, dresidual);
    } else {
      norm.backward(x, dy, dx);
    }
  }

  /// That channel 1 is NaN, all of it, and no other value is.
  void expect_nan_in_channel_1(const Tensor& tensor, const std::string& what) {
    Eigen::Index wrong = 0;
    for (Eigen::Index i = 0; i < tensor.size(); ++i) {
      const T value = tensor.data()[i];
      wrong += channel_of<Layout>(i) == 1 ? !is_nan(value) : !is_finite(value);
    }
    EXPECT_EQ(wrong, 0) << what;
  }

  Tensor x = make_tensor<Layout, T>(), dy = x, residual = x, y, dx, dresidual;
};
using Cases = testing::Types<
    Case<float, bn::samples_in_rows, bn::relu>, Case<float, bn::channel_first, bn::activations::identity>,
    Case<float, bn::channel_first, bn::add_relu>, Case<double, bn::samples_in_rows, bn::activations::tanh>>;
TYPED_TEST_SUITE(FastMathLayer, Cases);

TYPED_TEST(FastMathLayer, OneValueThatIsNotFiniteSpoilsItsChannelAndIsSkipped) {
  using Value = typename TypeParam::Scalar;
  using Axes = typename TypeParam::Layout;
  for (const bool last : {false, true}) {
    for (const Value bad : {nan<Value>(), nan<Value>(true), infinity<Value>(), -infinity<Value>()}) {
      this->x = make_tensor<Axes, Value>();
      this->x.data()[spoiled<Axes>(last)] = bad;
      typename TestFixture::Norm norm({.channels = channels});
      this->forward(norm);
      this->expect_nan_in_channel_1(this->y, "y");
      EXPECT_EQ(norm.running().skipped, 1);
      EXPECT_EQ(norm.running().batches, 0);
      for (Eigen::Index c = 0; c < channels; ++c) {
        EXPECT_EQ(norm.running().mean[c], 0);
        EXPECT_EQ(norm.running().variance[c], 1);
      }
      // The layer goes on with the next batch.
      this->x = make_tensor<Axes, Value>();
      this->forward(norm);
      EXPECT_EQ(norm.running().batches, 1);
      for (Eigen::Index i = 0; i < this->y.size(); ++i) ASSERT_TRUE(is_finite(this->y.data()[i]));
    }
  }
}

TYPED_TEST(FastMathLayer, NonFiniteErrorThrows) {
  using Value = typename TypeParam::Scalar;
  this->x.data()[spoiled<typename TypeParam::Layout>(true)] = nan<Value>();
  typename TestFixture::Norm norm({.channels = channels, .non_finite = bn::NonFinite::error});
  EXPECT_TRUE(has_parts(message_of([&] { this->forward(norm); }), "expected finite statistics", "channel 1"));
}

TYPED_TEST(FastMathLayer, InferenceKeepsNaNWhereItIs) {
  using Value = typename TypeParam::Scalar;
  using Axes = typename TypeParam::Layout;
  const typename TestFixture::Norm norm({.channels = channels});
  for (const bool last : {false, true}) {
    const Eigen::Index bad = spoiled<Axes>(last);
    this->x = make_tensor<Axes, Value>();
    this->x.data()[bad] = nan<Value>(last);
    this->infer(norm);
    for (Eigen::Index i = 0; i < this->y.size(); ++i) ASSERT_EQ(is_nan(this->y.data()[i]), i == bad) << i;
  }
}

TYPED_TEST(FastMathLayer, NaNInTheGradientSpoilsItsChannel) {
  using Value = typename TypeParam::Scalar;
  using Axes = typename TypeParam::Layout;
  // Where a ReLU is at work its gradient must be passed on: the largest value of the channel.
  Eigen::Index bad = 0;
  Value largest = -100;
  for (Eigen::Index i = 0; i < this->x.size(); ++i) {
    if (channel_of<Axes>(i) == 1 && this->x.data()[i] > largest) largest = this->x.data()[bad = i];
  }
  this->dy.data()[bad] = nan<Value>();
  typename TestFixture::Norm norm({.channels = channels});
  this->forward(norm);
  this->backward(norm);
  this->expect_nan_in_channel_1(this->dx, "dx");
  EXPECT_TRUE(is_nan(norm.gradients().gamma[1]) && is_nan(norm.gradients().beta[1]));
  EXPECT_TRUE(is_finite(norm.gradients().gamma[0]) && is_finite(norm.gradients().beta[2]));
}

// The activations and their derivatives once more, in double.
double f(bn::activations::identity, double z) { return z; }
double derivative(bn::activations::identity, double) { return 1; }

double f(bn::relu, double z) { return z > 0 ? z : 0; }
double derivative(bn::relu, double z) { return z > 0 ? 1 : 0; }

double f(bn::add_relu, double z) { return f(bn::relu(), z); }  // of a residual that is 0
double derivative(bn::add_relu, double z) { return derivative(bn::relu(), z); }

double f(bn::activations::tanh, double z) { return std::tanh(z); }
double derivative(bn::activations::tanh, double z) { return 1 - std::tanh(z) * std::tanh(z); }

/// What is to come of the values of a channel, in double.
struct ChannelReference {
  Eigen::ArrayXd y, dx;

  template <class Activation>
  ChannelReference(const Activation& activation, const Eigen::ArrayXd& x, const Eigen::ArrayXd& dy, double epsilon) {
    const Eigen::ArrayXd centered = x - x.mean();
    const double inv_std = 1 / std::sqrt(centered.square().mean() + epsilon);
    const Eigen::ArrayXd z = centered * inv_std;
    const Eigen::ArrayXd dz = dy * z.unaryExpr([&](double of) { return derivative(activation, of); });
    y = z.unaryExpr([&](double of) { return f(activation, of); });
    dx = inv_std * (dz - dz.mean() - z * (dz * z).mean());
  }
};

/// That all are finite, by their bits, and near.
template <class T>
void expect_near(const std::vector<T>& actual, const Eigen::ArrayXd& expected, double bound) {
  ASSERT_EQ(static_cast<Eigen::Index>(actual.size()), expected.size());
  for (Eigen::Index k = 0; k < expected.size(); ++k) {
    const T value = actual[static_cast<std::size_t>(k)];
    ASSERT_TRUE(is_finite(value)) << k;
    EXPECT_LE(std::abs(static_cast<double>(value) - expected[k]), bound) << k;
  }
}

TYPED_TEST(FastMathLayer, IsAsAccurateAsEver) {
  using Value = typename TypeParam::Scalar;
  using Axes = typename TypeParam::Layout;
  // Mean 10,000 and standard deviation .01: what x * scale - mean * scale would lose altogether.
  for (Eigen::Index i = 0; i < this->x.size(); ++i) {
    this->x.data()[i] = Value(10000) + Value(0.01) * value_at<Value>(i);
    this->residual.data()[i] = Value(0);
    this->dy.data()[i] = value_at<Value>(i * i + 3);  // not in proportion to x
  }
  typename TestFixture::Norm norm({.channels = channels, .epsilon = 1e-9});
  this->forward(norm);
  this->backward(norm);
  const auto channel = [](const auto& tensor, Eigen::Index c) {
    std::vector<Value> values;
    for (Eigen::Index i = 0; i < tensor.size(); ++i) {
      if (channel_of<Axes>(i) == c) values.push_back(tensor.data()[i]);
    }
    return values;
  };
  const auto in_double = [](const std::vector<Value>& values) {
    return Eigen::Map<const Eigen::Array<Value, Eigen::Dynamic, 1>>(values.data(), rows).template cast<double>().eval();
  };
  for (Eigen::Index c = 0; c < channels; ++c) {
    SCOPED_TRACE(testing::Message() << "channel " << c);
    const ChannelReference expected(norm.activation(), in_double(channel(this->x, c)), in_double(channel(this->dy, c)),
                                    1e-9);
    expect_near(channel(this->y, c), expected.y, 1e-6);
    expect_near(channel(this->dx, c), expected.dx, 1e-6 * expected.dx.abs().maxCoeff());
  }
}

TEST(FastMath, AnEpsilonThatIsNotFiniteIsRefused) {
  for (const double epsilon : {nan<double>(), nan<double>(true), infinity<double>(), -infinity<double>(), -1e-5, 0.0}) {
    EXPECT_TRUE(has_parts(message_of([&] { bn::BatchNorm<float>({.channels = 2, .epsilon = epsilon}); }), "epsilon"));
  }
}

TEST(FastMath, FactorsOfAGradientStayApart) {
  Eigen::MatrixXf x = Eigen::MatrixXf::Constant(64, 1, 1.38e-27f), y, dy(64, 1), dx;
  for (Eigen::Index i = 0; i < 64; ++i) dy(i, 0) = 0.05f * static_cast<float>(i * 7 % 5 - 2);
  bn::BatchNorm<float> norm({.channels = 1, .epsilon = 1e-77});  // so gamma / std is no float, but dx is one
  norm.affine().gamma.setConstant(1.25f);
  norm.forward(x, y);
  norm.backward(x, dy, dx);
  const double mean = dy.cast<double>().mean();
  for (Eigen::Index i = 0; i < 64; ++i) {
    const double expected = (static_cast<double>(dy(i, 0)) - mean) * 1.25 / std::sqrt(1e-77);
    EXPECT_NEAR(static_cast<double>(dx(i, 0)), expected, 1e-6 * 4e37) << i;
  }
}

TEST(FastMath, HalvesKeepNaN) {
  const auto check = [](auto zero) {
    using Element = decltype(zero);
    Eigen::Matrix<Element, Eigen::Dynamic, Eigen::Dynamic> x(37, 3), y;
    for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<Element>(value_at<float>(i));
    // A quiet NaN has the highest bit of the fraction, in both.
    x(36, 1) = Eigen::numext::bit_cast<Element>(std::uint16_t(std::same_as<Element, Eigen::half> ? 0x7e00 : 0x7fc0));
    bn::BatchNorm<float, bn::samples_in_rows, bn::relu> norm({.channels = 3});
    norm.forward(x, y);
    EXPECT_EQ(norm.running().skipped, 1);
    const int infinite = std::same_as<Element, Eigen::half> ? 0x7c00 : 0x7f80;
    for (Eigen::Index i = 0; i < y.size(); ++i) {
      const int bits = Eigen::numext::bit_cast<std::uint16_t>(y.data()[i]) & 0x7fff;
      ASSERT_EQ(bits > infinite, i / 37 == 1) << i;
    }
  };
  check(Eigen::half(0));
  check(Eigen::bfloat16(0));
}

}  // namespace fast_math_test
