#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "nn/nn.hpp"
#include "support/values.hpp"

namespace {
int allocations = 0;
}

// The linker puts these in the place of malloc and realloc wherever this program or the harness calls them, as Eigen
// does. (What else there is, such as calloc, nobody calls.) operator new comes from a library of its own, which is not
// linked like that: it is replaced here.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names
void* __real_malloc(std::size_t size);
void* __real_realloc(void* old, std::size_t size);

void* __wrap_malloc(std::size_t size) {
  ++allocations;
  return __real_malloc(size);
}
void* __wrap_realloc(void* old, std::size_t size) {
  ++allocations;
  return __real_realloc(old, size);
}
// NOLINTEND(bugprone-reserved-identifier)
}

// Inlined, g++ takes the pair for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace sequential_test {

namespace bn = batchnorm;
using testing_support::max_abs;
using Matrix = nn::Matrix<float>;

/// A network that learns XOR.
struct Exercise {
  nn::Sequential<float> model;
  nn::BatchNorm<float>* norm = nullptr;
  Matrix x = Matrix::Zero(8, 2), output_gradient;
  std::vector<std::uint8_t> labels;

  Exercise() {
    model.add(nn::Dense<float>(2, 16, nn::Bias::no));
    norm = &model.add(nn::BatchNorm<float>({.channels = 16}));
    model.add(nn::Sigmoid<float>());
    model.add(nn::Dense<float>(16, 2));
    nn::initialize_weights(model, 1.0, 7);
    nn::Normal normal(8);
    for (Eigen::Index i = 0; i < x.rows(); ++i) {  // XOR, with a little noise
      x(i, 0) = float(i & 1) + 0.1f * float(normal());
      x(i, 1) = float(i >> 1 & 1) + 0.1f * float(normal());
      labels.push_back(std::uint8_t((i ^ (i >> 1)) & 1));
    }
  }

  float step() {
    const float loss = nn::softmax_cross_entropy<float>(model.forward(x), labels, output_gradient);
    model.backward(x, output_gradient);
    nn::Sgd<float>(0.5f).step(model);
    return loss;
  }
};

TEST(Sequential, LearnsExclusiveOr) {
  Exercise exercise;
  for (int i = 0; i < 300; ++i) exercise.step();
  EXPECT_LT(exercise.step(), 0.05f);
  const nn::ModeScope scope(exercise.model, bn::Mode::inference);
  EXPECT_EQ(nn::count_correct<float>(exercise.model.forward(exercise.x), exercise.labels), 8);
}

TEST(Sequential, AllocationsOfTheHarnessAreCounted) {
  nn::Sigmoid<float> layer;
  Matrix y;
  const Matrix x = Matrix::Zero(2, 3);
  const int before = allocations;
  layer.forward(x, y);  // Eigen's malloc
  EXPECT_EQ(allocations, before + 1);
  const std::vector<int> memory(1);  // operator new
  EXPECT_EQ(allocations, before + 2);
}

TEST(Sequential, AllocatesNothingAfterTheFirstStep) {
  Exercise exercise;
  exercise.step();
  const int before = allocations;
  for (int i = 0; i < 3; ++i) exercise.step();
  EXPECT_EQ(allocations, before);
}

TEST(Sequential, ConvolutionsAllocateNothingAfterTheFirstStep) {
  // Products of this size: for factors of more than 128 KB Eigen asks for memory to reorder them in each time.
  using Stack = nn::ImageStack<float>;
  Stack net({14, 14, 1}, {});
  net.convolution(16).max_pool({.stride = 2});
  net.branches({[](Stack& branch) { branch.convolution(16, {.size = 1}).convolution(16); },
                [](Stack& branch) { branch.average_pool().convolution(16); }});
  net.branches({[](Stack& branch) { branch.convolution(16, {.size = 1}).convolution(16, {.stride = 2}); },
                [](Stack& branch) { branch.max_pool({.stride = 2}); }});
  net.local_response_norm().global_average_pool().dropout(0.5, 1).dense(10);
  nn::Sequential<float> model = net.take();
  nn::initialize_weights(model, nn::he_deviation, 1);
  nn::Sgd<float> sgd(0.1f, 1e-4f, 0.9f);
  const Matrix x = Matrix::Ones(32 * 196, 1);
  const std::vector<std::uint8_t> labels(32, 3);
  Matrix output_gradient;
  const auto step = [&] {
    nn::softmax_cross_entropy<float>(model.forward(x), labels, output_gradient);
    model.backward(x, output_gradient);
    sgd.step(model);
  };
  step();
  const int before = allocations;
  for (int i = 0; i < 3; ++i) step();
  EXPECT_EQ(allocations, before);
}

TEST(Sequential, TheSameSeedGivesTheSameBits) {
  Exercise exercise, other;
  for (int i = 0; i < 20; ++i) ASSERT_EQ(exercise.step(), other.step());
}

TEST(Sequential, ModeScopeRestoresTheMode) {
  Exercise exercise;
  EXPECT_EQ(exercise.model.mode(), bn::Mode::training);
  {
    const nn::ModeScope scope(exercise.model, bn::Mode::inference);
    EXPECT_EQ(exercise.norm->norm().mode(), bn::Mode::inference);
    {
      const nn::ModeScope inner(exercise.model, bn::Mode::probe);
      EXPECT_EQ(exercise.norm->norm().mode(), bn::Mode::probe);
    }
    EXPECT_EQ(exercise.norm->norm().mode(), bn::Mode::inference);
  }
  EXPECT_EQ(exercise.model.mode(), bn::Mode::training);
  EXPECT_EQ(exercise.norm->norm().mode(), bn::Mode::training);
}

TEST(Sequential, AnAddedLayerTakesTheModelsMode) {
  Exercise exercise;
  exercise.model.set_mode(bn::Mode::inference);
  EXPECT_EQ(exercise.model.add(nn::BatchNorm<float>({.channels = 2})).norm().mode(), bn::Mode::inference);
}

TEST(Sequential, EvaluationBetweenStepsChangesNothing) {
  Exercise exercise, other;
  nn::Activations<float> activations;
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(exercise.step(), other.step());
    const nn::ModeScope scope(exercise.model, bn::Mode::inference);
    exercise.model.forward(Matrix::Ones(30, 2), activations);
  }
  const auto& mean = exercise.norm->norm().running().mean;
  EXPECT_TRUE((mean == other.norm->norm().running().mean).all());
}

TEST(Sequential, KeepsEveryLayersOutput) {
  Exercise exercise;
  const Matrix y = exercise.model.forward(exercise.x);
  ASSERT_EQ(exercise.model.size(), 4u);
  EXPECT_EQ(exercise.model.output(0).cols(), 16);
  EXPECT_EQ(exercise.model.output(3), y);
  // The mean of a normalized unit is beta.
  EXPECT_LT(max_abs(exercise.model.output(1).colwise().mean()), 1e-6);
}

TEST(Sequential, IsFiniteIfParametersAndStatisticsAre) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  nn::Sequential<float> inner, model;
  auto& norm = inner.add(nn::BatchNorm<float>({.channels = 3}));
  auto& whitening = inner.add(nn::WhiteningNorm<float>({.channels = 3}));
  model.add(nn::Dense<float>(3, 3));
  std::vector<nn::Sequential<float>> branches;
  branches.push_back(std::move(inner));
  model.add(nn::Branches<float>(std::move(branches)));
  EXPECT_TRUE(model.is_finite());
  norm.norm().running().variance[1] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(model.is_finite());
  norm.norm().running().variance[1] = 1;
  whitening.norm().running().covariance(2, 0) = static_cast<float>(nan);
  EXPECT_FALSE(model.is_finite());
  whitening.norm().running().covariance(2, 0) = 0;
  EXPECT_TRUE(model.is_finite());
  model.for_each_parameter([&](nn::bn::Parameter<float> parameter) { parameter.value[0] = static_cast<float>(nan); });
  EXPECT_FALSE(model.is_finite());
}

}  // namespace sequential_test
