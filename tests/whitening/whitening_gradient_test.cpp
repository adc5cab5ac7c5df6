// The gradient of whitening against differences, and the accuracy of both passes, for both methods.
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "support/gradient_check.hpp"
#include "support/kernels.hpp"
#include "support/whitening.hpp"

namespace testing_support::whitening::whitening_gradient_test {

/// dx, dgamma and dbeta of forward in this mode against central differences.
void check_gradients(const bn::WhiteningOptions& options, Matrix x) {
  std::ostringstream trace;
  Layer layer = make(options);
  trace << layer;
  SCOPED_TRACE(trace.str());
  const Layer start = layer;
  const Matrix cotangent = normal(x.rows(), x.cols(), 7);
  Matrix y, dx;
  layer.forward(x, y);
  layer.backward(x, cotangent, dx);
  auto affine = start.affine();
  const auto loss = [&] {
    Layer fresh = start;
    fresh.affine() = affine;
    Matrix result;
    fresh.forward(x, result);
    return projection(result, cotangent);
  };
  EXPECT_TRUE(is_gradient(dx, x, loss)) << "dx";
  if (options.mode.parameter_gradients) {
    EXPECT_TRUE(is_gradient(layer.gradients().gamma, affine.gamma, loss)) << "dgamma";
    EXPECT_TRUE(is_gradient(layer.gradients().beta, affine.beta, loss)) << "dbeta";
  } else {
    EXPECT_TRUE((layer.gradients().gamma == 0).all() && (layer.gradients().beta == 0).all());
  }
}

TEST(WhiteningNormGradient, IsThatOfForwardInEveryMode) {
  for (const auto method : both_methods)
    for (const bn::Mode mode : {bn::Mode::training, bn::Mode::inference, bn::Mode::frozen, bn::Mode::probe})
      for (const Index groups : {1, 2})
        check_gradients({.channels = 4, .groups = groups, .method = method, .epsilon = 0.01, .mode = mode},
                        correlated(9, 4, 5));
}

TEST(WhiteningNormGradient, IsThatOfForwardForAnyNumberOfIterations) {
  for (const int iterations : {1, 2, 3, 12})
    check_gradients({.channels = 4, .method = WhiteningMethod::newton, .iterations = iterations, .epsilon = 0.01},
                    correlated(9, 4, 5));
}

// The rows are +-e_c times scale_c: the covariance is diagonal with eigenvalues scale_c^2 / 4.
TEST(WhiteningNormGradient, IsThatOfForwardForEqualEigenvalues) {
  for (const auto method : both_methods) {
    for (const auto& scales : {Eigen::Vector4d(2, 2, 2, 2), Eigen::Vector4d(2, 2, 1, 1)}) {
      Matrix x(8, 4);
      x << Matrix(scales.asDiagonal()), Matrix((-scales).asDiagonal());
      check_gradients({.channels = 4, .method = method, .epsilon = 0.01}, x);
    }
  }
}

TEST(WhiteningNormGradient, IsThatOfForwardForFewerSamplesThanChannels) {
  for (const auto method : both_methods)
    check_gradients({.channels = 6, .method = method, .epsilon = 0.1}, correlated(4, 6, 5));
}

TEST(WhiteningNormGradient, AddsUpOverBackwards) {
  const Matrix x = correlated(9, 4, 5), dy = normal(9, 4, 6);
  Layer layer({.channels = 4});
  Matrix y, dx, again;
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  const auto once = layer.gradients();
  layer.backward(x, dy, again);
  EXPECT_TRUE(equal_bits(dx, again));
  EXPECT_TRUE(equal_statistics(layer.gradients().gamma, (2 * once.gamma).eval()));
  EXPECT_TRUE(equal_statistics(layer.gradients().beta, (2 * once.beta).eval()));
  layer.zero_gradients();
  EXPECT_TRUE((layer.gradients().gamma == 0).all() && (layer.gradients().beta == 0).all());
}

// --- Accuracy

using RealMatrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;

/// The solution of a x = b, by Gauss and Jordan with the largest pivot of each column. (Eigen's solvers take twelve
/// seconds to compile for long double.)
RealMatrix solve(RealMatrix a, RealMatrix b) {
  for (Index k = 0; k < a.rows(); ++k) {
    Index pivot = 0;
    a.col(k).tail(a.rows() - k).cwiseAbs().maxCoeff(&pivot);
    a.row(k).swap(a.row(k + pivot));
    b.row(k).swap(b.row(k + pivot));
    const Real scale = 1 / a(k, k);
    a.row(k) *= scale;
    b.row(k) *= scale;
    for (Index i = 0; i < a.rows(); ++i) {
      const Real factor = i == k ? 0 : a(i, k);
      a.row(i) -= factor * a.row(k);
      b.row(i) -= factor * b.row(k);
    }
  }
  return b;
}

struct Reference {
  RealMatrix y, dx;
};

/// In long double. The roots S = Sigma^(1/2) and W = Sigma^(-1/2) by the iteration of Denman and Beavers, and the
/// gradient from the Lyapunov equation S X + X S = -W dW W as a system of d^2 linear equations: ways of their own.
///
/// Source   Higham 2008, "Functions of Matrices", section 6.3.
Reference reference_whitening(const RealMatrix& x, const RealMatrix& dy, Real epsilon) {
  const Index d = x.cols();
  const Real count = Real(x.rows());
  const RealMatrix identity = RealMatrix::Identity(d, d), centered = x.rowwise() - x.colwise().mean();
  RealMatrix s = centered.transpose().lazyProduct(centered) / count + epsilon * identity, w = identity;
  for (int step = 0; step < 30; ++step) {
    const RealMatrix next_s = (s + solve(w, identity)) / 2;
    w = ((w + solve(s, identity)) / 2).eval();
    s = next_s;
  }
  RealMatrix system(d * d, d * d);
  for (Index j = 0; j < d; ++j)
    for (Index i = 0; i < d; ++i) {
      system.block(j * d, i * d, d, d) = s(j, i) * identity;
      if (i == j) system.block(j * d, i * d, d, d) += s;
    }
  const RealMatrix dw = centered.transpose().lazyProduct(dy), symmetric = (dw + dw.transpose()) / 2;
  const RealMatrix product = w.lazyProduct(symmetric), right = -product.lazyProduct(w);
  const RealMatrix dsigma = solve(system, right.reshaped(d * d, 1)).reshaped(d, d);
  const RealMatrix dcentered = dy.lazyProduct(w) + (2 / count) * centered.lazyProduct(dsigma);
  return {centered.lazyProduct(w), dcentered.rowwise() - dcentered.colwise().mean()};
}

/// Of float results: each is rounded once, from double. Half an epsilon, relative to the largest.
template <class Actual>
void expect_rounded_once(const Actual& actual, const RealMatrix& expected) {
  const Real largest = expected.cwiseAbs().maxCoeff();
  EXPECT_LT(max_abs(actual.template cast<Real>() - expected),
            0.51L * Real(std::numeric_limits<float>::epsilon()) * largest);
}

TEST(WhiteningNormAccuracy, FloatIsRoundedOnce) {
  using FloatMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  // More samples than are read at a time.
  const Matrix centered = correlated(300, 5, 1);
  for (const double mean : {0.0, 1e4}) {
    const FloatMatrix x = (centered.array() + mean).matrix().cast<float>(), dy = normal(300, 5, 2).cast<float>();
    const Reference expected = reference_whitening(x.cast<Real>(), dy.cast<Real>(), 1e-5L);
    bn::WhiteningNorm<float> exact({.channels = 5}),
        newton({.channels = 5, .method = WhiteningMethod::newton, .iterations = 20});
    for (auto* layer : {&exact, &newton}) {
      FloatMatrix y, dx;
      layer->forward(x, y);
      layer->backward(x, dy, dx);
      expect_rounded_once(y, expected.y);
      expect_rounded_once(dx, expected.dx);
    }
  }
}

TEST(WhiteningNormAccuracy, DoubleIsCloseToTheReference) {
  const Matrix x = correlated(300, 5, 1), dy = normal(300, 5, 2);
  const Reference expected = reference_whitening(x.cast<Real>(), dy.cast<Real>(), 1e-5L);
  Layer layer({.channels = 5});
  Matrix y, dx;
  layer.forward(x, y);
  layer.backward(x, dy, dx);
  EXPECT_LT(distance(y, expected.y.cast<double>()), rounding);
  EXPECT_LT(distance(dx, expected.dx.cast<double>()), rounding);
}

TEST(WhiteningNormAccuracy, ConstantChannelsAreWhitenedToBeta) {
  Matrix x = correlated(30, 4, 1);
  x.col(1).setConstant(1e6);
  for (const auto method : both_methods) {
    Layer layer = make({.channels = 4, .method = method});
    Matrix y, dx;
    layer.forward(x, y);
    layer.backward(x, normal(30, 4, 2), dx);
    EXPECT_TRUE(y.allFinite() && dx.allFinite());
    EXPECT_LT(max_abs(y.col(1).array() - layer.affine().beta[1]), rounding);
  }
}

}  // namespace testing_support::whitening::whitening_gradient_test
