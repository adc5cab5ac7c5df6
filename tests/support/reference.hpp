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
Forward normalize(const Values& x, const PerChannel& gamma, const PerChannel& beta, const PerChannel& mean,
                  const PerChannel& variance, Real epsilon);

/// The first line of Algorithm 1.
PerChannel batch_mean(const Values& x);

/// The second line of Algorithm 1: biased.
PerChannel batch_variance(const Values& x, const PerChannel& mean);

/// Algorithm 1.
Forward forward(const Values& x, const PerChannel& gamma, const PerChannel& beta, Real epsilon);

struct Backward {
  Values dx_hat;
  PerChannel dvariance, dmean;
  Values dx;
  PerChannel dgamma, dbeta;
};

/// The six gradients of section 3, not simplified.
Backward backward(const Values& x, const Values& dy, const PerChannel& gamma, Real epsilon);

/// The gradients when the statistics are constants: dx = dy gamma inv_std.
Backward frozen_backward(const Values& x, const Values& dy, const PerChannel& gamma, const PerChannel& mean,
                         const PerChannel& variance, Real epsilon);

}  // namespace testing_support::reference
