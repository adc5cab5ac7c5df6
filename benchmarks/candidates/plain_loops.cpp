// The formulas as one would write them down by hand: mean, variance, output; two sums, gradient. Each is one walk over
// the tensor in memory order, in float, and whatever the compiler makes of it.

#include <algorithm>
#include <cmath>

#include "candidates/candidate.hpp"
#include "candidates/problem.hpp"

namespace benchmarks {
namespace {

/// Calls visit(channel, index) for every element, in memory order.
template <class Visit>
void for_each_element(const Task& task, const Visit& visit) {
  const Shape& s = task.shape;
  Index k = 0;
  if (task.layout == Layout::planes) {
    for (Index n = 0; n < s.samples; ++n) {
      for (Index c = 0; c < s.channels; ++c) {
        for (Index i = 0; i < s.plane; ++i) visit(c, k++);
      }
    }
  } else {
    for (Index row = 0; row < s.count(); ++row) {
      for (Index c = 0; c < s.channels; ++c) visit(c, k++);
    }
  }
}

struct Statistics {
  std::vector<float> mean, inv_std;

  explicit Statistics(Index channels) : mean(std::size_t(channels)), inv_std(mean.size()) {}

  void take(const Problem& p) {
    const float count = static_cast<float>(p.task.shape.count());
    const float* x = p.x.data();
    float *m = mean.data(), *s = inv_std.data();
    std::fill(mean.begin(), mean.end(), 0.0F);
    for_each_element(p.task, [=](Index c, Index k) { m[c] += x[k]; });
    for (float& value : mean) value /= count;
    std::fill(inv_std.begin(), inv_std.end(), 0.0F);
    for_each_element(p.task, [=](Index c, Index k) { s[c] += (x[k] - m[c]) * (x[k] - m[c]); });
    for (float& value : inv_std) value = 1 / std::sqrt(value / count + float(epsilon));
  }
};

void normalize(const Problem& p, const Statistics& statistics) {
  const float *x = p.x.data(), *gamma = p.gamma.data(), *beta = p.beta.data();
  const float *m = statistics.mean.data(), *s = statistics.inv_std.data();
  float* y = p.out.data();
  if (p.task.fuses_relu()) {
    for_each_element(p.task,
                     [=](Index c, Index k) { y[k] = std::max((x[k] - m[c]) * s[c] * gamma[c] + beta[c], 0.0F); });
  } else {
    for_each_element(p.task, [=](Index c, Index k) { y[k] = (x[k] - m[c]) * s[c] * gamma[c] + beta[c]; });
  }
}

/// dz(channel, index) is the gradient that comes out of the activation.
template <class Gradient>
void backward(Problem& p, const Statistics& statistics, const Gradient& dz) {
  const float *x = p.x.data(), *gamma = p.gamma.data();
  const float *m = statistics.mean.data(), *s = statistics.inv_std.data();
  float *dgamma = p.dgamma.data(), *dbeta = p.dbeta.data(), *dx = p.out.data();
  std::fill(p.dgamma.begin(), p.dgamma.end(), 0.0F);
  std::fill(p.dbeta.begin(), p.dbeta.end(), 0.0F);
  for_each_element(p.task, [=](Index c, Index k) {
    dbeta[c] += dz(c, k);
    dgamma[c] += dz(c, k) * (x[k] - m[c]) * s[c];
  });
  const float count = static_cast<float>(p.task.shape.count());
  for_each_element(p.task, [=](Index c, Index k) {
    const float x_hat = (x[k] - m[c]) * s[c];
    dx[k] = gamma[c] * s[c] * (dz(c, k) - dbeta[c] / count - x_hat * dgamma[c] / count);
  });
}

void backward(Problem& p, const Statistics& statistics) {
  const float *x = p.x.data(), *dy = p.dy.data(), *gamma = p.gamma.data(), *beta = p.beta.data();
  const float *m = statistics.mean.data(), *s = statistics.inv_std.data();
  if (p.task.fuses_relu()) {
    backward(p, statistics,
             [=](Index c, Index k) { return (x[k] - m[c]) * s[c] * gamma[c] + beta[c] > 0 ? dy[k] : 0.0F; });
  } else {
    backward(p, statistics, [=](Index, Index k) { return dy[k]; });
  }
}

Statistics running_statistics(const Problem& p) {
  Statistics statistics(p.task.shape.channels);
  statistics.mean = p.running_mean;
  for (std::size_t c = 0; c < statistics.mean.size(); ++c) {
    statistics.inv_std[c] = 1 / std::sqrt(p.running_variance[c] + float(epsilon));
  }
  return statistics;
}

std::function<void()> solver(Problem& p) {
  Statistics statistics(p.task.shape.channels);
  switch (p.task.pass) {
    case Pass::forward:
      return [&p, statistics]() mutable {
        statistics.take(p);
        normalize(p, statistics);
      };
    case Pass::backward: statistics.take(p); return [&p, statistics] { backward(p, statistics); };
    case Pass::inference: break;
  }
  return [&p, statistics = running_statistics(p)] { normalize(p, statistics); };
}

}  // namespace

std::vector<Candidate> plain_candidates(Problem& problem, int /*threads*/) {
  return {{.library = "plain loops", .run = solver(problem)}};
}

}  // namespace benchmarks
