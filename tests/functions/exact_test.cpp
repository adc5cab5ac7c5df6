// Data chosen so that every number of the paper's algorithm is exact in binary: the results by hand, compared with
// EXPECT_EQ.
//
// Channel c holds 8 c + 3 and 8 c - 3 in turn: mean 8 c, variance 9. With epsilon 7, inv_std is 1/4 and x_hat is 3/4
// and -3/4 in turn.
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/forward.hpp>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/kernels.hpp"
#include "support/shapes.hpp"

namespace testing_support::exact_test {

constexpr double epsilon = 7;

Real sign(Index i) { return i % 2 == 0 ? 1 : -1; }

Values table(Index count, Index channels, Real (*value)(Index i, Index c)) {
  Values values(count, channels);
  for (Index c = 0; c < channels; ++c) {
    for (Index i = 0; i < count; ++i) values(i, c) = value(i, c);
  }
  return values;
}

template <class A>
class Exact : public testing::Test {
 protected:
  using Scalar = typename A::Scalar;

  /// Counts are multiples of four, and planes of two: then also the mean of the first few values is exact, which the
  /// library may start from.
  static std::vector<Extents<A::rank>> shapes() {
    std::vector<Extents<A::rank>> result;
    if constexpr (A::rank == 2) {
      result = {{4, 5}, {12, 37}, {1028, 5}};
    } else {
      result = {{2, 5, 2, 3}, {1, 37, 4, 1}, {4, 5, 1, 1}, {4, 5, 5, 6}};
    }
    for (auto& extents : result) extents = with_channels_on(A::axis, extents);
    return result;
  }

  template <class Body>
  static void for_each_shape(const Body& body) {
    for (const auto& extents : shapes()) {
      SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
      const Index channels = extents[std::size_t(A::axis)], count = count_of(extents, A::axis);
      batchnorm::AffineParameters<Scalar> affine(channels);
      for (Index c = 0; c < channels; ++c) {
        affine.gamma[c] = Scalar(c % 2 == 0 ? 2 : -1);
        affine.beta[c] = Scalar(c) / 4;
      }
      typename A::Container x(extents);
      assign(table(count, channels, [](Index i, Index c) { return 8 * Real(c) + 3 * sign(i); }), x.view(), A::axis);
      body(extents, count, channels, affine, x);
    }
  }
};

using Arrangements = testing::Types<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, batchnorm::samples_in_rows, 1>,
                                    Arrangement<OwnedMatrix<float, Eigen::RowMajor>, batchnorm::samples_in_columns, 0>,
                                    Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, batchnorm::channel_first, 1>,
                                    Arrangement<OwnedTensor<double, 4, Eigen::RowMajor>, batchnorm::channel_last, 3>>;
TYPED_TEST_SUITE(Exact, Arrangements);

TYPED_TEST(Exact, TrainingForward) {
  using Layout = typename TypeParam::Layout;
  this->for_each_shape([](const auto& extents, Index count, Index channels, const auto& affine, auto& x) {
    typename TypeParam::Container y(extents);
    batchnorm::Moments moments;
    batchnorm::train_forward<Layout>(x.view(), affine, epsilon, y.view(), moments);
    const Values result = values_of(y.view(), TypeParam::axis);
    ASSERT_EQ(moments.count, count);
    for (Index c = 0; c < channels; ++c) {
      ASSERT_EQ(moments.mean[c], 8.0 * double(c));
      ASSERT_EQ(moments.m2[c], 9.0 * double(count));
      for (Index i = 0; i < count; ++i) ASSERT_EQ(result(i, c), sign(i) * 0.75L * (c % 2 == 0 ? 2 : -1) + Real(c) / 4);
    }
  });
}

// dy = x_hat's sign: sum dy = 0, sum dy (x - mean) = 3 m, so dx = gamma/4 (dy - (x - mean) 3/16) = gamma/4 dy 7/16.
TYPED_TEST(Exact, TrainingBackwardOfAGradientAlongX) {
  using Layout = typename TypeParam::Layout;
  using S = typename TypeParam::Scalar;
  this->for_each_shape([](const auto& extents, Index count, Index channels, const auto& affine, auto& x) {
    typename TypeParam::Container dy(extents), dx(extents);
    assign(table(count, channels, [](Index i, Index) { return sign(i); }), dy.view(), TypeParam::axis);
    batchnorm::Moments moments;
    batchnorm::Gradients<S> gradients;
    batchnorm::batch_moments<Layout>(x.view(), moments);
    batchnorm::backward<Layout>(x.view(), dy.view(), affine, batchnorm::statistics(moments, epsilon), dx.view(),
                                gradients);
    const Values result = values_of(dx.view(), TypeParam::axis);
    for (Index c = 0; c < channels; ++c) {
      ASSERT_EQ(gradients.gamma[c], S(count) * S(0.75));
      ASSERT_EQ(gradients.beta[c], S(0));
      for (Index i = 0; i < count; ++i) ASSERT_EQ(result(i, c), sign(i) * 7 / 64 * (c % 2 == 0 ? 2 : -1));
    }
  });
}

// dy = 1 + c everywhere: the mean's gradient takes all of it, dx = 0, dgamma = 0, dbeta = m (1 + c).
TYPED_TEST(Exact, TrainingBackwardOfAConstantGradient) {
  using Layout = typename TypeParam::Layout;
  using S = typename TypeParam::Scalar;
  this->for_each_shape([](const auto& extents, Index count, Index channels, const auto& affine, auto& x) {
    typename TypeParam::Container dy(extents), dx(extents);
    assign(table(count, channels, [](Index, Index c) { return Real(1 + c); }), dy.view(), TypeParam::axis);
    batchnorm::Moments moments;
    batchnorm::Gradients<S> gradients;
    batchnorm::batch_moments<Layout>(x.view(), moments);
    batchnorm::backward<Layout>(x.view(), dy.view(), affine, batchnorm::statistics(moments, epsilon), dx.view(),
                                gradients);
    EXPECT_TRUE((values_of(dx.view(), TypeParam::axis) == 0).all());
    for (Index c = 0; c < channels; ++c) {
      ASSERT_EQ(gradients.gamma[c], S(0));
      ASSERT_EQ(gradients.beta[c], S(count) * S(1 + c));
    }
  });
}

// Running mean c and variance 57: inv_std 1/8, y = gamma (x - c)/8 + beta, dx = dy gamma/8, whatever the sums.
TYPED_TEST(Exact, InferenceAndItsGradient) {
  using Layout = typename TypeParam::Layout;
  using S = typename TypeParam::Scalar;
  this->for_each_shape([](const auto& extents, Index count, Index channels, const auto& affine, auto& x) {
    typename TypeParam::Container y(extents), dx(extents);
    batchnorm::RunningStatistics running(channels);
    for (Index c = 0; c < channels; ++c) running.mean[c] = S(c);
    running.variance.setConstant(57);
    batchnorm::normalize<Layout>(x.view(), affine, batchnorm::statistics(running, epsilon), y.view());
    batchnorm::Gradients<S> gradients;
    batchnorm::backward<Layout>(x.view(), x.view(), affine, batchnorm::statistics(running, epsilon), dx.view(),
                                gradients);
    const Values result = values_of(y.view(), TypeParam::axis), gradient = values_of(dx.view(), TypeParam::axis);
    batchnorm::input_gradient<Layout>(x.view(), x.view(), affine, batchnorm::statistics(running, epsilon), {},
                                      dx.view());
    ASSERT_TRUE((values_of(dx.view(), TypeParam::axis) == gradient).all());
    for (Index c = 0; c < channels; ++c) {
      const Real gamma = c % 2 == 0 ? 2 : -1;
      ASSERT_EQ(gradients.beta[c], S(count) * S(8 * c));
      for (Index i = 0; i < count; ++i) {
        const Real value = 8 * Real(c) + 3 * sign(i);
        ASSERT_EQ(result(i, c), gamma * (value - Real(c)) / 8 + Real(c) / 4);
        ASSERT_EQ(gradient(i, c), gamma * value / 8);
      }
    }
  });
}

}  // namespace testing_support::exact_test
