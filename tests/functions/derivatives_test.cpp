// jvp and backward_twice against difference quotients of the library's own forward and backward passes, and against
// numbers that others published.
#define EIGEN_USE_THREADS
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/derivatives.hpp>
#include <batchnorm/functions/forward.hpp>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/counting_device.hpp"
#include "support/golden.hpp"
#include "support/gradient_check.hpp"
#include "support/kernels.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

namespace derivatives_test {

namespace bn = batchnorm;
using Eigen::ArrayXd;
using Eigen::Index;
using testing_support::central_difference;
using testing_support::difference_step;
using testing_support::has_parts;
using testing_support::max_abs;
using testing_support::message_of;

using Columns = Eigen::MatrixXd;
using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Images = Eigen::Tensor<double, 3, Eigen::RowMajor>;

constexpr double epsilon = 1e-3, tolerance = double(testing_support::difference_tolerance);

template <class T>
auto flat(T& t) {
  return Eigen::Map<std::conditional_t<std::is_const_v<T>, const ArrayXd, ArrayXd>>(t.data(), t.size());
}

/// A function of dx, dgamma and dbeta: sum v dx + a dgamma + b dbeta.
template <class Layout, class T>
struct Function {
  T v;
  ArrayXd a, b;
  bool through;

  bn::Statistics statistics(const T& x) const {
    if (!through) return {ArrayXd::Constant(a.size(), .3), ArrayXd::Constant(a.size(), 1.7), 0};
    bn::Moments moments;
    bn::batch_moments<Layout>(x, moments);
    return bn::statistics(moments, epsilon);
  }
  double operator()(const T& x, const T& dy, const bn::AffineParameters<double>& affine) const {
    T dx = x;
    bn::Gradients<double> g;
    bn::backward<Layout>(x, dy, affine, statistics(x), dx, g);
    return (flat(v) * flat(dx)).sum() + (a * g.gamma.array()).sum() + (b * g.beta.array()).sum();
  }
};

/// Of f in each of these values.
template <class F>
ArrayXd differences(Eigen::Map<ArrayXd> values, const F& f) {
  ArrayXd result(values.size());
  for (Index i = 0; i < values.size(); ++i) result[i] = central_difference(values[i], f);
  return result;
}

void expect_near(const ArrayXd& result, const ArrayXd& expected, double relative) {
  EXPECT_LE(max_abs(result - expected), relative * (1e-3 + expected.abs().maxCoeff()));
}

template <class Layout, class T>
void check(T x, Index channels, bool through) {
  std::srand(7);
  T dy = x, v = x, dx2 = x, ddy = x, y = x, tangent = x;
  for (T* t : {&x, &dy, &v}) flat(*t) = ArrayXd::Random(x.size()) * 2 + .5;
  const ArrayXd a = ArrayXd::Random(channels), b = ArrayXd::Random(channels);
  bn::AffineParameters<double> affine;
  affine.gamma = ArrayXd::Random(channels) + 1.2;
  affine.beta = ArrayXd::Random(channels);
  const Function<Layout, T> f{v, a, b, through};
  bn::Gradients<double> gradients;
  bn::backward_twice<Layout>(x, dy, v, affine, f.statistics(x), dx2, ddy, gradients, {.gamma = a, .beta = b});
  const auto value = [&] { return f(x, dy, affine); };
  expect_near(flat(dx2), differences(flat(x), value), tolerance);
  expect_near(flat(ddy), differences(flat(dy), value), tolerance);
  expect_near(gradients.gamma, differences(Eigen::Map<ArrayXd>(affine.gamma.data(), channels), value), tolerance);

  bn::jvp<Layout>(x, v, affine, f.statistics(x), tangent, {.gamma = a, .beta = b});
  const auto forward = [&](double t) {
    T moved = x;
    flat(moved) += t * flat(v);
    bn::AffineParameters<double> there = affine;
    there.gamma += t * a;
    there.beta += t * b;
    bn::normalize<Layout>(moved, there, f.statistics(moved), y);
    return ArrayXd(flat(y));
  };
  expect_near(flat(tangent), (forward(difference_step) - forward(-difference_step)) / (2 * difference_step), tolerance);
}

TEST(Derivatives, AgreeWithDifferenceQuotients) {
  for (const bool through : {true, false}) {
    SCOPED_TRACE(through ? "batch statistics" : "constants");
    check<bn::samples_in_rows>(Columns(7, 3), 3, through);
    check<bn::samples_in_rows>(Rows(7, 5), 5, through);
    check<bn::samples_in_columns>(Columns(5, 7), 5, through);
    check<bn::channel_first>(Images(2, 3, 4), 3, through);
    check<bn::channel_last>(Images(2, 4, 3), 3, through);
  }
}

// 1e-12 of the largest: thousands of epsilons, for sums of five values that both take in double.
TEST(Derivatives, AreWhatPyTorchRecorded) {
  const testing_support::Golden golden("second");
  const auto values = [&](const char* name) { return golden.per_channel<double>(name); };
  const auto rows = [&](const char* name) {
    return Rows(Eigen::Map<const Rows>(golden.tensors.at(name).values.data(), 5, 3));
  };
  const Rows x = rows("x"), dy = rows("dy"), v = rows("v");
  Rows dx, dx2, ddy, tangent;
  bn::AffineParameters<double> affine;
  affine.gamma = values("gamma");
  bn::Moments moments;
  bn::batch_moments(x, moments);
  const bn::Statistics statistics = bn::statistics(moments, 1e-5);
  bn::Gradients<double> first, second;
  bn::backward(x, dy, affine, statistics, dx, first);
  bn::backward_twice(x, dy, v, affine, statistics, dx2, ddy, second);
  bn::jvp(x, v, affine, statistics, tangent);
  expect_near(flat(dx), values("dx"), 1e-12);
  expect_near(flat(dx2), values("x_grad"), 1e-12);
  expect_near(flat(ddy), values("dy_grad"), 1e-12);
  expect_near(second.gamma, values("gamma_grad"), 1e-12);
  expect_near(flat(tangent), values("jvp"), 1e-12);
}

// https://github.com/pytorch/pytorch/issues/196699: the second derivative along a curve, of which PyTorch's nested
// forward mode says -2.13.
TEST(Derivatives, SecondDerivativeAlongACurve) {
  const double t = -6;
  Images x(2, 2, 2), first = x, second = x, w = x, dx = x, dx2 = x, ddy = x;
  for (int i = 0; i < 8; ++i) {
    const double bend = i % 3 - 1;
    x.data()[i] = (i + 1) * t + bend * t * t + i;
    first.data()[i] = i + 1 + 2 * bend * t;
    second.data()[i] = 2 * bend;
    w.data()[i] = i + 1;
  }
  bn::AffineParameters<double> affine;
  affine.gamma = Eigen::Array2d(1.5, -.5);
  affine.beta = Eigen::Array2d(.25, 1);
  bn::Moments moments;
  bn::batch_moments<bn::channel_first>(x, moments);
  const bn::Statistics statistics = bn::statistics(moments, .25);
  bn::Gradients<double> gradients, unused;
  bn::backward<bn::channel_first>(x, w, affine, statistics, dx, gradients);
  bn::backward_twice<bn::channel_first>(x, w, first, affine, statistics, dx2, ddy, unused);
  EXPECT_NEAR((flat(dx) * flat(second)).sum() + (flat(dx2) * flat(first)).sum(), -0.20703015646993195, 1e-12);
}

TEST(Derivatives, ThreadsGiveTheSameBitsAndFloatIsNearDouble) {
  // Not independent: else the means of their products would be all but 0, and what is left of them their errors.
  // 1.4 MiB each: two of them are worth several threads.
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(9000, 40), v = Eigen::MatrixXf::Random(9000, 40) + x,
                        dy = Eigen::MatrixXf::Random(9000, 40) + v;
  Eigen::ThreadPool pool(3);
  const Eigen::ThreadPoolDevice device(&pool, 3);
  bn::Moments moments;
  bn::batch_moments(x, moments);
  const bn::Statistics statistics = bn::statistics(moments, epsilon);
  const bn::AffineParameters<float> affine;
  Eigen::MatrixXf dx, ddy, tangent, threaded_dx, threaded_ddy;
  bn::Gradients<float> none;
  bn::backward_twice(x, dy, v, affine, statistics, dx, ddy, none);
  bn::backward_twice(x, dy, v, affine, statistics, threaded_dx, threaded_ddy, none, {.device = device});
  EXPECT_EQ(dx, threaded_dx);
  EXPECT_EQ(ddy, threaded_ddy);
  bn::jvp(x, v, affine, statistics, tangent, {.device = device});
  EXPECT_EQ(tangent, ddy);
  testing_support::CountingPool counting;
  bn::jvp(x, v, affine, statistics, tangent, {.device = testing_support::CountingDevice{&counting}});
  EXPECT_EQ(tangent, ddy);
  EXPECT_GT(counting.scheduled, 0);
  counting.scheduled = 0;
  bn::backward_twice(x, dy, v, affine, statistics, threaded_dx, threaded_ddy, none,
                     {.device = testing_support::CountingDevice{&counting}});
  EXPECT_EQ(dx, threaded_dx);
  EXPECT_EQ(ddy, threaded_ddy);
  EXPECT_GT(counting.scheduled, 0);

  Columns dx_double, ddy_double;
  bn::Gradients<double> none_double;
  bn::backward_twice(Columns(x.cast<double>()), Columns(dy.cast<double>()), Columns(v.cast<double>()),
                     bn::AffineParameters<double>(), statistics, dx_double, ddy_double, none_double);
  // Five roundings of half an epsilon, 6e-8 each.
  EXPECT_LE(max_abs(dx.cast<double>() - dx_double), 3e-7 * dx_double.cwiseAbs().maxCoeff());
  EXPECT_LE(max_abs(ddy.cast<double>() - ddy_double), 3e-7 * ddy_double.cwiseAbs().maxCoeff());
}

/// Both derivatives of a batch, in double, of matrices with samples in rows.
struct Expected {
  Columns dx2, ddy;
  bn::Gradients<double> gradients;

  Expected(const Columns& x, const Columns& dy, const Columns& v, double eps) {
    bn::Moments moments;
    bn::batch_moments(x, moments);
    bn::AffineParameters<double> affine(x.cols());
    affine.gamma.setConstant(1.5);
    bn::backward_twice(x, dy, v, affine, bn::statistics(moments, eps), dx2, ddy, gradients);
  }
};

TEST(Derivatives, MayOverwriteWhatTheyRead) {
  const Columns x = Columns::Random(60, 7), dy = Columns::Random(60, 7), v = Columns::Random(60, 7);
  const Expected expected(x, dy, v, epsilon);
  bn::Moments moments;
  bn::batch_moments(x, moments);
  const bn::Statistics statistics = bn::statistics(moments, epsilon);
  bn::AffineParameters<double> affine(7);
  affine.gamma.setConstant(1.5);
  for (const int places : {0, 1, 2}) {
    Columns a = x, b = dy, c = v;
    Columns &dx2 = places == 0 ? a : places == 1 ? b : c, &ddy = places == 0 ? b : places == 1 ? c : a;
    bn::Gradients<double> gradients;
    bn::backward_twice(a, b, c, affine, statistics, dx2, ddy, gradients);
    EXPECT_EQ(dx2, expected.dx2) << places;
    EXPECT_EQ(ddy, expected.ddy) << places;
    EXPECT_TRUE((gradients.gamma == expected.gradients.gamma).all());
  }
  Columns tangent = v;
  bn::jvp(x, tangent, affine, statistics, tangent);
  EXPECT_EQ(tangent, expected.ddy);
}

TEST(Derivatives, SeeBlocksAndColumnMajorTensors) {
  const Columns x = Columns::Random(24, 5), dy = Columns::Random(24, 5), v = Columns::Random(24, 5);
  const Expected expected(x, dy, v, epsilon);
  bn::Moments moments;
  bn::batch_moments(x, moments);
  const bn::Statistics statistics = bn::statistics(moments, epsilon);
  bn::AffineParameters<double> affine(5);
  affine.gamma.setConstant(1.5);
  bn::Gradients<double> gradients;

  Rows in = Rows::Zero(30, 30), out = Rows::Constant(30, 20, 8);
  in.block(2, 1, 24, 5) = x;
  in.block(2, 11, 24, 5) = dy;
  in.block(2, 21, 24, 5) = v;
  bn::backward_twice(in.block(2, 1, 24, 5), in.block(2, 11, 24, 5), in.block(2, 21, 24, 5), affine, statistics,
                     out.block(3, 1, 24, 5), out.block(3, 11, 24, 5), gradients);
  expect_near(Columns(out.block(3, 1, 24, 5)).reshaped().array(), expected.dx2.reshaped().array(), 1e-14);
  expect_near(Columns(out.block(3, 11, 24, 5)).reshaped().array(), expected.ddy.reshaped().array(), 1e-14);
  EXPECT_EQ((out.array() == 8).count(), 600 - 240);

  // (n, h, c) with the channels on axis 2: column-major, a sample's values lie as in a column.
  using ColumnMajor = Eigen::Tensor<double, 3>;
  ColumnMajor tensor_x(4, 6, 5), tensor_dy(4, 6, 5), tensor_v(4, 6, 5), dx2(4, 6, 5), ddy(4, 6, 5);
  flat(tensor_x) = x.reshaped().array();
  flat(tensor_dy) = dy.reshaped().array();
  flat(tensor_v) = v.reshaped().array();
  bn::backward_twice<bn::channel_last>(tensor_x, tensor_dy, tensor_v, affine, statistics, dx2, ddy, gradients);
  expect_near(flat(dx2), expected.dx2.reshaped().array(), 1e-14);
  expect_near(flat(ddy), expected.ddy.reshaped().array(), 1e-14);
}

// A power of two in x is one in the results: but for the roundings of epsilon and inv_std, with the bits that they have
// without it.
TEST(Derivatives, OfFloatsAreOfAnyUsualSize) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(50, 3), dy = Eigen::MatrixXf::Random(50, 3),
                        v = Eigen::MatrixXf::Random(50, 3);
  const auto derivatives = [&](float unit) {
    const Eigen::MatrixXf scaled = x * unit;
    bn::Moments moments;
    bn::batch_moments(scaled, moments);
    const bn::Statistics statistics = bn::statistics(moments, epsilon * double(unit) * double(unit));
    std::array<Eigen::MatrixXf, 3> result;
    bn::Gradients<float> none;
    const bn::AffineParameters<float> affine;
    bn::backward_twice(scaled, dy, v, affine, statistics, result[0], result[1], none);
    bn::jvp(scaled, Eigen::MatrixXf(v * unit), affine, statistics, result[2]);
    result[0] *= unit * unit;
    result[1] *= unit;
    return result;
  };
  const auto expected = derivatives(1);
  for (const float unit : {0x1p-29f, 0x1p29f}) {
    const auto scaled = derivatives(unit);
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_LE(max_abs(scaled[k] - expected[k]), 2e-7f * expected[k].cwiseAbs().maxCoeff())
          << "result " << k << ", unit " << unit;
    }
  }
}

TEST(Derivatives, OfAMeanThatIsLargeBesideItsSpreadKeepTheirDigits) {
  const Eigen::MatrixXf x = (Eigen::MatrixXf::Random(200, 4).array() + 1000).matrix(),
                        dy = (Eigen::MatrixXf::Random(200, 4).array() + 300).matrix(),
                        v = Eigen::MatrixXf::Random(200, 4);
  const Expected expected(x.cast<double>(), dy.cast<double>(), v.cast<double>(), epsilon);
  bn::Moments moments;
  bn::batch_moments(x, moments);
  bn::AffineParameters<float> affine(4);
  affine.gamma.setConstant(1.5f);
  Eigen::MatrixXf dx2, ddy;
  bn::Gradients<float> gradients;
  bn::backward_twice(x, dy, v, affine, bn::statistics(moments, epsilon), dx2, ddy, gradients);
  EXPECT_LE(max_abs(dx2.cast<double>() - expected.dx2), 1e-6 * expected.dx2.cwiseAbs().maxCoeff());
  EXPECT_LE(max_abs(ddy.cast<double>() - expected.ddy), 1e-6 * expected.ddy.cwiseAbs().maxCoeff());
  EXPECT_LE(max_abs(gradients.gamma.cast<double>() - expected.gradients.gamma),
            1e-6 * expected.gradients.gamma.abs().maxCoeff());
}

template <class Element>
class DerivativesOfSixteenBits : public testing::Test {};
using SixteenBits = testing::Types<Eigen::half, Eigen::bfloat16>;
TYPED_TEST_SUITE(DerivativesOfSixteenBits, SixteenBits);

TYPED_TEST(DerivativesOfSixteenBits, AreOneRoundingFromThoseOfDoubles) {
  using Half = Eigen::Matrix<TypeParam, Eigen::Dynamic, Eigen::Dynamic>;
  const Half x = Columns::Random(40, 3).cast<TypeParam>(), v = Columns::Random(40, 3).cast<TypeParam>();
  bn::Moments moments;
  bn::batch_moments(x, moments);
  Half tangent, dx2, ddy;
  bn::Gradients<float> none;
  const bn::AffineParameters<float> affine;
  bn::jvp(x, v, affine, bn::statistics(moments, epsilon), tangent);
  bn::backward_twice(x, x, v, affine, bn::statistics(moments, epsilon), dx2, ddy, none);
  const Columns x_in_double = x.template cast<double>(), v_in_double = v.template cast<double>();
  Columns expected, expected_dx2, expected_ddy;
  bn::Gradients<double> none_in_double;
  const bn::AffineParameters<double> affine_in_double;
  bn::jvp(x_in_double, v_in_double, affine_in_double, bn::statistics(moments, epsilon), expected);
  bn::backward_twice(x_in_double, x_in_double, v_in_double, affine_in_double, bn::statistics(moments, epsilon),
                     expected_dx2, expected_ddy, none_in_double);
  // Half a unit in the last place of the largest.
  const auto stored = [](const Columns& values) {
    return testing_support::epsilon_of<TypeParam>() / 2 * (1e-3L + values.cwiseAbs().maxCoeff());
  };
  EXPECT_LE(max_abs(tangent.template cast<double>() - expected), stored(expected));
  EXPECT_LE(max_abs(dx2.template cast<double>() - expected_dx2), stored(expected_dx2));
  EXPECT_EQ(ddy, tangent);
}

TEST(Derivatives, RefuseWhatDoesNotFit) {
  const Columns x = Columns::Random(4, 2);
  Columns y, z, wrong(3, 2);
  const bn::AffineParameters<double> affine;
  const bn::Statistics statistics{ArrayXd::Zero(2), ArrayXd::Ones(2), 4}, other{ArrayXd::Zero(2), ArrayXd::Ones(2), 9};
  bn::Gradients<double> gradients;
  EXPECT_THROW(bn::jvp(x, wrong, affine, statistics, y), std::invalid_argument);
  EXPECT_THROW(bn::jvp(x, x, affine, other, y), std::invalid_argument);
  EXPECT_THROW(bn::jvp(x, x, affine, statistics, y, {.gamma = ArrayXd::Ones(3)}), std::invalid_argument);
  EXPECT_THROW(bn::backward_twice(x, x, wrong, affine, statistics, y, z, gradients), std::invalid_argument);
  EXPECT_THROW(bn::backward_twice(x, x, x, affine, statistics, wrong, z, gradients), std::invalid_argument);
  z = x;
  EXPECT_THROW(bn::backward_twice(x, x, x, affine, statistics, z, z, gradients), std::invalid_argument);
  EXPECT_TRUE(has_parts(message_of([&] { bn::jvp(x, x, affine, statistics, y, {.beta = ArrayXd::Ones(3)}); }), "jvp",
                        "expected 2 values in options.beta, got 3"));
}

}  // namespace derivatives_test
