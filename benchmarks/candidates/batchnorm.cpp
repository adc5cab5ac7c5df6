// This library, through its public functions, with storage that is reused from call to call.

#include <batchnorm/batchnorm.hpp>

#include "candidates/candidate.hpp"
#include "candidates/device.hpp"
#include "candidates/problem.hpp"

namespace benchmarks {
namespace {

namespace bn = batchnorm;

bn::ChannelArray<float> array(const std::vector<float>& values) {
  return Eigen::Map<const bn::ChannelArray<float>>(values.data(), Index(values.size()));
}

/// Memory as the tensor that a user of this layout has.
template <class BnLayout>
auto view(float* data, const Shape& s) {
  using Tensor = Eigen::TensorMap<Eigen::Tensor<float, 3, Eigen::RowMajor>>;
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  if constexpr (std::same_as<BnLayout, bn::channel_first>) return Tensor(data, s.samples, s.channels, s.plane);
  if constexpr (std::same_as<BnLayout, bn::channel_last>) return Tensor(data, s.samples, s.plane, s.channels);
  if constexpr (std::same_as<BnLayout, bn::samples_in_rows>) return Eigen::Map<Matrix>(data, s.samples, s.channels);
}

template <class BnLayout, class BnActivation, class Device>
struct Solver {
  Problem& problem;
  const Device& device;
  bn::AffineParameters<float> affine;

  auto tensor(const Buffer& buffer) const { return view<BnLayout>(buffer.data(), problem.task.shape); }

  Candidate forward() const {
    return {.library = "batchnorm",
            .run = [*this, x = tensor(problem.x), y = tensor(problem.out), moments = bn::Moments()]() mutable {
              bn::train_forward<BnLayout, BnActivation>(x, affine, epsilon, y, moments, {.device = device});
            }};
  }

  Candidate inference() const {
    bn::RunningStatistics running(problem.task.shape.channels);
    running.mean = array(problem.running_mean).cast<double>();
    running.variance = array(problem.running_variance).cast<double>();
    return {.library = "batchnorm",
            .run = [*this, x = tensor(problem.x), y = tensor(problem.out),
                    statistics = bn::statistics(running, epsilon)]() mutable {
              bn::normalize<BnLayout, BnActivation>(x, affine, statistics, y, {.device = device});
            }};
  }

  Candidate backward() const {
    bn::Moments moments;
    bn::batch_moments<BnLayout>(tensor(problem.x), moments);
    const auto gradients = std::make_shared<bn::Gradients<float>>(problem.task.shape.channels);
    return {.library = "batchnorm",
            .run =
                [*this, x = tensor(problem.x), dy = tensor(problem.dy), dx = tensor(problem.out),
                 statistics = bn::statistics(moments, epsilon), gradients]() mutable {
                  gradients->zero();  // the others overwrite theirs
                  bn::backward<BnLayout, BnActivation>(x, dy, affine, statistics, dx, *gradients, {.device = device});
                },
            .fetch =
                [p = &problem, gradients] {
                  p->dgamma.assign(gradients->gamma.begin(), gradients->gamma.end());
                  p->dbeta.assign(gradients->beta.begin(), gradients->beta.end());
                }};
  }

  Candidate candidate() const {
    switch (problem.task.pass) {
      case Pass::forward: return forward();
      case Pass::backward: return backward();
      case Pass::inference: break;
    }
    return inference();
  }
};

template <class BnLayout, class BnActivation>
Candidate on_device(Problem& problem, int threads) {
  bn::AffineParameters<float> affine;
  affine.gamma = array(problem.gamma);
  affine.beta = array(problem.beta);
  static const Eigen::DefaultDevice calling_thread;
  if (threads == 1)
    return Solver<BnLayout, BnActivation, Eigen::DefaultDevice>{problem, calling_thread, affine}.candidate();
  return Solver<BnLayout, BnActivation, Eigen::ThreadPoolDevice>{problem, pool_device(threads), affine}.candidate();
}

template <class BnLayout>
Candidate with_activation(Problem& problem, int threads) {
  return problem.task.fuses_relu() ? on_device<BnLayout, bn::relu>(problem, threads)
                                   : on_device<BnLayout, bn::activations::identity>(problem, threads);
}

}  // namespace

std::vector<Candidate> batchnorm_candidates(Problem& problem, int threads) {
  switch (problem.task.layout) {
    case Layout::planes: return {with_activation<bn::channel_first>(problem, threads)};
    case Layout::rows: return {with_activation<bn::channel_last>(problem, threads)};
    case Layout::matrices: break;
  }
  return {with_activation<bn::samples_in_rows>(problem, threads)};
}

}  // namespace benchmarks
