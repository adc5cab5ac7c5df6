/// \file
/// The forward pass as functions with explicit state: fused, and in halves between which statistics can be merged.
#pragma once

#include <batchnorm/base/device.hpp>
#include <batchnorm/core/arguments.hpp>
#include <batchnorm/kernels/normalize.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// Normalizes a batch with its own statistics and applies the affine transform.
///
///   mean_c     = (1/m) sum_i x_ci                                  m = count, the values per channel
///   variance_c = (1/m) sum_i (x_ci - mean_c)^2                     biased
///   y_ci       = activation(gamma_c (x_ci - mean_c) / sqrt(variance_c + epsilon) + beta_c)
///
/// Source   Ioffe & Szegedy 2015, "Batch Normalization", arXiv:1502.03167, Algorithm 1.
/// Shapes   x, y: the same extents, rank >= 2; gamma, beta: [C] or empty
/// Units    epsilon: those of x squared
/// Aliasing y may be x; train_backward then needs a copy of the original x
/// State    none; hand the moments to RunningStatistics::update
/// Cost     reads x twice and writes y once; the second reading of planes that fit in cache does not reach main memory
/// Throws   std::invalid_argument if extents or sizes differ, if x is empty, if y overlaps a part of x, or if epsilon
///          is not positive
/// Threads  safe if no two calls write the same y or moments; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, Device D, class X, class Scalar, class Y, class Activation = identity>
void train_forward(const D& device, const X& x, const AffineParameters<Scalar>& affine, double epsilon, Y&& y,
                   Moments& moments, const Activation& activation = {}) {
  detail::check_outputs<Y>();
  const detail::Call<Layout, Scalar> call{"train_forward"};
  const auto in = call.input("x", x);
  call.check_not_empty(in);
  call.check_affine(affine, in.view.channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);
  const auto out = call.output("y", y, in);
  detail::train_forward(detail::executor(device), detail::views(in), detail::AffineView<Scalar>{affine}, epsilon,
                        call.activation(activation), out.view, moments);
}

/// The first half of train_forward: the moments of a batch, or of a part of one. An empty x has moments of count 0.
///
/// Shapes   x: rank >= 2
/// Cost     reads x once
/// Throws   std::invalid_argument if x has an inner stride
/// Threads  as train_forward
template <class Layout = samples_in_rows, Device D, class X>
void batch_moments(const D& device, const X& x, Moments& moments) {
  const detail::Call<Layout, typename detail::parameters_of<X>::type> call{"batch_moments"};
  const auto in = call.input("x", x);
  if (in.view.size() == 0) {
    moments = Moments(in.view.channels);
    return;
  }
  detail::batch_moments(detail::executor(device), detail::views(in)[0], moments);
}

/// The second half of train_forward: normalizes with the moments of a batch.
///
///   y = activation(gamma (x - mean) / sqrt(m2 / count + epsilon) + beta)
///
/// Shapes   x, y: the same extents, rank >= 2; gamma, beta: [C] or empty; moments: [C]
/// Aliasing y may be x
/// Cost     reads x once and writes y once
/// Throws   as train_forward
/// Threads  as train_forward
template <class Layout = samples_in_rows, Device D, class X, class Scalar, class Y, class Activation = identity>
void normalize(const D& device, const X& x, const AffineParameters<Scalar>& affine, const Moments& moments,
               double epsilon, Y&& y, const Activation& activation = {}) {
  detail::check_outputs<Y>();
  const detail::Call<Layout, Scalar> call{"normalize"};
  const auto in = call.input("x", x, moments.channels());
  call.check_moments(moments, in.view.channels);
  call.check_affine(affine, in.view.channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);
  const auto out = call.output("y", y, in);
  const detail::BatchStatistics statistics{moments, epsilon};
  detail::normalize(detail::executor(device), detail::views(in),
                    detail::normalization<Scalar>(statistics, affine, call.activation(activation)), out.view);
}

/// Normalizes with running statistics, as inference does. An empty x is a no-op.
///
///   y = activation(gamma (x - running.mean) / sqrt(running.variance + epsilon) + beta)
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 2, step 11, centerd: large |mean| / std costs no digits.
/// Shapes   x, y: the same extents, rank >= 2; gamma, beta: [C] or empty; running: [C]
/// Aliasing y may be x
/// Cost     reads x once and writes y once
/// Throws   as train_forward, and if running has a value that is not finite or a variance below zero
/// Threads  as train_forward
template <class Layout = samples_in_rows, Device D, class X, class Scalar, class Y,
          class Activation = activations::identity>
void normalize(const D& device, const X& x, const AffineParameters<Scalar>& affine, const RunningStatistics& running,
               double epsilon, Y&& y, const Activation& activation = {}) {
  detail::check_outputs<Y>();
  const detail::Call<Layout, Scalar> call{"normalize"};
  const auto in = call.input("x", x, running.mean.size());
  call.check_running(running, in.view.channels);
  call.check_affine(affine, in.view.channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);
  const auto out = call.output("y", y, in);
  const detail::RunningView statistics{running, epsilon};
  detail::normalize(detail::executor(device), detail::views(in),
                    detail::normalization<Scalar>(statistics, affine, call.activation(activation)), out.view);
}

/// train_forward with a residual that is added before the activation, as at the end of a residual block.
///
///   y = activation(gamma (x - mean) / sqrt(variance + epsilon) + beta, residual)        add_relu: max(... + residual, 0)
///
/// Source   He, Zhang, Ren & Sun 2016, "Deep Residual Learning for Image Recognition", arXiv:1512.03385, figure 2.
/// Shapes   x, residual, y: the same extents, rank >= 2; gamma, beta: [C] or empty
/// Aliasing y may be x or residual
/// Cost     as train_forward, and reads the residual once
/// Throws   as train_forward, and if the residual has other extents
/// Threads  as train_forward
template <class Layout = samples_in_rows, Device D, class X, class R, class Scalar, class Y,
          ResidualActivation<Scalar> Activation>
void train_forward(const D& device, const X& x, const R& residual, const AffineParameters<Scalar>& affine,
                   double epsilon, Y&& y, Moments& moments, const Activation& activation) {
  detail::check_outputs<Y>();
  const detail::Call<Layout, Scalar> call{"train_forward"};
  const auto in = call.input("x", x);
  const auto added = call.input_like(in, "residual", residual);
  call.check_not_empty(in);
  call.check_affine(affine, in.view.channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);
  const auto out = call.output("y", y, in, added);
  detail::train_forward(detail::executor(device), detail::views(in, added), detail::AffineView<Scalar>{affine}, epsilon,
                        call.template activation<1>(activation), out.view, moments);
}

/// train_forward on the calling thread.
template <class Layout = samples_in_rows, class X, class Scalar, class Y, class Activation = activations::identity>
void train_forward(const X& x, const AffineParameters<Scalar>& affine, double epsilon, Y&& y, Moments& moments,
                   const Activation& activation = {}) {
  detail::check_outputs<Y>();
  train_forward<Layout>(detail::CallingThread{}, x, affine, epsilon, y, moments, activation);
}

/// The same with a residual.
template <class Layout = samples_in_rows, class X, class R, class Scalar, class Y,
          ResidualActivation<Scalar> Activation>
void train_forward(const X& x, const R& residual, const AffineParameters<Scalar>& affine, double epsilon, Y&& y,
                   Moments& moments, const Activation& activation) {
  detail::check_outputs<Y>();
  train_forward<Layout>(detail::CallingThread{}, x, residual, affine, epsilon, y, moments, activation);
}

/// batch_moments on the calling thread.
template <class Layout = samples_in_rows, class X>
void batch_moments(const X& x, Moments& moments) {
  batch_moments<Layout>(detail::CallingThread{}, x, moments);
}

/// normalize on the calling thread, with Moments or RunningStatistics.
template <class Layout = samples_in_rows, class X, class Scalar, class Statistics, class Y,
          class Activation = activations::identity>
void normalize(const X& x, const AffineParameters<Scalar>& affine, const Statistics& statistics, double epsilon, Y&& y,
               const Activation& activation = {}) {
  detail::check_outputs<Y>();
  normalize<Layout>(detail::CallingThread{}, x, affine, statistics, epsilon, y, activation);
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
