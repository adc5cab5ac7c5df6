/// \file
/// The kernels for the elements and activations that most tests use, compiled once, in kernels_*.cpp. They are declared
/// here, and this is precompiled into the tests that have the same flags: so a test does not instantiate them again,
/// which was three quarters of its compile time. What is not listed is instantiated where it is used, as in a user's
/// program.
///
/// Macros, since nothing else lists declarations. `Linkage` is extern here, and nothing where they are compiled.
#pragma once

#include <batchnorm/batchnorm.hpp>

/// What does not know the activation.
#define BATCHNORM_TEST_MOMENTS(Linkage, Element, Weights) \
  Linkage template void batch_moments(const Device&, const ChannelView<const Element>&, Moments&, const Weights&);
#define BATCHNORM_TEST_ELEMENT(Linkage, Element)                                      \
  BATCHNORM_TEST_MOMENTS(Linkage, Element, Unweighted)                                \
  Linkage template void scale_shift(const Device&, const ChannelView<const Element>&, \
                                    const ChannelArray<statistics_t<Element>>&,       \
                                    const ChannelArray<statistics_t<Element>>&, const ChannelView<Element>&);

/// The backward pass of x, dy and as many residuals, through the forward pass that is named last.
#define BATCHNORM_TEST_BACKWARD_OF(Linkage, Element, Residuals, Weights, ...)                                         \
  Linkage template void gradient_sums(const Device&, const Views<const Element, 2 + Residuals>&, const __VA_ARGS__&,  \
                                      GradientSums&, const Weights&);                                                 \
  Linkage template void input_gradient(const Device&, const Views<const Element, 2 + Residuals>&, const __VA_ARGS__&, \
                                       const GradientSums&, const Views<Element, 1 + Residuals>&, const Weights&);    \
  Linkage template void frozen_input_gradient(const Device&, const Views<const Element, 2 + Residuals>&,              \
                                              const __VA_ARGS__&, const Views<Element, 1 + Residuals>&,               \
                                              const Weights&);                                                        \
  Linkage template void sums_and_input_gradient(const Device&, const Views<const Element, 2 + Residuals>&,            \
                                                const __VA_ARGS__&, GradientSums&,                                    \
                                                const Views<Element, 1 + Residuals>&, const Weights&);
#define BATCHNORM_TEST_BACKWARD(Linkage, Element, Residuals, ...) \
  BATCHNORM_TEST_BACKWARD_OF(Linkage, Element, Residuals, Unweighted, __VA_ARGS__)

/// The passes of training with an activation that adds as many residuals.
#define BATCHNORM_TEST_TRAINING(Linkage, Element, Residuals, Weights, Activation)                          \
  Linkage template void train_forward(const Device&, const Views<const Element, 1 + Residuals>&,           \
                                      const AffineView<statistics_t<Element>>&, double, const Activation&, \
                                      const ChannelView<Element>&, Moments&, const Weights&, Statistics*); \
  BATCHNORM_TEST_BACKWARD_OF(Linkage, Element, Residuals, Weights, Normalization<statistics_t<Element>, Activation>)

/// And that of inference.
#define BATCHNORM_TEST_ACTIVATION(Linkage, Element, Residuals, Activation)                   \
  BATCHNORM_TEST_TRAINING(Linkage, Element, Residuals, Unweighted, Activation)               \
  Linkage template void normalize(const Device&, const Views<const Element, 1 + Residuals>&, \
                                  const Normalization<statistics_t<Element>, Activation>&,   \
                                  const ChannelView<Element>&, Order);

/// The lists: one for each unit that compiles them.
#define BATCHNORM_TEST_FLOAT(Linkage)                                 \
  BATCHNORM_TEST_ELEMENT(Linkage, float)                              \
  BATCHNORM_TEST_ACTIVATION(Linkage, float, 0, activations::identity) \
  BATCHNORM_TEST_ACTIVATION(Linkage, float, 0, relu)                  \
  BATCHNORM_TEST_ACTIVATION(Linkage, float, 0, leaky_relu)
#define BATCHNORM_TEST_FLOAT_MORE(Linkage)                                           \
  BATCHNORM_TEST_ACTIVATION(Linkage, float, 0, sigmoid)                              \
  BATCHNORM_TEST_ACTIVATION(Linkage, float, 1, add_relu)                             \
  BATCHNORM_TEST_BACKWARD(Linkage, float, 0, Recovery<float, activations::identity>) \
  BATCHNORM_TEST_BACKWARD(Linkage, float, 0, Recovery<float, leaky_relu>)
#define BATCHNORM_TEST_DOUBLE(Linkage)                                 \
  BATCHNORM_TEST_ELEMENT(Linkage, double)                              \
  BATCHNORM_TEST_ACTIVATION(Linkage, double, 0, activations::identity) \
  BATCHNORM_TEST_ACTIVATION(Linkage, double, 0, relu)                  \
  BATCHNORM_TEST_ACTIVATION(Linkage, double, 0, leaky_relu)
#define BATCHNORM_TEST_DOUBLE_MORE(Linkage)                        \
  BATCHNORM_TEST_ACTIVATION(Linkage, double, 0, sigmoid)           \
  BATCHNORM_TEST_ACTIVATION(Linkage, double, 0, activations::tanh) \
  BATCHNORM_TEST_ACTIVATION(Linkage, double, 1, add_relu)          \
  BATCHNORM_TEST_BACKWARD(Linkage, double, 0, Recovery<double, leaky_relu>)
#define BATCHNORM_TEST_HALF(Linkage)                                        \
  BATCHNORM_TEST_ELEMENT(Linkage, Eigen::half)                              \
  BATCHNORM_TEST_ACTIVATION(Linkage, Eigen::half, 0, activations::identity) \
  BATCHNORM_TEST_ACTIVATION(Linkage, Eigen::half, 0, relu)                  \
  BATCHNORM_TEST_ACTIVATION(Linkage, Eigen::half, 0, leaky_relu)
#define BATCHNORM_TEST_HALF_MORE(Linkage)                                                  \
  BATCHNORM_TEST_ACTIVATION(Linkage, Eigen::half, 1, add_relu)                             \
  BATCHNORM_TEST_BACKWARD(Linkage, Eigen::half, 0, Recovery<float, activations::identity>) \
  BATCHNORM_TEST_BACKWARD(Linkage, Eigen::half, 0, Recovery<float, leaky_relu>)            \
  BATCHNORM_TEST_ELEMENT(Linkage, Eigen::bfloat16)                                         \
  BATCHNORM_TEST_ACTIVATION(Linkage, Eigen::bfloat16, 0, activations::identity)

#define BATCHNORM_TEST_WEIGHTED(Linkage)                                                    \
  BATCHNORM_TEST_MOMENTS(Linkage, float, PositionWeights<float>)                            \
  BATCHNORM_TEST_TRAINING(Linkage, float, 0, PositionWeights<float>, activations::identity) \
  BATCHNORM_TEST_TRAINING(Linkage, float, 1, PositionWeights<float>, add_relu)              \
  BATCHNORM_TEST_BACKWARD_OF(Linkage, float, 0, PositionWeights<float>, Recovery<float, leaky_relu>)
#define BATCHNORM_TEST_WEIGHTED_MORE(Linkage)                                                 \
  BATCHNORM_TEST_MOMENTS(Linkage, double, PositionWeights<double>)                            \
  BATCHNORM_TEST_TRAINING(Linkage, double, 0, PositionWeights<double>, activations::identity) \
  BATCHNORM_TEST_MOMENTS(Linkage, Eigen::half, PositionWeights<float>)                        \
  BATCHNORM_TEST_TRAINING(Linkage, Eigen::half, 0, PositionWeights<float>, activations::identity)

#ifndef BATCHNORM_TESTS_HAVE_KERNELS_OF_THEIR_OWN
namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

BATCHNORM_TEST_FLOAT(extern)
BATCHNORM_TEST_FLOAT_MORE(extern)
BATCHNORM_TEST_DOUBLE(extern)
BATCHNORM_TEST_DOUBLE_MORE(extern)
BATCHNORM_TEST_HALF(extern)
BATCHNORM_TEST_HALF_MORE(extern)
BATCHNORM_TEST_WEIGHTED(extern)
BATCHNORM_TEST_WEIGHTED_MORE(extern)

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
#endif
