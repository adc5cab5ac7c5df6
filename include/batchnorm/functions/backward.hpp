/// \file
/// The backward pass as functions with explicit state: fused, and in halves between which the sums can be merged.
#pragma once

#include <batchnorm/base/device.hpp>
#include <batchnorm/core/arguments.hpp>
#include <batchnorm/kernels/backward.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// The first half of train_backward: the two sums that all gradients are made of.
///
///   sums.dy_c = sum_i dz_ci        sums.dy_x_c = sum_i dz_ci (x_ci - mean_c)
///
/// where dz = dy * activation'(z), with z recomputed from x.
///
/// Shapes   x, dy: the same extents, rank >= 2; gamma, beta: [C] or empty; moments, sums: [C]
/// Cost     reads x and dy once
/// Throws   std::invalid_argument if extents or sizes differ, if x has more than moments.count values per channel, or
///          if epsilon is not positive
/// Threads  safe if no two calls write the same sums; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, Device D, class X, class DY, class Scalar,
          class Activation = activations::identity>
void gradient_sums(const D& device, const X& x, const DY& dy, const AffineParameters<Scalar>& affine,
                   const Moments& moments, double epsilon, GradientSums& sums, const Activation& activation = {}) {
  const detail::Call<Layout, Scalar> call{"gradient_sums"};
  const auto in = call.input("x", x, moments.channels());
  const auto gradient = call.input_like(in, "dy", dy);
  call.check_moments(moments, in.view.channels);
  call.check_part_of_batch(moments, in);
  call.check_affine(affine, in.view.channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);
  const detail::BatchStatistics statistics{moments, epsilon};
  detail::gradient_sums(detail::executor(device), detail::views(in, gradient),
                        detail::normalization<Scalar>(statistics, affine, activation), moments.count, sums);
}

/// The same where no activation is fused: the parameters do not enter.
template <class Layout = samples_in_rows, Device D, class X, class DY>
void gradient_sums(const D& device, const X& x, const DY& dy, const Moments& moments, GradientSums& sums) {
  gradient_sums<Layout>(device, x, dy, AffineParameters<typename detail::parameters_of<X>::type>{}, moments,
                        Options{}.epsilon, sums);
}

/// The second half of train_backward: dx from the sums over the whole batch, of which x may be a part.
///
///   dx = gamma * inv_std * (dz - sums.dy / count - (x - mean) * inv_std^2 * sums.dy_x / count)
///
/// where count = moments.count.
///
/// Shapes   x, dy, dx: the same extents, rank >= 2; gamma, beta: [C] or empty; moments, sums: [C]
/// Aliasing dx may be x or dy
/// Cost     reads x and dy once, writes dx once
/// Throws   as gradient_sums, and if dx overlaps a part of x or dy
/// Threads  safe if no two calls write the same dx
template <class Layout = samples_in_rows, Device D, class X, class DY, class Scalar, class DX,
          class Activation = identity>
void input_gradient(const D& device, const X& x, const DY& dy, const AffineParameters<Scalar>& affine,
                    const Moments& moments, double epsilon, const GradientSums& sums, DX&& dx,
                    const Activation& activation = {}) {
  detail::check_outputs<DX>();
  const detail::Call<Layout, Scalar> call{"input_gradient"};
  const auto in = call.input("x", x, moments.channels());
  const auto gradient = call.input_like(in, "dy", dy);
  call.check_moments(moments, in.view.channels);
  call.check_part_of_batch(moments, in);
  call.check_affine(affine, in.view.channels);
  call.check_sums(sums, in.view.channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);
  const auto out = call.output("dx", dx, in, gradient);
  const detail::BatchStatistics statistics{moments, epsilon};
  detail::input_gradient(detail::executor(device), detail::views(in, gradient),
                         detail::normalization<Scalar>(statistics, affine, call.activation(activation)), sums,
                         moments.count, std::array{out.view});
}

/// Gradients of a batch that was normalized with its own statistics.
///
///   dgamma += sum_i dz_ci x_hat_ci        dbeta += sum_i dz_ci        dx as in input_gradient
///
/// The paper's chain rule over x_hat, variance, mean, x, gamma and beta, with its terms collected into two passes.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.
/// Shapes   x, dy, dx: the same extents, rank >= 2; gamma, beta and their gradients: [C] or empty; moments: [C]
/// Aliasing dx may be x or dy
/// State    adds to `gradients`; an empty one starts at zero
/// Cost     reads x and dy twice, writes dx once; allocates the sums, two doubles for each channel
/// Throws   as input_gradient, if sizes of gradients and parameters differ, and if moments.count is not that of x
/// Threads  safe if no two calls write the same dx or gradients
template <class Layout = samples_in_rows, Device D, class X, class DY, class Scalar, class DX,
          class Activation = identity>
void train_backward(const D& device, const X& x, const DY& dy, const AffineParameters<Scalar>& affine,
                    const Moments& moments, double epsilon, DX&& dx, Gradients<Scalar>& gradients,
                    const Activation& activation = {}) {
  detail::check_outputs<DX>();
  const detail::Call<Layout, Scalar> call{"train_backward"};
  const auto in = call.input("x", x, moments.channels());
  const auto gradient = call.input_like(in, "dy", dy);
  call.check_moments(moments, in.view.channels);
  call.check_whole_batch(moments, in);
  call.check_affine(affine, in.view.channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);
  const auto out = call.output("dx", dx, in, gradient);
  call.prepare_gradients(affine, gradients);

  GradientSums sums;
  const detail::BatchStatistics statistics{moments, epsilon};
  detail::backward(detail::executor(device), detail::views(in, gradient),
                   detail::normalization<Scalar>(statistics, affine, call.activation(activation)),
                   StatisticsSource::batch, moments.count, sums, &gradients, std::array{out.view});
}

/// Gradients of train_forward with a residual.
///
///   dresidual = dz = dy * activation'(z + residual)        dx, dgamma, dbeta as in train_backward
///
/// Shapes   x, residual, dy, dx, dresidual: the same extents, rank >= 2; the others as in train_backward
/// Aliasing dx and dresidual may each be x, residual or dy, not each other
/// State    as train_backward
/// Cost     reads x, dy and the residual twice, writes dx and dresidual once; allocates as train_backward
/// Throws   as train_backward
/// Threads  as train_backward
template <class Layout = samples_in_rows, Device D, class X, class R, class DY, class Scalar, class DX, class DR,
          ResidualActivation<Scalar> Activation>
void train_backward(const D& device, const X& x, const R& residual, const DY& dy,
                    const AffineParameters<Scalar>& affine, const Moments& moments, double epsilon, DX&& dx,
                    DR&& dresidual, Gradients<Scalar>& gradients, const Activation& activation) {
  detail::check_outputs<DX, DR>();
  const detail::Call<Layout, Scalar> call{"train_backward"};
  const auto in = call.input("x", x, moments.channels());
  const auto added = call.input_like(in, "residual", residual);
  const auto gradient = call.input_like(in, "dy", dy);
  call.check_moments(moments, in.view.channels);
  call.check_whole_batch(moments, in);
  call.check_affine(affine, in.view.channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);
  const auto out = call.output("dx", dx, in, added, gradient);
  const auto added_out = call.second_output("dresidual", dresidual, out, in, added, gradient);
  call.prepare_gradients(affine, gradients);

  GradientSums sums;
  const detail::BatchStatistics statistics{moments, epsilon};
  detail::backward(detail::executor(device), detail::views(in, gradient, added),
                   detail::normalization<Scalar>(statistics, affine, call.template activation<1>(activation)),
                   StatisticsSource::batch, moments.count, sums, &gradients, std::array{out.view, added_out.view});
}

/// train_backward from y, the output of train_forward, where x has been overwritten or was never kept: so a network
/// trains in place, with one tensor for each layer less.
///
///   x_hat = (activation^-1(y) - beta) / gamma        dx, dgamma, dbeta as in train_backward
///
/// The rounding of y enters: x_hat errs by about epsilon (1 + |beta / gamma|) / 2, epsilon that of the element type.
///
/// Source   Rota Bulo, Porzi & Kontschieder 2018, "In-Place Activated BatchNorm", arXiv:1712.02616, section 3.
/// Shapes   y, dy, dx: the same extents, rank >= 2; the others as in train_backward; affine: that of train_forward
/// Aliasing dx may be y or dy
/// State    as train_backward
/// Cost     as train_backward
/// Throws   as train_backward, and where |gamma| < |beta| / 1024 or tiny in any channel
/// Threads  as train_backward
template <class Layout = samples_in_rows, Device D, class Y, class DY, class Scalar, class DX,
          class Activation = activations::identity>
void train_backward_from_output(const D& device, const Y& y, const DY& dy, const AffineParameters<Scalar>& affine,
                                const Moments& moments, double epsilon, DX&& dx, Gradients<Scalar>& gradients,
                                const Activation& activation = {}) {
  detail::check_outputs<DX>();
  static_assert(InvertibleActivation<Activation, Scalar>,
                "batchnorm: train_backward_from_output needs an activation that has an inverse, as identity and "
                "leaky_relu have; for others use train_backward, which takes x");
  const detail::Call<Layout, Scalar> call{"train_backward_from_output"};
  const auto out_of_forward = call.input("y", y, moments.channels());
  const auto gradient = call.input_like(out_of_forward, "dy", dy);
  call.check_moments(moments, out_of_forward.view.channels);
  call.check_whole_batch(moments, out_of_forward);
  call.check_affine(affine, out_of_forward.view.channels);
  call.check_recoverable(out_of_forward, affine.gamma, affine.beta, out_of_forward.view.channels);
  detail::check_epsilon(call.name, epsilon);
  const auto out = call.output("dx", dx, out_of_forward, gradient);
  call.prepare_gradients(affine, gradients);

  GradientSums sums;
  const detail::BatchStatistics statistics{moments, epsilon};
  detail::backward(detail::executor(device), detail::views(out_of_forward, gradient),
                   detail::recovery<Scalar>(statistics, affine, call.invertible(activation)), StatisticsSource::batch,
                   moments.count, sums, &gradients, std::array{out.view});
}

/// Gradients of a batch that was normalized with running statistics, which are constants.
///
///   dx = dz * gamma / sqrt(running.variance + epsilon)
///   dgamma += sum_i dz_ci x_hat_ci        dbeta += sum_i dz_ci
///
/// Shapes   x, dy, dx: the same extents, rank >= 2; gamma, beta and their gradients: [C] or empty; running: [C]
/// Aliasing dx may be x or dy
/// State    adds to `gradients`; an empty one starts at zero
/// Cost     reads x and dy twice, writes dx once; allocates as train_backward
/// Throws   as train_backward, and if running has a value that is not finite or a variance below zero
/// Threads  as train_backward
template <class Layout = samples_in_rows, Device D, class X, class DY, class Scalar, class DX,
          class Activation = activations::identity>
void frozen_backward(const D& device, const X& x, const DY& dy, const AffineParameters<Scalar>& affine,
                     const RunningStatistics& running, double epsilon, DX&& dx, Gradients<Scalar>& gradients,
                     const Activation& activation = {}) {
  detail::check_outputs<DX>();
  const detail::Call<Layout, Scalar> call{"frozen_backward"};
  const auto in = call.input("x", x, running.mean.size());
  const auto gradient = call.input_like(in, "dy", dy);
  call.check_running(running, in.view.channels);
  call.check_affine(affine, in.view.channels);
  detail::check_epsilon<Scalar>(call.name, epsilon);
  const auto out = call.output("dx", dx, in, gradient);
  call.prepare_gradients(affine, gradients);

  GradientSums sums;
  const detail::RunningView statistics{running, epsilon};
  detail::backward(detail::executor(device), detail::views(in, gradient),
                   detail::normalization<Scalar>(statistics, affine, call.activation(activation)),
                   StatisticsSource::running, in.view.count(), sums, &gradients, std::array{out.view});
}

/// gradient_sums on the calling thread.
template <class Layout = samples_in_rows, class X, class DY, class Scalar, class Activation = activations::identity>
void gradient_sums(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const Moments& moments,
                   double epsilon, GradientSums& sums, const Activation& activation = {}) {
  gradient_sums<Layout>(detail::CallingThread{}, x, dy, affine, moments, epsilon, sums, activation);
}

/// gradient_sums on the calling thread, where no activation is fused.
template <class Layout = samples_in_rows, class X, class DY>
void gradient_sums(const X& x, const DY& dy, const Moments& moments, GradientSums& sums) {
  gradient_sums<Layout>(detail::CallingThread{}, x, dy, moments, sums);
}

/// input_gradient on the calling thread.
template <class Layout = samples_in_rows, class X, class DY, class Scalar, class DX, class Activation = identity>
void input_gradient(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const Moments& moments,
                    double epsilon, const GradientSums& sums, DX&& dx, const Activation& activation = {}) {
  detail::check_outputs<DX>();
  input_gradient<Layout>(detail::CallingThread{}, x, dy, affine, moments, epsilon, sums, dx, activation);
}

/// train_backward on the calling thread.
template <class Layout = samples_in_rows, class X, class DY, class Scalar, class DX, class Activation = identity>
void train_backward(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const Moments& moments,
                    double epsilon, DX&& dx, Gradients<Scalar>& gradients, const Activation& activation = {}) {
  detail::check_outputs<DX>();
  train_backward<Layout>(detail::CallingThread{}, x, dy, affine, moments, epsilon, dx, gradients, activation);
}

/// The same with a residual.
template <class Layout = samples_in_rows, class X, class R, class DY, class Scalar, class DX, class DR,
          ResidualActivation<Scalar> Activation>
void train_backward(const X& x, const R& residual, const DY& dy, const AffineParameters<Scalar>& affine,
                    const Moments& moments, double epsilon, DX&& dx, DR&& dresidual, Gradients<Scalar>& gradients,
                    const Activation& activation) {
  detail::check_outputs<DX, DR>();
  train_backward<Layout>(detail::CallingThread{}, x, residual, dy, affine, moments, epsilon, dx, dresidual, gradients,
                         activation);
}

/// train_backward_from_output on the calling thread.
template <class Layout = samples_in_rows, class Y, class DY, class Scalar, class DX,
          class Activation = activations::identity>
void train_backward_from_output(const Y& y, const DY& dy, const AffineParameters<Scalar>& affine,
                                const Moments& moments, double epsilon, DX&& dx, Gradients<Scalar>& gradients,
                                const Activation& activation = {}) {
  detail::check_outputs<DX>();
  train_backward_from_output<Layout>(detail::CallingThread{}, y, dy, affine, moments, epsilon, dx, gradients,
                                     activation);
}

/// frozen_backward on the calling thread.
template <class Layout = samples_in_rows, class X, class DY, class Scalar, class DX,
          class Activation = activations::identity>
void frozen_backward(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const RunningStatistics& running,
                     double epsilon, DX&& dx, Gradients<Scalar>& gradients, const Activation& activation = {}) {
  detail::check_outputs<DX>();
  frozen_backward<Layout>(detail::CallingThread{}, x, dy, affine, running, epsilon, dx, gradients, activation);
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
