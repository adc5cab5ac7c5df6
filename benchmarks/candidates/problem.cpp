#include "candidates/problem.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>

namespace benchmarks {
namespace {

constexpr std::size_t page = 4096;

/// Uniform values from a linear congruential generator (Knuth's MMIX): gigabytes are filled in seconds.
template <class Range>
void fill(Range& range, float low, float high, std::uint64_t seed) {
  std::uint64_t state = seed;
  for (float& value : range) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    value = low + (high - low) * static_cast<float>(state >> 40) * 0x1p-24F;
  }
}

/// Sets dy to 0 where the input z of a fused ReLU is 0 but for rounding: libraries may disagree there about which side
/// of 0 it is on, and all be right.
void silence_undecided_gates(Problem& p) {
  constexpr double undecided = 1e-3;
  const std::size_t channels = p.gamma.size();
  const auto count = static_cast<double>(p.task.shape.count());
  std::vector<double> mean(channels), variance(channels);
  const auto channel = [&](Index k) { return std::size_t(p.task.channel_of(k)); };
  for (Index k = 0; k < p.x.size(); ++k) mean[channel(k)] += p.x[k] / count;
  for (Index k = 0; k < p.x.size(); ++k) variance[channel(k)] += std::pow(p.x[k] - mean[channel(k)], 2) / count;
  for (Index k = 0; k < p.x.size(); ++k) {
    const std::size_t c = channel(k);
    const double z = (p.x[k] - mean[c]) / std::sqrt(variance[c] + epsilon) * p.gamma[c] + p.beta[c];
    if (std::abs(z) < undecided) p.dy[k] = 0;
  }
}

}  // namespace

std::string name_of(Pass pass) {
  switch (pass) {
    case Pass::forward: return "forward";
    case Pass::backward: return "backward";
    case Pass::inference: return "inference";
  }
  return {};
}

std::string name_of(Layout layout) {
  switch (layout) {
    case Layout::planes: return "planes";
    case Layout::rows: return "rows";
    case Layout::matrices: return "matrices";
  }
  return {};
}

std::string name_of(Activation activation) { return activation == Activation::relu ? "relu" : "identity"; }

Buffer::Buffer(Index size) : size_(size) {
  const std::size_t pages = (static_cast<std::size_t>(size) * sizeof(float) + page - 1) / page;
  data_.reset(static_cast<float*>(std::aligned_alloc(page, std::max<std::size_t>(pages, 1) * page)));
  if (!data_) throw std::bad_alloc();
  std::fill(begin(), end(), 0.0F);
}

Problem::Problem(Task task_)
    : task(std::move(task_)),
      x(task.shape.size()),
      dy(task.pass == Pass::backward ? task.shape.size() : 0),
      gamma(std::size_t(task.shape.channels)),
      beta(gamma.size()),
      running_mean(gamma.size()),
      running_variance(gamma.size()),
      out(task.shape.size()),
      dgamma(gamma.size()),
      dbeta(gamma.size()) {
  fill(x, -1, 2, 1);
  fill(dy, -1, 1, 2);
  fill(gamma, 0.5F, 1.5F, 3);
  fill(beta, -0.5F, 0.5F, 4);
  fill(running_mean, 0.4F, 0.6F, 5);
  fill(running_variance, 0.6F, 0.9F, 6);
  if (task.pass == Pass::backward && task.fuses_relu()) silence_undecided_gates(*this);
}

}  // namespace benchmarks
