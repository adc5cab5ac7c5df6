// The layer's backward pass that has y and not x, against the reference that has x; and what both it and the function
// refuse.
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/forward.hpp>
#include <batchnorm/layers/batch_norm.hpp>
#include <cmath>
#include <limits>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/kernels.hpp"
#include "support/shapes.hpp"
#include "support/throws.hpp"

namespace bn = batchnorm;

namespace testing_support::batch_norm_from_output_test {

constexpr double epsilon = 1e-3;

// At the kink, y says which side the forward pass took.
[[maybe_unused]] Real slope(bn::activations::identity, Real) { return 1; }
Real slope(const bn::leaky_relu& activation, Real y) { return y > 0 ? 1 : Real(activation.slope()); }

template <class Activation>
Values gradient_of_z(const Activation& activation, const Values& dy, const Values& y) {
  return dy * y.unaryExpr([&](Real v) { return slope(activation, v); });
}

/// What x_hat, had back from y, may err by, beyond what the backward pass from x allows itself: in units of
/// |x_hat| + |beta / gamma|.
///
/// A rounding of y, or of z, is worth u |z| / |gamma| <= u (|x_hat| + |beta / gamma|) of x_hat, u = epsilon / 2: that
/// is the error the documentation names. In forward, x - K, scale, the product, the offset and the sum are rounded, in
/// leaky_relu the product with the slope and the division by it, and in z - beta the difference: 8 u, for each of which
/// the unit above is enough.
Values recovery_error(const Values& x_hat, const PerChannel& gamma, const PerChannel& beta) {
  const PerChannel ratio = (beta / gamma).abs();
  return (x_hat.abs().rowwise() + ratio.transpose()) * (4 * Real(std::numeric_limits<float>::epsilon()));
}

/// dx = gamma inv_std (dz - S1 / m - x_hat S2 / m) with S2 = sum dz x_hat: an error e of x_hat is worth at most
/// e |S2 / m| + |x_hat| sum |dz| e / m of the parenthesis, and comes on top of close_gradient's allowance.
testing::AssertionResult close_recovered_gradient(const Values& dx, const reference::Backward& expected,
                                                  const reference::Forward& forward, const Values& dz,
                                                  const PerChannel& gamma, const Values& error) {
  const Real m = Real(dz.rows());
  const PerChannel s2 = ((dz * forward.x_hat).colwise().sum().abs() / m).transpose();
  const PerChannel mean_error = ((dz.abs() * error).colwise().sum() / m).transpose();
  const PerChannel scale = gamma.abs() * forward.inv_std, largest = dz.abs().colwise().maxCoeff().transpose();
  return compare_detail::compare(dx, expected.dx, [&](Index i, Index c) {
    const Real recovered = error(i, c) * s2(c) + std::abs(forward.x_hat(i, c)) * mean_error(c);
    return scale(c) * (tolerance<float>() * largest(c) + recovered);
  });
}

testing::AssertionResult close_recovered_dgamma(const auto& dgamma, const PerChannel& expected, const Values& dz,
                                                const Values& x_hat, const Values& error) {
  const PerChannel allowance = ((dz * x_hat).abs() * tolerance<float>() + dz.abs() * error).colwise().sum().transpose();
  return compare_detail::compare(dgamma.template cast<Real>().transpose(), expected.transpose(),
                                 [&](Index, Index c) { return allowance(c); });
}

/// gamma of both signs and not near 0, beta up to three times as large.
template <class Scalar>
bn::AffineParameters<Scalar> signed_affine(Index channels, Random& random) {
  bn::AffineParameters<Scalar> affine(channels);
  affine.gamma = random_per_channel(channels, 0.5, 1.5, random).template cast<Scalar>();
  affine.beta = random_per_channel(channels, -1.5, 1.5, random).template cast<Scalar>();
  for (Index c = 0; c < channels; c += 2) affine.gamma[c] = -affine.gamma[c];
  return affine;
}

template <class Arrangement_, class Activation_>
struct Case : Arrangement_ {
  using Element = typename Arrangement_::Scalar;
  using Activation = Activation_;
};

/// x, dy, and the parameters.
template <class C>
struct Problem {
  using Element = typename C::Element;
  using Scalar = bn::statistics_t<Element>;

  Values x_values, dy_values;
  bn::AffineParameters<Scalar> affine;
  typename C::Container x, dy, y, dx;
  PerChannel gamma, beta;

  Problem(const Extents<C::rank>& e, Random& random)
      : x_values(rounded_to<Element>(random_values(count_of(e, C::axis), e[std::size_t(C::axis)], random))),
        dy_values(rounded_to<Element>(normal_values(x_values.rows(), x_values.cols(), random))),
        affine(signed_affine<Scalar>(x_values.cols(), random)),
        x(e),
        dy(e),
        y(e),
        dx(e),
        gamma(affine.gamma.template cast<Real>()),
        beta(affine.beta.template cast<Real>()) {
    assign(x_values, x.view(), C::axis);
    assign(dy_values, dy.view(), C::axis);
  }
};

template <class C>
Extents<C::rank> extents() {
  if constexpr (C::rank == 2) {
    return with_channels_on<2>(C::axis, {60, 19});
  } else {
    return with_channels_on<4>(C::axis, {17, 5, 3, 2});
  }
}

template <class Element>
using Rows = Arrangement<OwnedMatrix<Element, Eigen::RowMajor>, bn::samples_in_rows, 1>;
using BlockOfColumns = Arrangement<BlockOfMatrix<double, Eigen::ColMajor>, bn::samples_in_rows, 1>;
using SamplesInColumns = Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_columns, 0>;
using Nchw = Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_first, 1>;

template <class C>
class FromOutput : public testing::Test {};
using Cases = testing::Types<Case<Rows<float>, bn::activations::identity>, Case<BlockOfColumns, bn::leaky_relu>,
                             Case<SamplesInColumns, bn::leaky_relu>, Case<Nchw, bn::activations::identity>,
                             Case<Rows<Eigen::half>, bn::leaky_relu>>;
TYPED_TEST_SUITE(FromOutput, Cases);

// Training with one tensor for each layer: y on x, dx on dy, or dx on y.
TYPED_TEST(FromOutput, GivesTheBitsOfTheFunctionsInPlaceToo) {
  using Scalar = typename Problem<TypeParam>::Scalar;
  using L = typename TypeParam::Layout;
  constexpr int axis = TypeParam::axis;
  Random random(19);
  Problem<TypeParam> p(extents<TypeParam>(), random);
  bn::Moments moments;
  bn::Gradients<Scalar> gradients;
  const typename TypeParam::Activation activation;
  bn::train_forward<L, typename TypeParam::Activation>(p.x.view(), p.affine, epsilon, p.y.view(), moments,
                                                       {.activation = activation});
  bn::backward_from_output<L, typename TypeParam::Activation>(p.y.view(), p.dy.view(), p.affine,
                                                              bn::statistics(moments, epsilon), p.dx.view(), gradients,
                                                              {.activation = activation});
  const Values expected = values_of(p.dx.view(), axis);

  bn::BatchNorm<Scalar, L, typename TypeParam::Activation> layer({.channels = p.gamma.size(), .epsilon = epsilon});
  layer.affine() = p.affine;
  layer.forward(p.x.view(), p.x.view());
  EXPECT_TRUE(equal_bits(values_of(p.x.view(), axis), values_of(p.y.view(), axis)));
  layer.backward_from_output(p.x.view(), p.dy.view(), p.dx.view());
  EXPECT_TRUE(equal_bits(values_of(p.dx.view(), axis), expected));
  EXPECT_TRUE(equal_statistics(layer.gradients().gamma, gradients.gamma));
  EXPECT_TRUE(equal_statistics(layer.gradients().beta, gradients.beta));
  layer.backward_from_output(p.x.view(), p.dy.view(), p.dy.view());
  EXPECT_TRUE(equal_bits(values_of(p.dy.view(), axis), expected));
  assign(p.dy_values, p.dy.view(), axis);
  layer.backward_from_output(p.x.view(), p.dy.view(), p.x.view());
  EXPECT_TRUE(equal_bits(values_of(p.x.view(), axis), expected));
}

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Leaky = bn::BatchNorm<float, bn::samples_in_rows, bn::leaky_relu>;

Matrix data(Index rows, Index columns, std::uint64_t seed) {
  Random random(seed);
  return random_values(rows, columns, random).cast<float>();
}

/// A layer with signed parameters, and running statistics that are no batch's.
Leaky layer_with(const bn::Options& options) {
  Leaky layer(options);
  Random random(23);
  const auto affine = signed_affine<float>(options.channels, random);
  if (options.scale) layer.affine().gamma = affine.gamma;
  if (options.shift) layer.affine().beta = affine.beta;
  layer.running().mean = random_per_channel(options.channels, -2, 2, random).cast<double>();
  layer.running().variance = random_per_channel(options.channels, 0.5, 4, random).cast<double>();
  return layer;
}

PerChannel or_else(Real absent, const bn::ChannelArray<float>& values, Index channels) {
  if (values.size() == 0) return PerChannel::Constant(channels, absent);
  return values.cast<Real>();
}

/// One forward pass of the layer, and its backward pass from y against the reference of that mode.
void expect_reference(Leaky layer) {
  const Matrix x = data(21, 5, 3), dy = data(21, 5, 4);
  const Values x_values = x.array().cast<Real>(), dy_values = dy.array().cast<Real>();
  const PerChannel gamma = or_else(1, layer.affine().gamma, 5), beta = or_else(0, layer.affine().beta, 5);
  const auto running = layer.running();
  const bool of_batch = layer.mode().statistics == bn::StatisticsSource::batch;
  Matrix y, dx;
  layer.forward(x, y);
  layer.backward_from_output(y, dy, dx);

  const PerChannel mean = running.mean.cast<Real>(), variance = running.variance.cast<Real>();
  const auto forward = of_batch ? reference::forward(x_values, gamma, beta, epsilon)
                                : reference::normalize(x_values, gamma, beta, mean, variance, epsilon);
  const Values dz = gradient_of_z(layer.activation(), dy_values, y.array().cast<Real>());
  const auto backward = of_batch ? reference::backward(x_values, dz, gamma, epsilon)
                                 : reference::frozen_backward(x_values, dz, gamma, mean, variance, epsilon);
  const Values error = recovery_error(forward.x_hat, gamma, beta);
  const Values dx_values = dx.array().cast<Real>();
  if (of_batch) {
    EXPECT_TRUE(close_recovered_gradient(dx_values, backward, forward, dz, gamma, error));
  } else {
    EXPECT_TRUE(close_gradient<float>(dx_values, backward, forward.inv_std));
  }
  const auto& gradients = layer.gradients();
  if (!layer.mode().parameter_gradients) {
    EXPECT_TRUE((gradients.gamma == 0).all() && (gradients.beta == 0).all());
    return;
  }
  if (layer.options().scale) {
    EXPECT_TRUE(close_recovered_dgamma(gradients.gamma, backward.dgamma, dz, forward.x_hat, error));
  } else {
    EXPECT_EQ(gradients.gamma.size(), 0);
  }
  if (layer.options().shift) {
    EXPECT_TRUE(close_sums<float>(gradients.beta, backward.dbeta, dz));
  }
}

TEST(LayerFromOutput, FollowsTheModeThatForwardRanIn) {
  for (const auto mode : {bn::Mode::training, bn::Mode::inference, bn::Mode::frozen, bn::Mode::probe}) {
    SCOPED_TRACE(testing::Message() << "mode " << mode);
    expect_reference(layer_with({.channels = 5, .epsilon = epsilon, .mode = mode}));
  }
}

TEST(LayerFromOutput, TakesAnAbsentGammaForOneAndAnAbsentBetaForZero) {
  for (const auto mode : {bn::Mode::training, bn::Mode::frozen}) {
    expect_reference(layer_with({.channels = 5, .epsilon = epsilon, .scale = false, .mode = mode}));
    expect_reference(layer_with({.channels = 5, .epsilon = epsilon, .shift = false, .mode = mode}));
    expect_reference(layer_with({.channels = 5, .epsilon = epsilon, .scale = false, .shift = false, .mode = mode}));
  }
}

TEST(LayerFromOutput, UsesTheParametersOfForwardWhateverTheyAreNow) {
  const Matrix x = data(21, 5, 3), dy = data(21, 5, 4);
  Leaky layer = layer_with({.channels = 5}), changed = layer;
  Matrix y, dx, expected;
  layer.forward(x, y);
  layer.backward_from_output(y, dy, expected);
  changed.forward(x, y);
  changed.affine().gamma.setZero();
  changed.affine().beta.setConstant(1e6f);
  changed.set_mode(bn::Mode::inference);
  changed.backward_from_output(y, dy, dx);
  EXPECT_TRUE(equal_bits(dx, expected));
}

TEST(LayerFromOutput, TakesTheSavedOfOneOfSeveralForwardPasses) {
  const Matrix first = data(21, 5, 3), second = data(30, 5, 6), dy = data(21, 5, 4);
  Leaky layer = layer_with({.channels = 5}), alone = layer;
  Matrix y, other, dx, expected;
  alone.forward(first, y);
  alone.backward_from_output(y, dy, expected);
  bn::Saved<float> saved, of_second;
  layer.forward(first, y, {.saved = &saved});
  layer.forward(second, other, {.saved = &of_second});
  layer.backward_from_output(y, dy, dx, {.saved = &saved});
  EXPECT_TRUE(equal_bits(dx, expected));
  EXPECT_THROW(layer.backward_from_output(y, dy, dx, {.saved = &of_second}), std::invalid_argument);
}

TEST(LayerFromOutput, RefusesAnotherOutputThanForwards) {
  const Matrix x = data(21, 5, 3), dy = data(21, 5, 4);
  Leaky layer = layer_with({.channels = 5});
  Matrix y, dx = Matrix::Constant(21, 5, 7);
  const auto backward = [&] { layer.backward_from_output(y, dy, dx); };
  y = x;
  EXPECT_TRUE(has_parts(message_of(backward), "backward_from_output(y)", "expected a forward pass before"));
  layer.forward(x, y);
  const Matrix kept = y;
  y(0, 4) += 1;
  EXPECT_TRUE(has_parts(message_of(backward), "backward_from_output(y)", "expected the y of the last forward pass",
                        "other values", "[21, 5] row-major"));
  y = x;
  EXPECT_TRUE(has_parts(message_of(backward), "backward_from_output(y)", "other values"));
  y = kept.topRows(20);
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward_from_output(y, dy.topRows(20), dx); }),
                        "backward_from_output(y)", "other extents", "[20, 5]"));
  EXPECT_TRUE((dx.array() == 7).all());
  EXPECT_TRUE((layer.gradients().gamma == 0).all() && (layer.gradients().beta == 0).all());
  y = kept;
  EXPECT_NO_THROW(backward());
}

/// Whether both calls refuse gamma and beta in channel 2, with their numbers and before anything has changed.
void expect_refused(float gamma, float beta, const std::string& gamma_text, const std::string& beta_text) {
  SCOPED_TRACE(testing::Message() << "gamma " << gamma << ", beta " << beta);
  const Matrix x = data(21, 5, 3), dy = data(21, 5, 4);
  Leaky layer = layer_with({.channels = 5});
  layer.affine().gamma[2] = gamma;
  layer.affine().beta[2] = beta;
  Matrix y, dx = Matrix::Constant(21, 5, 7);
  layer.forward(x, y);
  layer.gradients().gamma.setConstant(3);
  layer.gradients().beta.setConstant(4);
  const Matrix y_before = y;
  const auto running = layer.running();
  const auto of_layer = message_of([&] { layer.backward_from_output(y, dy, dx); });
  EXPECT_TRUE(has_parts(of_layer, "backward_from_output(y)", "expected |gamma| >= max(", "|beta| / 1024", "got gamma ",
                        gamma_text, "beta ", beta_text, "channel 2", "backward pass that takes x"));
  bn::Gradients<float> gradients = layer.gradients();
  const auto of_function = message_of([&] {
    bn::backward_from_output<bn::samples_in_rows, bn::leaky_relu>(
        y, dy, layer.affine(), bn::statistics(layer.moments(), epsilon), dx, gradients);
  });
  EXPECT_TRUE(
      has_parts(of_function, "backward_from_output(y)", "got gamma ", gamma_text, "beta ", beta_text, "channel 2"));
  for (const auto* untouched : {&gradients, &layer.gradients()}) {
    EXPECT_TRUE((untouched->gamma == 3).all() && (untouched->beta == 4).all());
  }
  EXPECT_TRUE((dx.array() == 7).all());
  EXPECT_TRUE(equal_bits(y, y_before));
  EXPECT_TRUE(equal_statistics(layer.running().mean, running.mean));
  EXPECT_TRUE(equal_statistics(layer.running().variance, running.variance));
  EXPECT_EQ(layer.running().batches, running.batches);
  EXPECT_NO_THROW(layer.backward(x, dy, dx));  // the way that the message names
}

void expect_taken(float gamma, float beta) {
  SCOPED_TRACE(testing::Message() << "gamma " << gamma << ", beta " << beta);
  Leaky layer = layer_with({.channels = 5});
  layer.affine().gamma[2] = gamma;
  layer.affine().beta[2] = beta;
  Matrix y, dx;
  layer.forward(data(21, 5, 3), y);
  EXPECT_NO_THROW(layer.backward_from_output(y, data(21, 5, 4), dx));
  EXPECT_TRUE(dx.array().isFinite().all());
}

TEST(FromOutputRefuses, AGammaThatIsSmallBesideBeta) {
  expect_refused(0.5f, 513, "0.5", "513");
  expect_refused(-0.5f, 513, "-0.5", "513");
  expect_refused(0.5f, -513, "0.5", "-513");
  expect_taken(0.5f, 512);
  expect_taken(-0.5f, -512);
}

TEST(FromOutputRefuses, ATinyGamma) {
  // Where gamma x_hat, with x_hat near 1, begins to lose digits to the denormals.
  const float least = std::numeric_limits<float>::min() / std::numeric_limits<float>::epsilon();
  expect_taken(least, 0);
  expect_taken(-least, 0);
  expect_refused(std::nextafter(least, 0.0f), 0, "e-32", "0");
  expect_refused(0, 0, "0", "0");
  expect_refused(std::numeric_limits<float>::quiet_NaN(), 0, "nan", "0");
}

TEST(FromOutputRefuses, AGammaThatIsTinyForTheElementsOfHalf) {
  using Half = Eigen::Matrix<Eigen::half, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Half x = data(21, 3, 3).cast<Eigen::half>(), dy = data(21, 3, 4).cast<Eigen::half>();
  bn::BatchNorm<float> layer({.channels = 3});
  Half y, dx;
  // 2^-14 / 2^-10, the least normal half by its epsilon.
  layer.affine().gamma[1] = 0x1p-4f;
  layer.forward(x, y);
  EXPECT_NO_THROW(layer.backward_from_output(y, dy, dx));
  layer.affine().gamma[1] = 0x1.fffp-5f;
  layer.forward(x, y);
  EXPECT_TRUE(has_parts(message_of([&] { layer.backward_from_output(y, dy, dx); }), "max(0.0625", "channel 1"));
}

TEST(FromOutputRefuses, ABetaThatIsLargeWhereThereIsNoGamma) {
  bn::BatchNorm<float> layer({.channels = 3, .scale = false});
  const Matrix x = data(21, 3, 3), dy = data(21, 3, 4);
  Matrix y, dx;
  layer.affine().beta[1] = 1025;
  layer.forward(x, y);
  EXPECT_TRUE(
      has_parts(message_of([&] { layer.backward_from_output(y, dy, dx); }), "gamma 1 ", "beta 1025", "channel 1"));
  layer.affine().beta[1] = 1024;
  layer.forward(x, y);
  EXPECT_NO_THROW(layer.backward_from_output(y, dy, dx));
}

}  // namespace testing_support::batch_norm_from_output_test
