// The formulas as one would write them down by hand: mean, variance, output; two sums, gradient. Each is one walk over
// the tensor in memory order, in float, and whatever the compiler makes of it; a plane is summed in a local variable.

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

/// Calls add(channel, index, sum...) for every element, in memory order, so that sums[channel] becomes what was added.
template <class Add, class... Sums>
void add_up(const Task& task, const Add& add, Sums*... sums) {
  const Shape& s = task.shape;
  (std::fill_n(sums, s.channels, Sums(0)), ...);
  if (task.layout == Layout::planes) {
    Index k = 0;
    const auto add_plane = [&](Index c, auto... of_plane) {
      for (Index i = 0; i < s.plane; ++i) add(c, k++, of_plane...);
      ((sums[c] += of_plane), ...);
    };
    for (Index n = 0; n < s.samples; ++n) {
      for (Index c = 0; c < s.channels; ++c) add_plane(c, Sums(0)...);
    }
  } else {
    for_each_element(task, [=](Index c, Index k) { add(c, k, sums[c]...); });
  }
}

struct Statistics {
  std::vector<float> mean, inv_std;

  explicit Statistics(Index channels) : mean(std::size_t(channels)), inv_std(mean.size()) {}

  void take(const Problem& p) {
    const float count = static_cast<float>(p.task.shape.count());
    const float* x = p.x.data();
    float *m = mean.data(), *s = inv_std.data();
    add_up(
        p.task, [=](Index, Index k, float& sum) { sum += x[k]; }, m);
    for (float& value : mean) value /= count;
    add_up(
        p.task, [=](Index c, Index k, float& sum) { sum += (x[k] - m[c]) * (x[k] - m[c]); }, s);
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
  const auto add = [=](Index c, Index k, float& sum, float& sum_x) {
    sum += dz(c, k);
    sum_x += dz(c, k) * (x[k] - m[c]) * s[c];
  };
  add_up(p.task, add, dbeta, dgamma);
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
