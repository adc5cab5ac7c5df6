/// \file
/// The forward pass as functions with explicit state: fused, and in halves between which statistics can be merged.
#pragma once

#include <batchnorm/functions/statistics.hpp>
#include <batchnorm/kernels/normalize.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

namespace detail {

template <class Layout, class Scalar, class Options, class Y, class... Xs>
void run_train_forward(const AffineParameters<Scalar>& affine, double epsilon, Moments& moments, const Options& options,
                       const Named<Y>& y, const Named<Xs>&... xs) {
  const Call<Layout> call{"train_forward"};
  const auto in = call.inputs(xs...);
  with_weights<Scalar>(call, options, in[0], [&](const auto& weights) {
    call.check_not_empty(in[0], weights.total(in[0].view));
    call.check_affine(affine, in[0].view.channels);
    check_epsilon<Scalar>(call.name, epsilon);
    const auto out = call.output(y, in);
    train_forward(options.device, views(in), AffineView<Scalar>{affine}, epsilon, options.activation, out.view, moments,
                  weights);
  });
}

template <class Layout, class Options, class X>
void run_batch_moments(const Named<X>& x, Moments& moments, const Options& options) {
  const Call<Layout> call{"batch_moments"};
  const auto in = call.inputs(x)[0];
  with_weights<statistics_t<scalar_t<X>>>(
      call, options, in, [&](const auto& weights) { batch_moments(options.device, in.view, moments, weights); });
}

template <class Layout, class Activation, class Scalar, class Y, class... Xs>
void run_normalize(const AffineParameters<Scalar>& affine, const Statistics& statistics,
                   const FusedOptions<Activation>& options, const Named<Y>& y, const Named<Xs>&... xs) {
  const Call<Layout> call{"normalize"};
  const auto in = call.inputs(statistics.channels(), xs...);
  call.check_statistics(statistics, in[0].view.channels);
  call.check_affine(affine, in[0].view.channels);
  const auto out = call.output(y, in);
  normalize(options.device, views(in), Normalization<Scalar, Activation>{statistics, affine, options.activation},
            out.view);
}

}  // namespace detail

/// Normalizes a batch with its own statistics and applies the affine transform.
///
///   mean_c     = (1/m) sum_i x_ci                                  m = count, the values per channel
///   variance_c = (1/m) sum_i (x_ci - mean_c)^2                     biased
///   y_ci       = activation(gamma_c (x_ci - mean_c) / sqrt(variance_c + epsilon) + beta_c)
///
/// Source   Ioffe & Szegedy 2015, "Batch Normalization", arXiv:1502.03167, Algorithm 1.
/// Shapes   x, y: the same extents, rank >= 2; gamma, beta: [C] or empty
/// Units    epsilon: those of x squared
/// Aliasing y may be x; backward then needs a copy of the original x
/// State    `moments` become those of x: for statistics(), and for RunningStatistics::update
/// Cost     reads x twice and writes y once; the second reading of planes that fit in cache does not reach main memory
/// Throws   std::invalid_argument if extents or sizes differ, if x is empty, if y overlaps a part of x, or if epsilon
///          is not positive, or so small that 1 / sqrt(epsilon) is no Scalar
/// Threads  safe if no two calls write the same y or moments; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class Activation = activations::identity, class X, class Scalar, class Y>
void train_forward(const X& x, const AffineParameters<Scalar>& affine, double epsilon, Y&& y, Moments& moments,
                   const FusedOptions<Activation>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<X>(), detail::Writes<Y>())) {
    detail::run_train_forward<Layout>(affine, epsilon, moments, options, detail::Named{"y", y}, detail::Named{"x", x});
  }
}
/// The same where values count by their weights; mean, variance and count are as Weights has them.
///
/// Cost     allocates a Scalar for each position, as all calls with weights
/// Throws   std::invalid_argument also if weights have other extents, if one is negative or not finite, or if all are 0
template <class Layout = samples_in_rows, class Activation = activations::identity, class X, class Scalar, class Y>
void train_forward(const X& x, const AffineParameters<Scalar>& affine, double epsilon, Y&& y, Moments& moments,
                   const WeightedFusedOptions<Activation>& options) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<X>(), detail::Writes<Y>())) {
    detail::run_train_forward<Layout>(affine, epsilon, moments, options, detail::Named{"y", y}, detail::Named{"x", x});
  }
}

/// train_forward with a residual that is added before the activation, as at the end of a residual block.
///
///   y = activation(gamma (x - mean) / sqrt(variance + epsilon) + beta, residual)        add_relu: max(... + residual,
///   0)
///
/// Source   He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, figure 2.
/// Shapes   x, residual, y: the same extents, rank >= 2; gamma, beta: [C] or empty
/// Units    epsilon: those of x squared
/// Aliasing y may be x or residual
/// State    `moments` become those of x
/// Cost     reads x twice and the residual once, writes y once
/// Throws   std::invalid_argument if extents or sizes differ, if x is empty, if y overlaps a part of x or the residual,
///          or if epsilon is not positive
/// Threads  safe if no two calls write the same y or moments; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class Activation = add_relu, class X, class R, class Scalar, class Y>
void train_forward(const X& x, const R& residual, const AffineParameters<Scalar>& affine, double epsilon, Y&& y,
                   Moments& moments, const FusedOptions<Activation>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 1>(detail::Reads<X, R>(), detail::Writes<Y>())) {
    detail::run_train_forward<Layout>(affine, epsilon, moments, options, detail::Named{"y", y}, detail::Named{"x", x},
                                      detail::Named{"residual", residual});
  }
}
/// The same where values count by their weights.
template <class Layout = samples_in_rows, class Activation = add_relu, class X, class R, class Scalar, class Y>
void train_forward(const X& x, const R& residual, const AffineParameters<Scalar>& affine, double epsilon, Y&& y,
                   Moments& moments, const WeightedFusedOptions<Activation>& options) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 1>(detail::Reads<X, R>(), detail::Writes<Y>())) {
    detail::run_train_forward<Layout>(affine, epsilon, moments, options, detail::Named{"y", y}, detail::Named{"x", x},
                                      detail::Named{"residual", residual});
  }
}

/// The first half of train_forward: the moments of a batch, or of a part of one. An empty x has moments of count 0.
///
///   mean_c = (1/count) sum_i x_ci        m2_c = sum_i (x_ci - mean_c)^2
///
/// Shapes   x: rank >= 2
/// State    `moments` become those of x
/// Cost     reads x once
/// Throws   std::invalid_argument if x has an inner stride
/// Threads  safe if no two calls write the same moments; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class X>
void batch_moments(const X& x, Moments& moments, const CallOptions& options = {}) {
  if constexpr (detail::accepts<Layout>(detail::Reads<X>())) {
    detail::run_batch_moments<Layout>(detail::Named{"x", x}, moments, options);
  }
}
/// The same where values count by their weights: count = sum_i w_i, and so on. Without a weight above 0 that is 0.
///
/// Throws   std::invalid_argument also if weights have other extents, or if one is negative or not finite
template <class Layout = samples_in_rows, class X>
void batch_moments(const X& x, Moments& moments, const WeightedCallOptions& options) {
  if constexpr (detail::accepts<Layout>(detail::Reads<X>())) {
    detail::run_batch_moments<Layout>(detail::Named{"x", x}, moments, options);
  }
}

/// The second half of train_forward, and inference: normalizes with given statistics. An empty x is a no-op.
///
///   y = activation(gamma (x - mean) inv_std + beta)
///
/// Centered, so that large |mean| / std costs no digits.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 1, and Algorithm 2, step 11.
/// Shapes   x, y: the same extents, rank >= 2; gamma, beta: [C] or empty; statistics: [C]
/// Aliasing y may be x
/// Cost     reads x once and writes y once
/// Throws   std::invalid_argument if extents or sizes differ, or if y overlaps a part of x
/// Threads  safe if no two calls write the same y; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class Activation = activations::identity, class X, class Scalar, class Y>
void normalize(const X& x, const AffineParameters<Scalar>& affine, const Statistics& statistics, Y&& y,
               const FusedOptions<Activation>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<X>(), detail::Writes<Y>())) {
    detail::run_normalize<Layout>(affine, statistics, options, detail::Named{"y", y}, detail::Named{"x", x});
  }
}

/// normalize with a residual that is added before the activation.
///
///   y = activation(gamma (x - mean) inv_std + beta, residual)
///
/// Shapes   x, residual, y: the same extents, rank >= 2; gamma, beta: [C] or empty; statistics: [C]
/// Aliasing y may be x or residual
/// Cost     reads x and the residual once, writes y once
/// Throws   std::invalid_argument if extents or sizes differ, or if y overlaps a part of x or the residual
/// Threads  safe if no two calls write the same y; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class Activation = add_relu, class X, class R, class Scalar, class Y>
void normalize(const X& x, const R& residual, const AffineParameters<Scalar>& affine, const Statistics& statistics,
               Y&& y, const FusedOptions<Activation>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 1>(detail::Reads<X, R>(), detail::Writes<Y>())) {
    detail::run_normalize<Layout>(affine, statistics, options, detail::Named{"y", y}, detail::Named{"x", x},
                                  detail::Named{"residual", residual});
  }
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
