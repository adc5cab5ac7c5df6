// Several ways to the same result, and to the same bits: fused and in halves, in place and out of place, at any
// address.
#include <gtest/gtest.h>

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/fold.hpp>
#include <batchnorm/functions/forward.hpp>
#include <cstdint>
#include <limits>
#include <unsupported/Eigen/CXX11/Tensor>
#include <vector>

#include "support/compare.hpp"
#include "support/containers.hpp"
#include "support/kernels.hpp"
#include "support/shapes.hpp"

namespace testing_support::same_bits_test {

template <class Arrangement_, class Activation_>
struct Case {
  using A = Arrangement_;
  using Activation = Activation_;
};

constexpr double epsilon = 1e-3;

template <class C>
class SameBits : public testing::Test {
 protected:
  using A = typename C::A;
  using Layout = typename A::Layout;
  using Container = typename A::Container;
  using Scalar = typename A::Scalar;

  /// Small shapes, and one beyond the kernels' chunks.
  static std::vector<Extents<A::rank>> shapes() {
    std::vector<Extents<A::rank>> result;
    if constexpr (A::rank == 2) {
      result = {{7, 5}, {60, 100}, {1031, 9}, {3, 1100}};
    } else {
      result = {{2, 3, 5, 1}, {3, 17, 4, 4}, {2, 3, 97, 89}};
    }
    for (auto& extents : result) extents = with_channels_on(A::axis, extents);
    return result;
  }

  struct Data {
    Container x, dy;
    batchnorm::AffineParameters<Scalar> affine;
    batchnorm::RunningStatistics running;

    Data(const Extents<A::rank>& extents, std::uint64_t seed)
        : x(extents), dy(extents), affine(channels(extents)), running(channels(extents)) {
      Random random(seed);
      assign(random_values(count_of(extents, A::axis), channels(extents), random), x.view(), A::axis);
      assign(normal_values(count_of(extents, A::axis), channels(extents), random), dy.view(), A::axis);
      affine.gamma = random_per_channel(channels(extents), -1.5, 1.5, random).template cast<Scalar>();
      affine.beta = random_per_channel(channels(extents), -1, 1, random).template cast<Scalar>();
      running.mean = random_per_channel(channels(extents), -2, 2, random).template cast<double>();
      running.variance = random_per_channel(channels(extents), 0.5, 4, random).template cast<double>();
    }
    static Index channels(const Extents<A::rank>& extents) { return extents[std::size_t(A::axis)]; }
  };

  struct Result {
    Container y, dx;
    batchnorm::Moments moments;
    batchnorm::Gradients<Scalar> gradients;

    explicit Result(const Extents<A::rank>& extents) : y(extents), dx(extents) {}
  };

  static Result fused(const Extents<A::rank>& extents, Data& data) {
    Result result(extents);
    batchnorm::train_forward<Layout, typename C::Activation>(data.x.view(), data.affine, epsilon, result.y.view(),
                                                             result.moments);
    batchnorm::backward<Layout, typename C::Activation>(data.x.view(), data.dy.view(), data.affine,
                                                        batchnorm::statistics(result.moments, epsilon),
                                                        result.dx.view(), result.gradients);
    return result;
  }

  template <class Body>
  static void for_each_shape(const Body& body) {
    for (const auto& extents : shapes()) {
      SCOPED_TRACE(testing::Message() << "extents " << testing::PrintToString(extents));
      Data data(extents, 21);
      body(extents, data);
    }
  }
};

using Cases = testing::Types<
    Case<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, batchnorm::samples_in_rows, 1>, batchnorm::relu>,
    Case<Arrangement<OwnedMatrix<double, Eigen::ColMajor>, batchnorm::samples_in_rows, 1>,
         batchnorm::activations::identity>,
    Case<Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, batchnorm::channel_first, 1>, batchnorm::relu>,
    Case<Arrangement<BlockOfMatrix<float, Eigen::RowMajor>, batchnorm::samples_in_rows, 1>,
         batchnorm::activations::identity>,
    Case<Arrangement<OwnedMatrix<float, Eigen::RowMajor>, batchnorm::samples_in_rows, 1>, batchnorm::sigmoid>,
    Case<Arrangement<OwnedTensor<float, 4, Eigen::RowMajor>, batchnorm::channel_first, 1>, batchnorm::leaky_relu>>;
TYPED_TEST_SUITE(SameBits, Cases);

TYPED_TEST(SameBits, FusedAndInHalves) {
  using L = typename TestFixture::A::Layout;
  using S = typename TestFixture::A::Scalar;
  using Activation = typename TypeParam::Activation;
  const Activation activation;
  this->for_each_shape([&](const auto& extents, auto& data) {
    auto expected = this->fused(extents, data);
    typename TypeParam::A::Container y(extents), dx(extents);
    batchnorm::Moments moments;
    batchnorm::batch_moments<L>(data.x.view(), moments);
    batchnorm::normalize<L, Activation>(data.x.view(), data.affine, batchnorm::statistics(moments, epsilon), y.view(),
                                        {.activation = activation});
    batchnorm::GradientSums sums;
    batchnorm::gradient_sums<L, Activation>(data.x.view(), data.dy.view(), data.affine,
                                            batchnorm::statistics(moments, epsilon), sums, {.activation = activation});
    batchnorm::input_gradient<L, Activation>(data.x.view(), data.dy.view(), data.affine,
                                             batchnorm::statistics(moments, epsilon), sums, dx.view(),
                                             {.activation = activation});
    EXPECT_EQ(moments.count, expected.moments.count);
    EXPECT_TRUE(equal_statistics(moments.mean, expected.moments.mean));
    EXPECT_TRUE(equal_statistics(moments.m2, expected.moments.m2));
    EXPECT_TRUE(equal_bits(y.view(), expected.y.view()));
    EXPECT_TRUE(equal_bits(dx.view(), expected.dx.view()));
    EXPECT_TRUE(equal_statistics(expected.gradients.beta, sums.dy.template cast<S>().eval()));
  });
}

TYPED_TEST(SameBits, ForwardInPlaceAndOutOfPlace) {
  using L = typename TestFixture::A::Layout;
  using Activation = typename TypeParam::Activation;
  const Activation activation;
  this->for_each_shape([&](const auto& extents, auto& data) {
    auto expected = this->fused(extents, data);
    auto x = data.x;
    batchnorm::Moments moments;
    batchnorm::train_forward<L, Activation>(x.view(), data.affine, epsilon, x.view(), moments,
                                            {.activation = activation});
    EXPECT_TRUE(equal_bits(x.view(), expected.y.view()));
    EXPECT_TRUE(equal_statistics(moments.m2, expected.moments.m2));

    batchnorm::normalize<L, Activation>(data.x.view(), data.affine, batchnorm::statistics(data.running, epsilon),
                                        expected.y.view(), {.activation = activation});
    x = data.x;
    batchnorm::normalize<L, Activation>(x.view(), data.affine, batchnorm::statistics(data.running, epsilon), x.view(),
                                        {.activation = activation});
    EXPECT_TRUE(equal_bits(x.view(), expected.y.view()));
    EXPECT_TRUE(x.untouched());
  });
}

TYPED_TEST(SameBits, BackwardOverDyOverXAndOutOfPlace) {
  using L = typename TestFixture::A::Layout;
  using S = typename TestFixture::A::Scalar;
  using Activation = typename TypeParam::Activation;
  const Activation activation;
  this->for_each_shape([&](const auto& extents, auto& data) {
    auto expected = this->fused(extents, data);
    const auto& moments = expected.moments;
    batchnorm::Gradients<S> gradients;
    auto dy = data.dy;
    batchnorm::backward<L, Activation>(data.x.view(), dy.view(), data.affine, batchnorm::statistics(moments, epsilon),
                                       dy.view(), gradients, {.activation = activation});
    EXPECT_TRUE(equal_bits(dy.view(), expected.dx.view()));
    EXPECT_TRUE(equal_statistics(gradients.gamma, expected.gradients.gamma));
    auto x = data.x;
    batchnorm::backward<L, Activation>(x.view(), data.dy.view(), data.affine, batchnorm::statistics(moments, epsilon),
                                       x.view(), gradients, {.activation = activation});
    EXPECT_TRUE(equal_bits(x.view(), expected.dx.view()));

    batchnorm::Gradients<S> frozen;
    batchnorm::backward<L, Activation>(data.x.view(), data.dy.view(), data.affine,
                                       batchnorm::statistics(data.running, epsilon), expected.dx.view(), frozen,
                                       {.activation = activation});
    dy = data.dy;
    x = data.x;
    batchnorm::backward<L, Activation>(data.x.view(), dy.view(), data.affine,
                                       batchnorm::statistics(data.running, epsilon), dy.view(), frozen,
                                       {.activation = activation});
    batchnorm::backward<L, Activation>(x.view(), data.dy.view(), data.affine,
                                       batchnorm::statistics(data.running, epsilon), x.view(), frozen,
                                       {.activation = activation});
    EXPECT_TRUE(equal_bits(dy.view(), expected.dx.view()));
    EXPECT_TRUE(equal_bits(x.view(), expected.dx.view()));
    EXPECT_TRUE(dy.untouched() && x.untouched());
  });
}

// What stands in y and dx before the call must not matter, not even NaN.
TYPED_TEST(SameBits, WhateverTheOutputsHeld) {
  using L = typename TestFixture::A::Layout;
  using Activation = typename TypeParam::Activation;
  const Activation activation;
  this->for_each_shape([&](const auto& extents, auto& data) {
    auto expected = this->fused(extents, data);
    auto again = this->fused(extents, data);
    const Values garbage =
        Values::Constant(count_of(extents, TypeParam::A::axis), extents[std::size_t(TypeParam::A::axis)],
                         std::numeric_limits<Real>::quiet_NaN());
    assign(garbage, again.y.view(), TypeParam::A::axis);
    assign(garbage, again.dx.view(), TypeParam::A::axis);
    again.moments.mean.setConstant(std::numeric_limits<double>::quiet_NaN());
    again.gradients.zero();
    batchnorm::train_forward<L, Activation>(data.x.view(), data.affine, epsilon, again.y.view(), again.moments,
                                            {.activation = activation});
    batchnorm::backward<L, Activation>(data.x.view(), data.dy.view(), data.affine,
                                       batchnorm::statistics(again.moments, epsilon), again.dx.view(), again.gradients,
                                       {.activation = activation});
    EXPECT_TRUE(equal_bits(again.y.view(), expected.y.view()));
    EXPECT_TRUE(equal_bits(again.dx.view(), expected.dx.view()));
    EXPECT_TRUE(equal_statistics(again.gradients.gamma, expected.gradients.gamma));
  });
}

TYPED_TEST(SameBits, NoAffineAndAnAffineOfOnesAndZeros) {
  using S = typename TestFixture::A::Scalar;
  this->for_each_shape([&](const auto& extents, auto& data) {
    data.affine = batchnorm::AffineParameters<S>(data.affine.gamma.size());
    auto expected = this->fused(extents, data);
    data.affine = batchnorm::AffineParameters<S>();
    auto without = this->fused(extents, data);
    EXPECT_TRUE(equal_bits(without.y.view(), expected.y.view()));
    EXPECT_TRUE(equal_bits(without.dx.view(), expected.dx.view()));
    EXPECT_EQ(without.gradients.gamma.size(), 0);
    EXPECT_EQ(without.gradients.beta.size(), 0);
  });
}

}  // namespace testing_support::same_bits_test
