#include "reference.hpp"

namespace testing_support::reference {

Forward normalize(const Values& x, const PerChannel& gamma, const PerChannel& beta, const PerChannel& mean,
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

PerChannel batch_mean(const Values& x) {
  PerChannel mean(x.cols());
  for (Index c = 0; c < x.cols(); ++c) {
    Real sum = 0;
    for (Index i = 0; i < x.rows(); ++i) sum += x(i, c);
    mean(c) = sum / Real(x.rows());
  }
  return mean;
}

PerChannel batch_variance(const Values& x, const PerChannel& mean) {
  PerChannel variance(x.cols());
  for (Index c = 0; c < x.cols(); ++c) {
    Real sum = 0;
    for (Index i = 0; i < x.rows(); ++i) sum += (x(i, c) - mean(c)) * (x(i, c) - mean(c));
    variance(c) = sum / Real(x.rows());
  }
  return variance;
}

Forward forward(const Values& x, const PerChannel& gamma, const PerChannel& beta, Real epsilon) {
  const PerChannel mean = batch_mean(x);
  return normalize(x, gamma, beta, mean, batch_variance(x, mean), epsilon);
}

Backward backward(const Values& x, const Values& dy, const PerChannel& gamma, Real epsilon) {
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

Backward frozen_backward(const Values& x, const Values& dy, const PerChannel& gamma, const PerChannel& mean,
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
