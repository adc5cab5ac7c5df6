// Central differences of forward against backward: every mode, every kind of layout, with and without a fused
// activation.
#include <gtest/gtest.h>

#include <batchnorm/batchnorm.hpp>

#include "support/containers.hpp"
#include "support/gradient_check.hpp"
#include "support/kernels.hpp"

namespace batch_norm_gradient_test {

namespace bn = batchnorm;
using testing_support::Arrangement;
using testing_support::Extents;
using testing_support::is_gradient;
using testing_support::OwnedMatrix;
using testing_support::OwnedTensor;

template <class Arrangement_, class Activation_>
struct Case {
  using A = Arrangement_;
  using Activation = Activation_;
};

/// Small, every extent another: four channels, or five.
template <class A>
Extents<A::rank> extents() {
  Extents<A::rank> result{};
  if constexpr (A::rank == 2) {
    result = {7, 4};
    if (A::axis == 0) std::swap(result[0], result[1]);
  } else {
    result = {2, 3, 1, 5};
    result[std::size_t(A::axis)] = 4;
  }
  return result;
}

template <class C>
class BatchNormGradient : public testing::Test {
 protected:
  using A = typename C::A;
  using Container = typename A::Container;
  using Layer = bn::BatchNorm<double, typename A::Layout, typename C::Activation>;
  using Tensor = std::remove_reference_t<decltype(std::declval<Container&>().view())>;

  static Layer make_layer(bn::Mode mode) {
    testing_support::Random random(11);
    Layer layer({.channels = 4, .epsilon = 0.01, .mode = mode});
    for (auto* values :
         {&layer.affine().gamma, &layer.affine().beta, &layer.running().mean, &layer.running().variance}) {
      *values = testing_support::random_per_channel(4, 0.5, 1.5, random).template cast<double>();
    }
    layer.affine().gamma[1] = -0.8;
    layer.affine().beta[2] = -0.6;
    return layer;
  }

  static Tensor make_tensor(std::uint64_t seed) {
    testing_support::Random random(seed);
    Container container(extents<A>());
    testing_support::assign(testing_support::normal_values(testing_support::count_of(extents<A>(), A::axis), 4, random),
                            container.view(), A::axis);
    return container.view();
  }

  /// A kink of the activation within reach of the difference step would make the differences meaningless.
  static void expect_no_kink_near(const Layer& layer, const Tensor& x) {
    if constexpr (std::same_as<typename C::Activation, bn::relu> ||
                  std::same_as<typename C::Activation, bn::leaky_relu>) {
      bn::BatchNorm<double, typename A::Layout> linear({.channels = 4, .epsilon = 0.01, .mode = layer.mode()});
      linear.affine() = layer.affine();
      linear.running() = layer.running();
      Tensor z = x;
      linear.forward(x, z);
      const auto values = testing_support::values_of(z, A::axis);
      ASSERT_GT(values.abs().minCoeff(), 1e-3) << "choose another seed";
      ASSERT_TRUE((values > 0).any() && (values < 0).any());
    }
  }

  static void check(bn::Mode mode) {
    SCOPED_TRACE(testing::Message() << "mode " << mode);
    Layer layer = make_layer(mode);
    Tensor x = make_tensor(5), y = x, dx = x;
    const Tensor cotangent = make_tensor(6);
    expect_no_kink_near(layer, x);
    layer.forward(x, y);
    layer.backward(x, cotangent, dx);

    // Every evaluation starts from the layer as it was: forward may change its running statistics.
    const Layer start = make_layer(mode);
    auto affine = start.affine();
    const auto loss = [&] {
      Layer fresh = start;
      fresh.affine() = affine;
      Tensor result = x;
      fresh.forward(x, result);
      return testing_support::projection(result, cotangent);
    };
    EXPECT_TRUE(is_gradient(dx, x, loss)) << "dx";
    if (mode.parameter_gradients) {
      EXPECT_TRUE(is_gradient(layer.gradients().gamma, affine.gamma, loss)) << "dgamma";
      EXPECT_TRUE(is_gradient(layer.gradients().beta, affine.beta, loss)) << "dbeta";
    } else {
      EXPECT_TRUE((layer.gradients().gamma == 0).all() && (layer.gradients().beta == 0).all());
    }
  }
};

using Cases = testing::Types<
    Case<Arrangement<OwnedMatrix<double, Eigen::RowMajor>, bn::samples_in_rows, 1>, bn::activations::identity>,
    Case<Arrangement<OwnedMatrix<double, Eigen::ColMajor>, bn::samples_in_rows, 1>, bn::relu>,
    Case<Arrangement<OwnedMatrix<double, Eigen::ColMajor>, bn::samples_in_columns, 0>, bn::relu>,
    Case<Arrangement<OwnedTensor<double, 4, Eigen::RowMajor>, bn::channel_first, 1>, bn::activations::identity>,
    Case<Arrangement<OwnedTensor<double, 4, Eigen::RowMajor>, bn::channel_last, 3>, bn::relu>,
    Case<Arrangement<OwnedMatrix<double, Eigen::RowMajor>, bn::samples_in_rows, 1>, bn::leaky_relu>,
    Case<Arrangement<OwnedMatrix<double, Eigen::RowMajor>, bn::samples_in_rows, 1>, bn::sigmoid>,
    Case<Arrangement<OwnedTensor<double, 4, Eigen::RowMajor>, bn::channel_first, 1>, bn::activations::tanh>,
    Case<Arrangement<OwnedTensor<double, 4, Eigen::ColMajor>, bn::channel_axis<2>, 2>, bn::activations::identity>>;
TYPED_TEST_SUITE(BatchNormGradient, Cases);

TYPED_TEST(BatchNormGradient, IsThatOfForwardInTraining) { this->check(bn::Mode::training); }
TYPED_TEST(BatchNormGradient, IsThatOfForwardInInference) { this->check(bn::Mode::inference); }
TYPED_TEST(BatchNormGradient, IsThatOfForwardWhenFrozen) { this->check(bn::Mode::frozen); }
TYPED_TEST(BatchNormGradient, IsThatOfForwardWhenProbing) { this->check(bn::Mode::probe); }

}  // namespace batch_norm_gradient_test
