/// \file
/// Batch normalization written straight from the formulas, in long double, one naive loop per formula. Slow and obvious
/// on purpose: it shares no line and no idea with the library.
///
/// Source: Ioffe & Szegedy 2015, "Batch Normalization", arXiv:1502.03167, Algorithm 1 and the chain rule of section 3.
/// The chain rule is left as the paper prints it; the library uses the collapsed form.
#pragma once

#include "values.hpp"

namespace testing_support::reference {

struct Forward {
  PerChannel mean, variance, inv_std;
  Values x_hat, y;
};

/// x_hat = (x - mean) / sqrt(variance + epsilon), y = gamma x_hat + beta, with statistics that are given.
inline Forward normalize(const Values& x, const PerChannel& gamma, const PerChannel& beta, const PerChannel& mean,
                         const PerChannel& variance, Real epsilon) {
  Forward out{mean, variance, PerChannel(x.cols()), Values(x.rows(), x.cols()), Values(x.rows(), x.cols())};
  for (Index c = 0; c < x.cols(); ++c) {
    out.inv_std(c) = 1 / std::sqrt(variance(c) + epsilon);
    for (Index i = 0; i < x.rows(); ++i) {
      out.x_hat(i, c) = (x(i, c) - mean(c)) * out.inv_std(c);
      out.y(i, c) = gamma(c) * out.x_hat(i, c) + beta(c);
    }
  }
  return out;
}

/// The first line of Algorithm 1.
inline PerChannel batch_mean(const Values& x) {
  PerChannel mean(x.cols());
  for (Index c = 0; c < x.cols(); ++c) {
    Real sum = 0;
    for (Index i = 0; i < x.rows(); ++i) sum += x(i, c);
    mean(c) = sum / Real(x.rows());
  }
  return mean;
}

/// The second line of Algorithm 1: biased.
inline PerChannel batch_variance(const Values& x, const PerChannel& mean) {
  PerChannel variance(x.cols());
  for (Index c = 0; c < x.cols(); ++c) {
    Real sum = 0;
    for (Index i = 0; i < x.rows(); ++i) sum += (x(i, c) - mean(c)) * (x(i, c) - mean(c));
    variance(c) = sum / Real(x.rows());
  }
  return variance;
}

/// Algorithm 1.
inline Forward forward(const Values& x, const PerChannel& gamma, const PerChannel& beta, Real epsilon) {
  const PerChannel mean = batch_mean(x);
  return normalize(x, gamma, beta, mean, batch_variance(x, mean), epsilon);
}

struct Backward {
  Values dx_hat;
  PerChannel dvariance, dmean;
  Values dx;
  PerChannel dgamma, dbeta;
};

/// The six gradients of section 3, not simplified.
inline Backward backward(const Values& x, const Values& dy, const PerChannel& gamma, Real epsilon) {
  const Index m = x.rows();
  const PerChannel zero = PerChannel::Zero(x.cols());
  const Forward f = forward(x, gamma, zero, epsilon);
  Backward out{Values(m, x.cols()), zero, zero, Values(m, x.cols()), zero, zero};
  for (Index c = 0; c < x.cols(); ++c) {
    for (Index i = 0; i < m; ++i) out.dx_hat(i, c) = dy(i, c) * gamma(c);

    for (Index i = 0; i < m; ++i) out.dvariance(c) += out.dx_hat(i, c) * (x(i, c) - f.mean(c));
    out.dvariance(c) *= -f.inv_std(c) * f.inv_std(c) * f.inv_std(c) / 2;

    Real sum_of_dx_hat = 0, sum_of_deviations = 0;
    for (Index i = 0; i < m; ++i) sum_of_dx_hat += out.dx_hat(i, c);
    for (Index i = 0; i < m; ++i) sum_of_deviations += -2 * (x(i, c) - f.mean(c));
    out.dmean(c) = -sum_of_dx_hat * f.inv_std(c) + out.dvariance(c) * sum_of_deviations / Real(m);

    for (Index i = 0; i < m; ++i) {
      out.dx(i, c) = out.dx_hat(i, c) * f.inv_std(c) + out.dvariance(c) * 2 * (x(i, c) - f.mean(c)) / Real(m) +
                     out.dmean(c) / Real(m);
    }

    for (Index i = 0; i < m; ++i) out.dgamma(c) += dy(i, c) * f.x_hat(i, c);
    for (Index i = 0; i < m; ++i) out.dbeta(c) += dy(i, c);
  }
  return out;
}

/// The gradients when the statistics are constants: dx = dy gamma inv_std.
inline Backward frozen_backward(const Values& x, const Values& dy, const PerChannel& gamma, const PerChannel& mean,
                                const PerChannel& variance, Real epsilon) {
  const PerChannel zero = PerChannel::Zero(x.cols());
  const Forward f = normalize(x, gamma, zero, mean, variance, epsilon);
  Backward out{Values(x.rows(), x.cols()), zero, zero, Values(x.rows(), x.cols()), zero, zero};
  for (Index c = 0; c < x.cols(); ++c) {
    for (Index i = 0; i < x.rows(); ++i) {
      out.dx_hat(i, c) = dy(i, c) * gamma(c);
      out.dx(i, c) = out.dx_hat(i, c) * f.inv_std(c);
      out.dgamma(c) += dy(i, c) * f.x_hat(i, c);
      out.dbeta(c) += dy(i, c);
    }
  }
  return out;
}

}  // namespace testing_support::reference
