// No call allocates memory once it has seen a shape: every allocation of the process is counted while it runs. And
// where one fails, no layer goes on with half of what it needs.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <batchnorm/layers/batch_renorm.hpp>
#include <batchnorm/layers/ghost_batch_norm.hpp>
#include <batchnorm/whitening/whitening_norm.hpp>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>
#include <stdexcept>
#include <string>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/kernels.hpp"
#include "support/renorm.hpp"
#include "support/shapes.hpp"

namespace {

bool counting = false;
int allocations = 0;
std::size_t allocated_bytes = 0;
int allowed_allocations = std::numeric_limits<int>::max();

/// Whether memory may be had.
bool count_allocation(std::size_t bytes) {
  if (!counting) return true;
  ++allocations;
  allocated_bytes += bytes;
  return allocations <= allowed_allocations;
}

}  // namespace

// Everything ends in malloc and its aligned relatives: operator new, Eigen's own allocator, the containers. A sanitizer
// has a malloc of its own, and calls a hook with each allocation; else these functions stand before those of glibc.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BATCHNORM_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define BATCHNORM_TEST_SANITIZED
#endif
#endif

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier)
#if defined(BATCHNORM_TEST_SANITIZED)

void __sanitizer_malloc_hook(const volatile void*, std::size_t bytes) { count_allocation(bytes); }

#else

void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* old, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);

void* malloc(std::size_t bytes) noexcept { return count_allocation(bytes) ? __libc_malloc(bytes) : nullptr; }
void* calloc(std::size_t count, std::size_t bytes) noexcept {
  return count_allocation(count * bytes) ? __libc_calloc(count, bytes) : nullptr;
}
void* realloc(void* old, std::size_t bytes) noexcept {
  return count_allocation(bytes) ? __libc_realloc(old, bytes) : nullptr;
}
void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  return count_allocation(bytes) ? __libc_memalign(alignment, bytes) : nullptr;
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept { return memalign(alignment, bytes); }
int posix_memalign(void** result, std::size_t alignment, std::size_t bytes) noexcept {
  *result = memalign(alignment, bytes);
  return *result ? 0 : 12;  // ENOMEM
}

#endif
// NOLINTEND(bugprone-reserved-identifier)
}

namespace batch_norm_allocation_test {

namespace bn = batchnorm;
using namespace testing_support;

/// How many allocations call() makes.
template <class Call>
int allocations_of(const Call& call) {
  allocations = 0;
  allocated_bytes = 0;
  counting = true;
  call();
  counting = false;
  return allocations;
}

/// A first call may allocate, two more of the same shape may not.
template <class Call>
void expect_none_after_the_first(const char* name, const Call& call) {
  call();
  EXPECT_EQ(allocations_of(call), 0) << name;
  EXPECT_EQ(allocations_of(call), 0) << name << ", again";
}

/// The paper's 60 x 100, and smaller ones: on both sides of a packet, one channel, one row less than a packet.
template <class A>
std::vector<Extents<A::rank>> small_shapes() {
  std::vector<Extents<A::rank>> shapes;
  if constexpr (A::rank == 2) {
    shapes = {{60, 100}, {60, 1}, {7, 19}, {2, 3}};
  } else {
    shapes = {{2, 3, 5, 7}, {17, 5, 3, 2}, {2, 1, 4, 4}, {3, 40, 1, 1}};
  }
  for (auto& shape : shapes) shape = with_channels_on(A::axis, shape);
  return shapes;
}

template <class A>
struct Tensors {
  typename A::Container x, dy, y, dx, residual, dresidual;
  explicit Tensors(const Extents<A::rank>& e) : x(e), dy(e), y(e), dx(e), residual(e), dresidual(e) {
    Random random(3);
    const Index count = count_of(e, A::axis), channels = e[std::size_t(A::axis)];
    for (auto* tensor : {&x, &dy, &residual}) assign(normal_values(count, channels, random), tensor->view(), A::axis);
  }
};

/// Calls body(tensors, channels) for each shape.
template <class A, class Body>
void for_each_shape(const Body& body) {
  for (const auto& extents : small_shapes<A>()) {
    SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
    Tensors<A> tensors(extents);
    body(tensors, extents[std::size_t(A::axis)]);
  }
}

template <class A>
class Allocation : public testing::Test {};

using Arrangements = testing::Types<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>,
                                    Arrangement<OwnedMatrix<float, Eigen::ColMajor>, bn::samples_in_rows, 1>,
                                    Arrangement<OwnedMatrix<double, Eigen::ColMajor>, bn::samples_in_columns, 0>,
                                    Arrangement<OwnedMatrix<Eigen::half, Eigen::RowMajor>, bn::samples_in_columns, 0>,
                                    Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_first, 1>,
                                    Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, bn::channel_last, 3>>;
TYPED_TEST_SUITE(Allocation, Arrangements);

TEST(AllocationCount, SeesEveryWayToAllocate) {
  // The results are volatile so that no compiler leaves a pair of allocation and release out.
  void* volatile memory = nullptr;
  EXPECT_EQ(allocations_of([&] { memory = std::malloc(100); }), 1);
  EXPECT_GE(allocated_bytes, 100u);
  std::free(memory);
  EXPECT_EQ(allocations_of([&] { memory = std::calloc(10, 10); }), 1);
  std::free(memory);
  EXPECT_EQ(allocations_of([&] { memory = std::aligned_alloc(64, 128); }), 1);
  std::free(memory);
  EXPECT_EQ(allocations_of([&] { memory = ::operator new(100); }), 1);
  ::operator delete(memory);
  EXPECT_EQ(allocations_of([&] { memory = ::operator new(128, std::align_val_t(64)); }), 1);
  ::operator delete(memory, std::align_val_t(64));
  EXPECT_EQ(allocations_of([&] { memory = Eigen::internal::aligned_malloc(100); }), 1);
  Eigen::internal::aligned_free(memory);
}

/// In any of its calls, after the first.
template <class Layer, class T>
void expect_none_in(Layer norm, T& t) {
  SCOPED_TRACE(norm.describe());
  const auto &x = t.x.view(), &dy = t.dy.view();
  auto &y = t.y.view(), &dx = t.dx.view();
  expect_none_after_the_first("forward", [&] { norm.forward(x, y); });
  expect_none_after_the_first("backward", [&] { norm.backward(x, dy, dx); });
  expect_none_after_the_first("backward_from_output", [&] { norm.backward_from_output(y, dy, dx); });
  expect_none_after_the_first("infer", [&] { norm.infer(x, y); });
  expect_none_after_the_first("zero_gradients", [&] { norm.zero_gradients(); });
}

const bn::Mode all_modes[] = {bn::Mode::training, bn::Mode::inference, bn::Mode::frozen, bn::Mode::probe};

TYPED_TEST(Allocation, IsNoneInALayerInAnyMode) {
  using Scalar = bn::statistics_t<typename TypeParam::Scalar>;
  using L = typename TypeParam::Layout;
  for_each_shape<TypeParam>([](auto& t, Index channels) {
    for (const auto mode : all_modes)
      expect_none_in(bn::BatchNorm<Scalar, L, bn::leaky_relu>({.channels = channels, .mode = mode}), t);
  });
}

TEST(AllocationOfBatchRenorm, IsNoneInAnyMode) {
  using A = Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>;
  for_each_shape<A>([](auto& t, Index channels) {
    for (const auto mode : all_modes) {
      const auto expect_none = [&](const bn::Options& options, const bn::RenormSchedule& schedule) {
        expect_none_in(bn::BatchRenorm<float, bn::samples_in_rows, bn::leaky_relu>(options, schedule), t);
      };
      expect_none({.channels = channels, .mode = mode}, within(2, 1));
      expect_none({.channels = channels, .mode = mode}, {});
      expect_none({.channels = channels, .scale = false, .shift = false, .mode = mode}, within(2, 1));
    }
  });
}

// The pass before is kept until a new one is done, so that two calls have to see a number of ghosts.
TEST(AllocationOfGhostBatchNorm, IsThatOfWhatAFailureRestores) {
  using A = Arrangement<OwnedMatrix<float, Eigen::RowMajor>, bn::samples_in_rows, 1>;
  Tensors<A> t({60, 19});
  const auto &x = t.x.view(), &dy = t.dy.view();
  auto &y = t.y.view(), &dx = t.dx.view();
  for (const auto mode : all_modes) {
    for (const Index samples : {60, 30, 7}) {
      bn::GhostBatchNorm<float, bn::samples_in_rows, bn::leaky_relu> norm({.channels = 19, .mode = mode},
                                                                          {.samples = samples});
      SCOPED_TRACE(norm.describe());
      for (int call = 0; call < 2; ++call) norm.forward(x, y);
      norm.backward(x, dy, dx);
      const bool is_one = norm.saved().size() == 1;
      EXPECT_EQ(is_one, samples == 60 || mode.statistics == bn::StatisticsSource::running);
      // Running statistics and moments, and gradients: two arrays each.
      EXPECT_EQ(allocations_of([&] { norm.forward(x, y); }), is_one ? 0 : 4);
      EXPECT_EQ(allocations_of([&] { norm.backward(x, dy, dx); }), is_one ? 0 : 2);
      EXPECT_EQ(allocations_of([&] { norm.backward_from_output(y, dy, dx); }), is_one ? 0 : 2);
      EXPECT_EQ(allocations_of([&] { norm.infer(x, y); }), 0);
    }
  }
}

TYPED_TEST(Allocation, IsNoneWhereTheCallerKeepsWhatBackwardNeeds) {
  using Scalar = bn::statistics_t<typename TypeParam::Scalar>;
  using L = typename TypeParam::Layout;
  for_each_shape<TypeParam>([](auto& t, Index channels) {
    bn::BatchNorm<Scalar, L> norm({.channels = channels});
    bn::Saved<Scalar> saved;
    expect_none_after_the_first("forward", [&] { norm.forward(t.x.view(), t.y.view(), {.saved = &saved}); });
    expect_none_after_the_first("backward",
                                [&] { norm.backward(t.x.view(), t.dy.view(), t.dx.view(), {.saved = &saved}); });
  });
}

TYPED_TEST(Allocation, IsNoneInALayerWithAResidual) {
  using Scalar = bn::statistics_t<typename TypeParam::Scalar>;
  using L = typename TypeParam::Layout;
  for_each_shape<TypeParam>([](auto& t, Index channels) {
    bn::BatchNorm<Scalar, L, bn::add_relu> norm({.channels = channels});
    const auto &x = t.x.view(), &residual = t.residual.view(), &dy = t.dy.view();
    auto& y = t.y.view();
    expect_none_after_the_first("forward", [&] { norm.forward(x, residual, y); });
    expect_none_after_the_first("backward", [&] { norm.backward(x, residual, dy, t.dx.view(), t.dresidual.view()); });
    expect_none_after_the_first("infer", [&] { norm.infer(x, residual, y); });
  });
}

TYPED_TEST(Allocation, IsNoneInFunctionsWhoseStateIsReused) {
  using Scalar = bn::statistics_t<typename TypeParam::Scalar>;
  using L = typename TypeParam::Layout;
  for_each_shape<TypeParam>([](auto& t, Index channels) {
    const bn::AffineParameters<Scalar> affine(channels);
    bn::RunningStatistics running(channels);
    bn::Moments moments;
    bn::GradientSums sums;
    constexpr double epsilon = 1e-3;
    const auto &x = t.x.view(), &dy = t.dy.view();
    auto &y = t.y.view(), &dx = t.dx.view();
    expect_none_after_the_first("train_forward", [&] { bn::train_forward<L>(x, affine, epsilon, y, moments); });
    expect_none_after_the_first("batch_moments", [&] { bn::batch_moments<L>(x, moments); });
    expect_none_after_the_first("RunningStatistics::update", [&] { running.update(moments, bn::exponential(0.1)); });
    const bn::Statistics of_batch = bn::statistics(moments, epsilon), constants = bn::statistics(running, epsilon);
    expect_none_after_the_first("normalize", [&] { bn::normalize<L>(x, affine, of_batch, y); });
    expect_none_after_the_first("normalize, running", [&] { bn::normalize<L>(x, affine, constants, y); });
    expect_none_after_the_first("gradient_sums", [&] { bn::gradient_sums<L>(x, dy, affine, of_batch, sums); });
    expect_none_after_the_first("input_gradient", [&] { bn::input_gradient<L>(x, dy, affine, of_batch, sums, dx); });
  });
}

// The fused backward functions have no argument in which to keep their sums: two doubles per channel, as two arrays.
TYPED_TEST(Allocation, IsTheTwoSumsOfEachChannelInFusedBackwardFunctions) {
  using Scalar = bn::statistics_t<typename TypeParam::Scalar>;
  using L = typename TypeParam::Layout;
  for_each_shape<TypeParam>([](auto& t, Index channels) {
    const bn::AffineParameters<Scalar> affine(channels);
    const bn::RunningStatistics running(channels);
    bn::Moments moments;
    bn::Gradients<Scalar> gradients(channels);
    constexpr double epsilon = 1e-3;
    const auto &x = t.x.view(), &dy = t.dy.view();
    auto &y = t.y.view(), &dx = t.dx.view();
    bn::train_forward<L>(x, affine, epsilon, y, moments);
    const bn::Statistics of_batch = bn::statistics(moments, epsilon), constants = bn::statistics(running, epsilon);
    const auto expect_two_sums = [&](const char* name, const auto& call) {
      EXPECT_LE(allocations_of(call), 2) << name;
      // Eigen asks for up to one packet more, to align what it gets.
      EXPECT_LE(allocated_bytes, 2 * (std::size_t(channels) * sizeof(double) + 64)) << name;
    };
    expect_two_sums("backward", [&] { bn::backward<L>(x, dy, affine, of_batch, dx, gradients); });
    expect_two_sums("backward_from_output",
                    [&] { bn::backward_from_output<L>(y, dy, affine, of_batch, dx, gradients); });
    expect_two_sums("backward, constants", [&] { bn::backward<L>(x, dy, affine, constants, dx, gradients); });
  });
}

#if !defined(BATCHNORM_TEST_SANITIZED)

/// call(), in which all allocations but the first `allowed` fail. Whether there were enough.
template <class Call>
bool is_enough(int allowed, const Call& call) {
  allocations = 0;
  allowed_allocations = allowed;
  counting = true;
  bool enough = true;
  try {
    call();
  } catch (const std::bad_alloc&) {
    enough = false;
  }
  counting = false;
  allowed_allocations = std::numeric_limits<int>::max();
  return enough;
}

using Batch = Eigen::Tensor<double, 2, Eigen::RowMajor>;
using Images = Eigen::Tensor<double, 4, Eigen::RowMajor>;

template <class Tensor>
Tensor random_tensor(const Extents<std::size_t(Tensor::NumIndices)>& extents, unsigned seed) {
  Tensor tensor(extents);
  Random random(seed);
  const Index channels = extents.back();
  Eigen::Map<Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
      tensor.data(), tensor.size() / channels, channels) =
      normal_values(tensor.size() / channels, channels, random).template cast<double>();
  return tensor;
}

/// After a pass over x, one over `images` that runs out of memory at each place where it can: running statistics and
/// gradients are as before, and so is dx, or backward says that there is no pass.
template <class Layer>
void expect_nothing_by_halves(const Layer& fresh) {
  const Batch x = random_tensor<Batch>({12, 6}, 1), dy = random_tensor<Batch>({12, 6}, 2);
  const Images images = random_tensor<Images>({24, 3, 2, 6}, 3);
  Batch y, dx, other_dx, expected;
  Layer trained = fresh;
  trained.forward(x, y);
  Layer(trained).backward(x, dy, expected);
  int allowed = 0;
  for (bool enough = false; !enough; ++allowed) {
    SCOPED_TRACE(testing::Message() << "allocations " << allowed);
    Layer layer = trained;
    Images output;
    enough = is_enough(allowed, [&] { layer.forward(images, output); });
    if (enough) break;
    EXPECT_EQ(layer.running().batches, trained.running().batches);
    EXPECT_TRUE((layer.running().mean == trained.running().mean).all());
    try {
      layer.backward(x, dy, dx);
      EXPECT_TRUE(equal_bits(dx, expected));
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find("forward"), std::string::npos) << error.what();
      EXPECT_TRUE((layer.gradients().gamma == 0).all());
    }
    Layer sound = trained;
    for (Layer* next : {&layer, &sound}) {
      next->zero_gradients();
      next->forward(x, y);
      next->backward(x, dy, next == &layer ? dx : other_dx);
    }
    EXPECT_TRUE(equal_bits(dx, other_dx)) << "after the next pass";
    EXPECT_TRUE(equal_statistics(layer.gradients().gamma, sound.gradients().gamma));
  }
  EXPECT_GE(allowed, 2) << "a pass over other extents allocates";
}

TEST(OutOfMemory, LeavesALayerSound) {
  expect_nothing_by_halves(bn::BatchNorm<double, bn::channel_last, bn::relu>({.channels = 6}));
  expect_nothing_by_halves(bn::GhostBatchNorm<double, bn::channel_last>({.channels = 6}, {.samples = 4}));
  expect_nothing_by_halves(bn::BatchRenorm<double, bn::channel_last>({.channels = 6}, within(2, 1)));
  for (const auto method : {bn::WhiteningMethod::eigen, bn::WhiteningMethod::newton}) {
    expect_nothing_by_halves(
        bn::WhiteningNorm<double, bn::channel_last>({.channels = 6, .groups = 2, .method = method}));
  }
}

#endif

}  // namespace batch_norm_allocation_test
