// The formulas as a user of Eigen writes them: Array expressions on matrices, Tensor expressions with broadcasts on
// images.

#include <array>
#include <unsupported/Eigen/CXX11/Tensor>

#include "candidates/candidate.hpp"
#include "candidates/problem.hpp"

namespace benchmarks {
namespace {

/// On matrices.
class ArraySolver {
 public:
  explicit ArraySolver(Problem& p) : p_(&p), count_(float(p.task.shape.samples)) {
    if (p.task.pass == Pass::inference) {
      mean_ = row(p.running_mean);
      inv_std_ = (row(p.running_variance) + float(epsilon)).rsqrt();
    } else {
      take_statistics();
    }
  }

  void solve() {
    if (p_->task.pass == Pass::backward) return backward();
    if (p_->task.pass == Pass::forward) take_statistics();
    normalize();
  }

 private:
  using Array = Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Row = Eigen::Array<float, 1, Eigen::Dynamic>;

  Eigen::Map<Array> array(const Buffer& buffer) const {
    return {buffer.data(), p_->task.shape.samples, p_->task.shape.channels};
  }
  static Eigen::Map<Row> row(std::vector<float>& values) { return {values.data(), Index(values.size())}; }

  void take_statistics() {
    const auto x = array(p_->x);
    mean_ = x.colwise().mean();
    inv_std_ = ((x.rowwise() - mean_).square().colwise().mean() + float(epsilon)).rsqrt();
  }

  void normalize() {
    const auto x = array(p_->x);
    auto y = array(p_->out);
    const auto z = ((x.rowwise() - mean_).rowwise() * (inv_std_ * row(p_->gamma))).rowwise() + row(p_->beta);
    if (p_->task.fuses_relu()) {
      y = z.cwiseMax(0.0F);
    } else {
      y = z;
    }
  }

  void backward() {
    const auto dy = array(p_->dy);
    auto dx = array(p_->out);
    auto dgamma = row(p_->dgamma), dbeta = row(p_->dbeta);
    const Array x_hat = (array(p_->x).rowwise() - mean_).rowwise() * inv_std_;
    Array dz = dy;
    if (p_->task.fuses_relu())
      dz = ((x_hat.rowwise() * row(p_->gamma)).rowwise() + row(p_->beta) > 0.0F).select(dy, 0.0F);
    dbeta = dz.colwise().sum();
    dgamma = (dz * x_hat).colwise().sum();
    dx =
        ((dz.rowwise() - dbeta / count_) - x_hat.rowwise() * (dgamma / count_)).rowwise() * (row(p_->gamma) * inv_std_);
  }

  Problem* p_;
  float count_;
  Row mean_, inv_std_;
};

/// On images, in one of two orders of axes: the channels are on axis `Channel` of three.
template <int Channel>
class TensorSolver {
 public:
  explicit TensorSolver(Problem& p) : p_(&p), count_(float(p.task.shape.count())) {
    const Shape& s = p.task.shape;
    extents_ = {s.samples, Channel == 1 ? s.channels : s.plane, Channel == 1 ? s.plane : s.channels};
    as_channels_ = {1, 1, 1};
    as_channels_[Channel] = s.channels;
    repeats_ = extents_;
    repeats_[Channel] = 1;
    if (p.task.pass == Pass::inference) {
      mean_ = channels(p.running_mean);
      inv_std_ = (channels(p.running_variance) + float(epsilon)).rsqrt();
    } else {
      take_statistics();
    }
  }

  void solve() {
    if (p_->task.pass == Pass::backward) return backward();
    if (p_->task.pass == Pass::forward) take_statistics();
    normalize();
  }

 private:
  using Tensor = Eigen::Tensor<float, 3, Eigen::RowMajor>;
  using PerChannel = Eigen::Tensor<float, 1, Eigen::RowMajor>;

  Eigen::TensorMap<Tensor> tensor(const Buffer& buffer) const { return {buffer.data(), extents_}; }
  Eigen::TensorMap<PerChannel> channels(std::vector<float>& values) const {
    return {values.data(), p_->task.shape.channels};
  }
  /// One value per channel, repeated to the extents of x.
  auto spread(const PerChannel& values) const { return values.reshape(as_channels_).broadcast(repeats_); }

  void take_statistics() {
    const auto x = tensor(p_->x);
    mean_ = x.mean(others);
    inv_std_ = ((x - spread(mean_)).square().mean(others) + float(epsilon)).rsqrt();
  }

  void normalize() {
    const auto x = tensor(p_->x);
    auto y = tensor(p_->out);
    const PerChannel scale = inv_std_ * channels(p_->gamma), beta = channels(p_->beta);
    if (p_->task.fuses_relu()) {
      y = ((x - spread(mean_)) * spread(scale) + spread(beta)).cwiseMax(0.0F);
    } else {
      y = (x - spread(mean_)) * spread(scale) + spread(beta);
    }
  }

  void backward() {
    const auto dy = tensor(p_->dy);
    auto dx = tensor(p_->out);
    const PerChannel gamma = channels(p_->gamma), beta = channels(p_->beta);
    const Tensor x_hat = (tensor(p_->x) - spread(mean_)) * spread(inv_std_);
    Tensor dz = dy;
    if (p_->task.fuses_relu()) dz = (x_hat * spread(gamma) + spread(beta) > 0.0F).select(dy, dy.constant(0.0F));
    const PerChannel dbeta = dz.sum(others), dgamma = (dz * x_hat).sum(others);
    channels(p_->dbeta) = dbeta;
    channels(p_->dgamma) = dgamma;
    const PerChannel scale = gamma * inv_std_, mean_dz = dbeta / count_, slope = dgamma / count_;
    dx = (dz - spread(mean_dz) - x_hat * spread(slope)) * spread(scale);
  }

  /// The axes that statistics are taken over.
  static constexpr std::array<Index, 2> others = {0, 3 - Channel};

  Problem* p_;
  float count_;
  Eigen::array<Index, 3> extents_, as_channels_, repeats_;
  PerChannel mean_, inv_std_;
};

template <class Solver>
Candidate candidate(Problem& problem) {
  return {.library = "naive Eigen", .run = [solver = Solver(problem)]() mutable { solver.solve(); }};
}

}  // namespace

std::vector<Candidate> naive_candidates(Problem& problem, int /*threads*/) {
  switch (problem.task.layout) {
    case Layout::planes: return {candidate<TensorSolver<1>>(problem)};
    case Layout::rows: return {candidate<TensorSolver<2>>(problem)};
    case Layout::matrices: break;
  }
  return {candidate<ArraySolver>(problem)};
}

}  // namespace benchmarks
