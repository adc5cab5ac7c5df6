// An activation that throws: the exception comes out of the call, whichever thread met it, and no state has changed.
#define EIGEN_USE_THREADS
#include <gtest/gtest.h>

#include <atomic>
#include <batchnorm/layers/batch_norm.hpp>
#include <memory>
#include <stdexcept>
#include <unsupported/Eigen/CXX11/Tensor>

#include "support/compare.hpp"
#include "support/kernels.hpp"
#include "support/state.hpp"

namespace batch_norm_throwing_test {

namespace bn = batchnorm;
using testing_support::equal_bits;
using testing_support::equal_state;

struct refused_value : std::runtime_error {
  refused_value() : std::runtime_error("a value that the activation refuses") {}
};

/// The identity until it is armed; then it throws at the packet after `calls_left` more.
struct fragile {
  std::shared_ptr<std::atomic<int>> calls_left = std::make_shared<std::atomic<int>>(-1);

  void touch() const {
    if (*calls_left >= 0 && --*calls_left < 0) {
      *calls_left = 0;
      throw refused_value();
    }
  }
  template <class Scalar>
  bn::Packet<Scalar> forward(const bn::Packet<Scalar>& z) const {
    touch();
    return z;
  }
  template <class Scalar>
  bn::Packet<Scalar> backward(const bn::Packet<Scalar>&, const bn::Packet<Scalar>& dy) const {
    touch();
    return dy;
  }
  static std::string name() { return "fragile"; }
};

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Layer = bn::BatchNorm<float, bn::samples_in_rows, fragile>;

/// Forward, backward and infer on a device, each throwing early, in the midst and when it is armed from the start; then
/// the same layer and device as if nothing had been.
template <class Device, class AnyMatrix>
void check(const Device& device, const AnyMatrix& x) {
  const AnyMatrix other = x.reverse();
  const fragile activation;
  Layer layer({.channels = x.cols()}, activation), untouched({.channels = x.cols()});
  AnyMatrix y(x.rows(), x.cols()), dx(x.rows(), x.cols()), expected(x.rows(), x.cols());
  layer.forward(x, y, {.device = device});
  layer.backward(x, other, dx, {.device = device});
  untouched.forward(x, expected, {.device = device});
  untouched.backward(x, other, expected, {.device = device});
  EXPECT_TRUE(equal_bits(dx, expected));
  const Layer before = layer;

  for (const int calls : {0, 1, 1000}) {
    *activation.calls_left = calls;
    EXPECT_THROW(layer.forward(other, y, {.device = device}), refused_value);
    EXPECT_TRUE(equal_state(layer, before));
    *activation.calls_left = calls;
    EXPECT_THROW(layer.backward(x, other, dx, {.device = device}), refused_value);
    EXPECT_TRUE(equal_state(layer, before));
    *activation.calls_left = calls;
    EXPECT_THROW(layer.infer(x, y, {.device = device}), refused_value);
    EXPECT_TRUE(equal_state(layer, before));
  }

  *activation.calls_left = -1;
  layer.backward(x, other, dx, {.device = device});
  untouched.backward(x, other, expected, {.device = device});
  EXPECT_TRUE(equal_bits(dx, expected));
  layer.forward(other, y, {.device = device});
  untouched.forward(other, expected, {.device = device});
  EXPECT_TRUE(equal_bits(y, expected));
  EXPECT_TRUE(equal_state(layer, untouched));
}

/// A matrix of 16 MiB: enough for four threads.
template <class AnyMatrix>
AnyMatrix large() {
  return AnyMatrix::Random(1 << 15, 128);
}

TEST(AnActivationThatThrows, IsCaughtByTheCaller) {
  check(Eigen::DefaultDevice(), Matrix(Matrix::Random(6000, 100)));
  check(Eigen::DefaultDevice(), Eigen::MatrixXf(Eigen::MatrixXf::Random(6000, 100)));
}

TEST(AnActivationThatThrows, IsCaughtByTheCallerFromThreadsOfAPool) {
  Eigen::ThreadPool pool(4);
  const Eigen::ThreadPoolDevice device(&pool, 4);
  check(device, large<Matrix>());
  check(device, large<Eigen::MatrixXf>());
}

TEST(AnActivationThatThrows, IsCaughtByATaskOfTheSamePool) {
  Eigen::ThreadPool pool(1);
  const Eigen::ThreadPoolDevice device(&pool, 4);
  const Matrix x = large<Matrix>();
  Eigen::Notification done;
  pool.Schedule([&] {
    check(device, x);
    done.Notify();
  });
  done.Wait();
}

}  // namespace batch_norm_throwing_test
