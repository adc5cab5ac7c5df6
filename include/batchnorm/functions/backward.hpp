/// \file
/// The backward pass as functions with explicit state: fused, and in halves between which the sums can be merged.
#pragma once

#include <batchnorm/functions/statistics.hpp>
#include <batchnorm/kernels/backward.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

namespace detail {

/// The backward pass of x, dy and, where the activation adds one, the residual; outputs are dx and then that residual's
/// gradient.
template <class Layout, class Activation, class Scalar, class Options, class... Ys, class... Xs>
void run_backward(const AffineParameters<Scalar>& affine, const Statistics& statistics, Gradients<Scalar>& gradients,
                  const Options& options, const std::tuple<Named<Ys>...>& outputs, const Named<Xs>&... xs) {
  const Call<Layout> call{"backward"};
  const auto in = call.inputs(statistics.channels(), xs...);
  with_weights<Scalar>(call, options, in[0], [&](const auto& weights) {
    call.check_statistics(statistics, in[0].view.channels);
    call.check_affine(affine, in[0].view.channels);
    call.check_whole_batch(statistics, in[0], weights.total(in[0].view));
    const auto out = call.outputs(outputs, in);
    call.prepare_gradients(affine, gradients);
    GradientSums sums;
    backward(options.device, views(in), Normalization<Scalar, Activation>{statistics, affine, options.activation}, sums,
             &gradients, views(out), weights);
  });
}

template <class Layout, class Activation, class Scalar, class Options, class X, class DY>
void run_gradient_sums(const AffineParameters<Scalar>& affine, const Statistics& statistics, GradientSums& sums,
                       const Options& options, const Named<X>& x, const Named<DY>& dy) {
  const Call<Layout> call{"gradient_sums"};
  const auto in = call.inputs(statistics.channels(), x, dy);
  with_weights<Scalar>(call, options, in[0], [&](const auto& weights) {
    call.check_statistics(statistics, in[0].view.channels);
    call.check_affine(affine, in[0].view.channels);
    call.check_part_of_batch(statistics, in[0], weights.total(in[0].view));
    gradient_sums(options.device, views(in), Normalization<Scalar, Activation>{statistics, affine, options.activation},
                  sums, weights);
  });
}

template <class Layout, class Activation, class Scalar, class Options, class X, class DY, class DX>
void run_input_gradient(const AffineParameters<Scalar>& affine, const Statistics& statistics, const GradientSums& sums,
                        const Options& options, const Named<DX>& dx, const Named<X>& x, const Named<DY>& dy) {
  const Call<Layout> call{"input_gradient"};
  const auto in = call.inputs(statistics.channels(), x, dy);
  with_weights<Scalar>(call, options, in[0], [&](const auto& weights) {
    call.check_statistics(statistics, in[0].view.channels);
    call.check_affine(affine, in[0].view.channels);
    call.check_part_of_batch(statistics, in[0], weights.total(in[0].view));
    if (statistics.count > 0) call.check_sums(sums, in[0].view.channels);
    const auto out = call.output(dx, in);
    input_gradient(options.device, views(in), Normalization<Scalar, Activation>{statistics, affine, options.activation},
                   sums, std::array{out.view}, weights);
  });
}

template <class Layout, class Activation, class Scalar, class Options, class Y, class DY, class DX>
void run_backward_from_output(const AffineParameters<Scalar>& affine, const Statistics& statistics,
                              Gradients<Scalar>& gradients, const Options& options, const Named<DX>& dx,
                              const Named<Y>& y, const Named<DY>& dy) {
  const Call<Layout> call{"backward_from_output"};
  const auto in = call.inputs(statistics.channels(), y, dy);
  with_weights<Scalar>(call, options, in[0], [&](const auto& weights) {
    call.check_statistics(statistics, in[0].view.channels);
    call.check_affine(affine, in[0].view.channels);
    call.check_whole_batch(statistics, in[0], weights.total(in[0].view));
    call.template check_recoverable<scalar_t<Y>>(affine.gamma, affine.beta, in[0].view.channels);
    const auto out = call.output(dx, in);
    call.prepare_gradients(affine, gradients);
    GradientSums sums;
    backward(options.device, views(in), Recovery<Scalar, Activation>{statistics, affine, options.activation}, sums,
             &gradients, std::array{out.view}, weights);
  });
}

}  // namespace detail

/// The first half of backward: the two sums that all gradients are made of.
///
///   sums.dy_c = sum_i dz_ci        sums.dy_x_c = sum_i dz_ci (x_ci - mean_c)
///
/// where dz = dy * activation'(z), with z recomputed from x. x is the batch that the statistics are of, or a part of
/// it; of constants, count 0, it may be any.
///
/// Shapes   x, dy: the same extents, rank >= 2; gamma, beta: [C] or empty; statistics, sums: [C]
/// State    `sums` become those of x and dy
/// Cost     reads x and dy once
/// Throws   std::invalid_argument if extents or sizes differ, or if x has more values per channel than the batch
/// Threads  safe if no two calls write the same sums; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class Activation = activations::identity, class X, class DY, class Scalar>
void gradient_sums(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const Statistics& statistics,
                   GradientSums& sums, const FusedOptions<Activation>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<X, DY>())) {
    detail::run_gradient_sums<Layout, Activation>(affine, statistics, sums, options, detail::Named{"x", x},
                                                  detail::Named{"dy", dy});
  }
}
/// The same where values count by their weights: the sums are over those with a weight above 0, all alike.
template <class Layout = samples_in_rows, class Activation = activations::identity, class X, class DY, class Scalar>
void gradient_sums(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const Statistics& statistics,
                   GradientSums& sums, const WeightedFusedOptions<Activation>& options) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<X, DY>())) {
    detail::run_gradient_sums<Layout, Activation>(affine, statistics, sums, options, detail::Named{"x", x},
                                                  detail::Named{"dy", dy});
  }
}

/// The second half of backward: dx from the sums over the whole batch, of which x may be a part.
///
///   dx = gamma inv_std (dz - sums.dy / count - (x - mean) inv_std^2 sums.dy_x / count)
///
/// where count = statistics.count; of constants, count 0, dx = gamma inv_std dz and the sums are not looked at.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3, the chain rule with its terms collected.
/// Shapes   x, dy, dx: the same extents, rank >= 2; gamma, beta: [C] or empty; statistics, sums: [C]
/// Aliasing dx may be x or dy
/// Cost     reads x and dy once, writes dx once
/// Throws   std::invalid_argument if extents or sizes differ, if x has more values per channel than the batch, or if dx
///          overlaps a part of x or dy
/// Threads  safe if no two calls write the same dx; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class Activation = activations::identity, class X, class DY, class Scalar,
          class DX>
void input_gradient(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const Statistics& statistics,
                    const GradientSums& sums, DX&& dx, const FusedOptions<Activation>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<X, DY>(), detail::Writes<DX>())) {
    detail::run_input_gradient<Layout, Activation>(affine, statistics, sums, options, detail::Named{"dx", dx},
                                                   detail::Named{"x", x}, detail::Named{"dy", dy});
  }
}
/// The same where values count by their weights.
///
///   dx = gamma inv_std (dz - w (sums.dy + (x - mean) inv_std^2 sums.dy_x) / count), and 0 where w is 0
template <class Layout = samples_in_rows, class Activation = activations::identity, class X, class DY, class Scalar,
          class DX>
void input_gradient(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const Statistics& statistics,
                    const GradientSums& sums, DX&& dx, const WeightedFusedOptions<Activation>& options) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<X, DY>(), detail::Writes<DX>())) {
    detail::run_input_gradient<Layout, Activation>(affine, statistics, sums, options, detail::Named{"dx", dx},
                                                   detail::Named{"x", x}, detail::Named{"dy", dy});
  }
}

/// Adds to the gradients of gamma and beta what the sums over the whole batch say.
///
///   dgamma += sums.dy_x inv_std        dbeta += sums.dy
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.
/// Shapes   sums, statistics: [C]; gradients: [C] or empty, which stay empty
/// State    adds to `gradients`
/// Throws   std::invalid_argument if sizes differ
template <class Scalar>
void parameter_gradients(const GradientSums& sums, const Statistics& statistics, Gradients<Scalar>& gradients) {
  const detail::Call<samples_in_rows> call{"parameter_gradients"};
  const Index channels = statistics.channels();
  call.check_statistics(statistics, channels);
  call.check_sums(sums, channels);
  if (gradients.gamma.size() != 0) call.check_size("gradients.gamma", gradients.gamma.size(), channels);
  if (gradients.beta.size() != 0) call.check_size("gradients.beta", gradients.beta.size(), channels);
  const AffineParameters<Scalar> none;
  detail::parameter_gradients(sums, detail::Linear<Scalar>{statistics, none, {}}, gradients);
}

/// Gradients of a batch that was normalized with these statistics: of its own, or constants.
///
///   of its own:  dx = gamma inv_std (dz - mean(dz) - x_hat mean(dz x_hat))
///   constants:   dx = gamma inv_std dz
///
///   dgamma += sum_i dz_ci x_hat_ci        dbeta += sum_i dz_ci
///
/// where dz = dy * activation'(z) and x_hat = (x - mean) inv_std: the paper's chain rule over x_hat, variance, mean, x,
/// gamma and beta, with its terms collected into two passes.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.
/// Shapes   x, dy, dx: the same extents, rank >= 2; gamma, beta and their gradients: [C] or empty; statistics: [C]
/// Aliasing dx may be x or dy
/// State    adds to `gradients`; an empty one starts at zero
/// Cost     reads x and dy twice, writes dx once; allocates the sums, two doubles for each channel
/// Throws   std::invalid_argument if extents or sizes differ, if statistics are of another number of values than x has,
///          or if dx overlaps a part of x or dy
/// Threads  safe if no two calls write the same dx or gradients; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class Activation = activations::identity, class X, class DY, class Scalar,
          class DX>
void backward(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const Statistics& statistics, DX&& dx,
              Gradients<Scalar>& gradients, const FusedOptions<Activation>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<X, DY>(), detail::Writes<DX>())) {
    detail::run_backward<Layout, Activation>(affine, statistics, gradients, options,
                                             std::tuple{detail::Named{"dx", dx}}, detail::Named{"x", x},
                                             detail::Named{"dy", dy});
  }
}
/// The same where values count by their weights w; sums and means are over those above 0, and dx is 0 at the others.
///
///   of its own:  dx = gamma inv_std (dz - (w / count) (sum dz + x_hat sum dz x_hat))
template <class Layout = samples_in_rows, class Activation = activations::identity, class X, class DY, class Scalar,
          class DX>
void backward(const X& x, const DY& dy, const AffineParameters<Scalar>& affine, const Statistics& statistics, DX&& dx,
              Gradients<Scalar>& gradients, const WeightedFusedOptions<Activation>& options) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<X, DY>(), detail::Writes<DX>())) {
    detail::run_backward<Layout, Activation>(affine, statistics, gradients, options,
                                             std::tuple{detail::Named{"dx", dx}}, detail::Named{"x", x},
                                             detail::Named{"dy", dy});
  }
}

/// backward where a residual was added before the activation.
///
///   dresidual = dz = dy * activation'(z, residual)        dx, dgamma, dbeta as without it
///
/// Shapes   x, residual, dy, dx, dresidual: the same extents, rank >= 2; gamma, beta and their gradients: [C] or empty;
///          statistics: [C]
/// Aliasing dx and dresidual may each be x, residual or dy, not each other
/// State    adds to `gradients`; an empty one starts at zero
/// Cost     reads x, dy and the residual twice, writes dx and dresidual once; allocates the sums
/// Throws   std::invalid_argument if extents or sizes differ, if statistics are of another number of values than x has,
///          or if dx or dresidual overlap a part of an input or each other
/// Threads  safe if no two calls write the same outputs or gradients; the number of threads changes no bit of the
///          result
template <class Layout = samples_in_rows, class Activation = add_relu, class X, class R, class DY, class Scalar,
          class DX, class DR>
void backward(const X& x, const R& residual, const DY& dy, const AffineParameters<Scalar>& affine,
              const Statistics& statistics, DX&& dx, DR&& dresidual, Gradients<Scalar>& gradients,
              const FusedOptions<Activation>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 1>(detail::Reads<X, DY, R>(), detail::Writes<DX, DR>())) {
    detail::run_backward<Layout, Activation>(affine, statistics, gradients, options,
                                             std::tuple{detail::Named{"dx", dx}, detail::Named{"dresidual", dresidual}},
                                             detail::Named{"x", x}, detail::Named{"dy", dy},
                                             detail::Named{"residual", residual});
  }
}
/// The same where values count by their weights.
template <class Layout = samples_in_rows, class Activation = add_relu, class X, class R, class DY, class Scalar,
          class DX, class DR>
void backward(const X& x, const R& residual, const DY& dy, const AffineParameters<Scalar>& affine,
              const Statistics& statistics, DX&& dx, DR&& dresidual, Gradients<Scalar>& gradients,
              const WeightedFusedOptions<Activation>& options) {
  if constexpr (detail::accepts<Layout, Scalar, Activation, 1>(detail::Reads<X, DY, R>(), detail::Writes<DX, DR>())) {
    detail::run_backward<Layout, Activation>(affine, statistics, gradients, options,
                                             std::tuple{detail::Named{"dx", dx}, detail::Named{"dresidual", dresidual}},
                                             detail::Named{"x", x}, detail::Named{"dy", dy},
                                             detail::Named{"residual", residual});
  }
}

/// backward from y, the output of forward, where x has been overwritten or was never kept: so a network trains in
/// place, with one tensor for each layer less. For activations with an inverse: identity and leaky_relu.
///
///   x_hat = (activation^-1(y) - beta) / gamma        dx, dgamma, dbeta as in backward
///
/// The rounding of y enters: x_hat errs by about epsilon (1 + |beta / gamma|) / 2, epsilon that of the element type.
///
/// Source   Rota Bulo, Porzi & Kontschieder 2018, "In-Place Activated BatchNorm", arXiv:1712.02616, section 3.
/// Shapes   y, dy, dx: the same extents, rank >= 2; gamma, beta and their gradients: [C] or empty; statistics: [C];
///          affine and statistics: those of forward
/// Aliasing dx may be y or dy
/// State    adds to `gradients`; an empty one starts at zero
/// Cost     reads y and dy twice, writes dx once; allocates the sums
/// Throws   std::invalid_argument if extents or sizes differ, if statistics are of another number of values than y has,
///          if dx overlaps a part of y or dy, and where |gamma| < |beta| / 1024 or tiny in any channel
/// Threads  safe if no two calls write the same dx or gradients; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class Activation = activations::identity, class Y, class DY, class Scalar,
          class DX>
void backward_from_output(const Y& y, const DY& dy, const AffineParameters<Scalar>& affine,
                          const Statistics& statistics, DX&& dx, Gradients<Scalar>& gradients,
                          const FusedOptions<Activation>& options = {}) {
  if constexpr (detail::accepts_inverse<Activation, Scalar>() &&
                detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<Y, DY>(), detail::Writes<DX>())) {
    detail::run_backward_from_output<Layout, Activation>(affine, statistics, gradients, options,
                                                         detail::Named{"dx", dx}, detail::Named{"y", y},
                                                         detail::Named{"dy", dy});
  }
}
/// The same where values count by their weights.
template <class Layout = samples_in_rows, class Activation = activations::identity, class Y, class DY, class Scalar,
          class DX>
void backward_from_output(const Y& y, const DY& dy, const AffineParameters<Scalar>& affine,
                          const Statistics& statistics, DX&& dx, Gradients<Scalar>& gradients,
                          const WeightedFusedOptions<Activation>& options) {
  if constexpr (detail::accepts_inverse<Activation, Scalar>() &&
                detail::accepts<Layout, Scalar, Activation, 0>(detail::Reads<Y, DY>(), detail::Writes<DX>())) {
    detail::run_backward_from_output<Layout, Activation>(affine, statistics, gradients, options,
                                                         detail::Named{"dx", dx}, detail::Named{"y", y},
                                                         detail::Named{"dy", dy});
  }
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
