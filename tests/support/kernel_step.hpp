/// \file
/// The kernels themselves on a table of values, laid out as outer x channels x inner: what a training step gives.
#pragma once

#include <batchnorm/kernels/backward.hpp>
#include <batchnorm/kernels/normalize.hpp>
#include <vector>

#include "reference.hpp"

namespace testing_support {

/// A table of values laid out in memory.
template <class Element>
struct LaidOut {
  std::vector<Element> memory;
  Index outer, channels, inner;

  LaidOut(const Values& values, Index inner_)
      : memory(std::size_t(values.size())), outer(values.rows() / inner_), channels(values.cols()), inner(inner_) {
    for (Index row = 0; row < values.rows(); ++row) {
      for (Index c = 0; c < channels; ++c) at(row, c) = static_cast<Element>(values(row, c));
    }
  }

  Element& at(Index row, Index c) { return memory[std::size_t(((row / inner) * channels + c) * inner + row % inner)]; }
  batchnorm::ChannelView<Element> view() { return {memory.data(), outer, channels, inner, channels * inner, inner}; }
  Values values() {
    Values result(outer * inner, channels);
    for (Index row = 0; row < result.rows(); ++row) {
      for (Index c = 0; c < channels; ++c) result(row, c) = Real(at(row, c));
    }
    return result;
  }
};

/// Forward and backward on the values of a batch.
template <class Element, class Activation = batchnorm::activations::identity>
struct KernelStep {
  using Scalar = batchnorm::statistics_t<Element>;
  using View = batchnorm::ChannelView<const Element>;

  batchnorm::AffineParameters<Scalar> affine;
  batchnorm::Moments moments;
  batchnorm::GradientSums sums;
  batchnorm::Gradients<Scalar> gradients;
  Values y, dx;

  KernelStep(const Values& x_values, const Values& dy_values, Index inner, double epsilon,
             const batchnorm::AffineParameters<Scalar>& parameters = {}, const Activation& activation = {})
      : affine(parameters) {
    namespace detail = batchnorm::detail;
    LaidOut<Element> x(x_values, inner), dy(dy_values, inner), out(x_values, inner);
    gradients = batchnorm::Gradients<Scalar>(x_values.cols());
    const batchnorm::Device device;
    const std::array<View, 1> input{x.view()};
    const std::array<View, 2> inputs{x.view(), dy.view()};
    detail::train_forward(device, input, detail::AffineView<Scalar>(affine), epsilon, activation, out.view(), moments);
    y = out.values();
    const detail::Normalization<Scalar, Activation> forward{{moments, moments.count, epsilon}, affine, activation};
    detail::backward(device, inputs, forward, sums, &gradients, std::array{out.view()});
    dx = out.values();
  }
};

/// Counts and inner extents for every regime: rows, planes that are walked as rows, planes, long ones, many short ones.
struct Regime {
  Index count, inner;
};
inline constexpr Regime regimes[] = {{512, 1},     {5 * 128, 1}, {20 * 16, 16}, {17 * 51, 51},  {3 * 700, 700},
                                     {8192, 8192}, {1024, 1024}, {4 * 68, 68},  {40 * 100, 100}};

}  // namespace testing_support
