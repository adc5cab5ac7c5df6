// LibTorch's own CPU kernels, as its layers call them: outputs are allocated by each call. Rows are tensors in the
// channels-last memory format. Its headers take long to compile, and as C++17 only; no other file sees them.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/api/include/torch/version.h>

#include <stdexcept>

#include "candidates/candidate.hpp"
#include "candidates/problem.hpp"

namespace benchmarks {
namespace {

/// The problem's memory as a tensor.
at::Tensor tensor(const Task& task, const Buffer& buffer) {
  const Shape& s = task.shape;
  const Index h = s.height(), w = s.width();
  switch (task.layout) {
    case Layout::planes: return at::from_blob(buffer.data(), {s.samples, s.channels, h, w});
    case Layout::rows:
      return at::from_blob(buffer.data(), {s.samples, s.channels, h, w},
                           {s.plane * s.channels, 1, w * s.channels, s.channels});
    case Layout::matrices: break;
  }
  return at::from_blob(buffer.data(), {s.samples, s.channels});
}

at::Tensor per_channel(std::vector<float>& values) { return at::from_blob(values.data(), {Index(values.size())}); }

/// Throws std::runtime_error if this LibTorch keeps another number.
void set_threads(int threads) {
  at::set_num_threads(threads);
  if (at::get_num_threads() == threads) return;
  throw std::runtime_error("LibTorch: expected it to set its threads to " + std::to_string(threads) + ", got " +
                           std::to_string(at::get_num_threads()) + "; --without libtorch leaves it out");
}

class Solver {
 public:
  Solver(Problem& problem, int threads)
      : task_(problem.task),
        x_(tensor(task_, problem.x)),
        out_(tensor(task_, problem.out)),
        gamma_(per_channel(problem.gamma)),
        beta_(per_channel(problem.beta)),
        running_mean_(per_channel(problem.running_mean)),
        running_variance_(per_channel(problem.running_variance)),
        dgamma_(per_channel(problem.dgamma)),
        dbeta_(per_channel(problem.dbeta)) {
    set_threads(threads);
    if (task_.pass == Pass::backward) {
      dy_ = tensor(task_, problem.dy);
      forward();
      y_ = result_;
    }
  }

  void solve() {
    const at::NoGradGuard no_grad;
    result_.reset();  // so that the allocator can give the same memory again
    switch (task_.pass) {
      case Pass::forward: return forward();
      case Pass::backward: return backward();
      case Pass::inference: return inference();
    }
  }

  void fetch() {
    out_.copy_(result_);
    if (task_.pass != Pass::backward) return;
    dgamma_.copy_(result_dgamma_);
    dbeta_.copy_(result_dbeta_);
  }

 private:
  void forward() {
    std::tie(result_, mean_, inv_std_) = at::native_batch_norm(x_, gamma_, beta_, {}, {}, true, 0.1, epsilon);
    if (task_.fuses_relu()) at::relu_(result_);
  }

  void inference() {
    result_ = at::batch_norm(x_, gamma_, beta_, running_mean_, running_variance_, false, 0.1, epsilon, false);
    if (task_.fuses_relu()) at::relu_(result_);
  }

  void backward() {
    const at::Tensor dz = task_.fuses_relu() ? at::threshold_backward(dy_, y_, 0) : dy_;
    std::tie(result_, result_dgamma_, result_dbeta_) =
        at::native_batch_norm_backward(dz, x_, gamma_, {}, {}, mean_, inv_std_, true, epsilon, {true, true, true});
  }

  Task task_;
  at::Tensor x_, dy_, y_, out_, gamma_, beta_, running_mean_, running_variance_, dgamma_, dbeta_;
  at::Tensor mean_, inv_std_, result_, result_dgamma_, result_dbeta_;
};

}  // namespace

std::string libtorch_version() { return TORCH_VERSION; }

std::vector<Candidate> libtorch_candidates(Problem& problem, int threads) {
  const auto solver = std::make_shared<Solver>(problem, threads);
  return {{"LibTorch", "", Work::pass, [solver] { solver->solve(); }, [solver] { solver->fetch(); }}};
}

}  // namespace benchmarks
