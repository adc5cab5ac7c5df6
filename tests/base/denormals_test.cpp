#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>
#include <cfenv>
#include <latch>
#include <limits>
#include <stdexcept>
#include <thread>

#include "support/kernels.hpp"

namespace denormals_test {

namespace bn = batchnorm;

/// Half the least normal number, computed when it is asked for.
template <class T>
T half_of_least() {
  volatile T least = std::numeric_limits<T>::min(), half = least / 2;
  return half;
}

/// A denormal operand, in a sum whose result is normal where the operand counts.
template <class T>
bool operands_count() {
  volatile T denormal = std::numeric_limits<T>::denorm_min() * 16, large = 1 / std::numeric_limits<T>::min();
  volatile T product = denormal * large;
  return product != 0;
}

bool flushes() {
  const bool no_results = half_of_least<float>() == 0 && half_of_least<double>() == 0;
  const bool no_operands = !operands_count<float>() && !operands_count<double>();
  EXPECT_EQ(no_results, no_operands);
  return no_results && no_operands;
}

class Denormals : public testing::Test {
 protected:
  void SetUp() override {
#if !defined(__SSE2__) && !defined(__aarch64__)
    GTEST_SKIP() << "nothing is set on this machine";
#endif
  }
};

TEST_F(Denormals, AreZeroWhileTheGuardLives) {
  EXPECT_FALSE(flushes());
  {
    const bn::FlushDenormals guard;
    EXPECT_TRUE(flushes());
  }
  EXPECT_FALSE(flushes());
}

TEST_F(Denormals, GuardsNest) {
  const bn::FlushDenormals outer;
  {
    const bn::FlushDenormals inner;
    EXPECT_TRUE(flushes());
  }
  EXPECT_TRUE(flushes()) << "the inner guard found it set";
}

TEST_F(Denormals, AreBackAfterAnException) {
  EXPECT_THROW(
      {
        const bn::FlushDenormals guard;
        throw std::runtime_error("on the way out");
      },
      std::runtime_error);
  EXPECT_FALSE(flushes());
}

TEST_F(Denormals, AreZeroOnlyInTheThreadThatHasAGuard) {
  std::latch has_guard(1), was_asked(1);
  bool inside = false;
  std::thread other([&] {
    const bn::FlushDenormals guard;
    inside = flushes();
    has_guard.count_down();
    was_asked.wait();
  });
  has_guard.wait();
  EXPECT_FALSE(flushes()) << "this thread did not ask";
  was_asked.count_down();
  other.join();
  EXPECT_TRUE(inside);
}

TEST_F(Denormals, TheGuardLeavesRoundingAndExceptionFlagsAlone) {
  std::feclearexcept(FE_ALL_EXCEPT);
  {
    const bn::FlushDenormals guard;
    std::fesetround(FE_UPWARD);
    std::feraiseexcept(FE_OVERFLOW);
  }
  EXPECT_EQ(std::fegetround(), FE_UPWARD) << "set inside, and none of the guard's business";
  EXPECT_TRUE(std::fetestexcept(FE_OVERFLOW));
  std::fesetround(FE_TONEAREST);
  std::feclearexcept(FE_ALL_EXCEPT);
}

TEST_F(Denormals, AreZeroForALayerToo) {
  const Eigen::MatrixXf x = Eigen::MatrixXf::Random(64, 5) * 1e-39f;
  Eigen::MatrixXf y, dx;
  bn::BatchNorm<float> norm({.channels = 5});
  norm.affine().gamma.setConstant(3);
  norm.affine().beta.setConstant(0.25f);
  const bn::FlushDenormals guard;
  norm.forward(x, y);
  EXPECT_TRUE((y.array() == 0.25f).all());
  EXPECT_TRUE((norm.running().mean == 0).all());
  norm.backward(x, x, dx);
  EXPECT_TRUE((dx.array() == 0).all());
  norm.infer(x, y);
  EXPECT_TRUE((y.array() == 0.25f).all());
}

}  // namespace denormals_test
