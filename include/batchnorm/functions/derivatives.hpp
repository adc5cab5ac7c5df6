/// \file
/// Derivatives beside the gradient: the tangent of y in a direction, and the gradients of a function of the gradients.
#pragma once

#include <batchnorm/functions/statistics.hpp>
#include <batchnorm/kernels/derivatives.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// How a derivative is taken; new fields come at the end.
template <class Scalar>
struct DerivativeOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// What goes with gamma, or dgamma: jvp's tangent, backward_twice's gradient. Empty: 0.
  ChannelArray<Scalar> gamma = {};
  /// What goes with beta, or dbeta. Empty: 0.
  ChannelArray<Scalar> beta = {};
};

namespace detail {

/// What both derivatives ask of the normalization that they are of.
template <class Layout, class Input, class Scalar>
void check_derivative(const Call<Layout>& call, const Input& x, const AffineParameters<Scalar>& affine,
                      const Statistics& statistics, const DerivativeOptions<Scalar>& options) {
  const Index channels = x.view.channels;
  call.check_statistics(statistics, channels);
  call.check_affine(affine, channels);
  call.check_whole_batch(statistics, x, Unweighted::total(x.view));
  if (options.gamma.size() != 0) call.check_size("options.gamma", options.gamma.size(), channels);
  if (options.beta.size() != 0) call.check_size("options.beta", options.beta.size(), channels);
}

}  // namespace detail

/// The Jacobian of the normalization times a vector, forward mode: the tangent of y along those of x, gamma and beta.
/// There is no activation; its derivative multiplies the result. Floats of a standard deviation within 1e-15 to 1e15.
///
///   of its own:  dy = gamma inv_std (v - mean(v) - x_hat mean(v x_hat)) + options.gamma x_hat + options.beta
///   constants:   dy = gamma inv_std v + options.gamma x_hat + options.beta
///
/// where v is the tangent of x: with respect to x the Jacobian is symmetric, so this is backward's formula.
///
/// Source   the differential of Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 1.
/// Shapes   x, x_tangent, y_tangent: the same extents, rank >= 2; gamma, beta and their tangents: [C] or empty;
///          statistics: [C]
/// Aliasing y_tangent may be x or x_tangent
/// Cost     reads x and x_tangent twice, once if statistics are constants, and writes y_tangent once
/// Throws   std::invalid_argument if extents or sizes differ, if statistics are of another number of values than x has,
///          or if y_tangent overlaps a part of an input
/// Threads  safe if no two calls write the same y_tangent; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class X, class TX, class Scalar, class TY>
void jvp(const X& x, const TX& x_tangent, const AffineParameters<Scalar>& affine, const Statistics& statistics,
         TY&& y_tangent, const DerivativeOptions<Scalar>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, activations::identity, 0>(detail::Reads<X, TX>(),
                                                                          detail::Writes<TY>())) {
    const detail::Call<Layout> call{"jvp"};
    const auto in = call.inputs(statistics.channels(), detail::Named{"x", x}, detail::Named{"x_tangent", x_tangent});
    detail::check_derivative(call, in[0], affine, statistics, options);
    const auto out = call.output(detail::Named{"y_tangent", y_tangent}, in);
    detail::tangent(options.device, detail::views(in), detail::Linear<Scalar>{statistics, affine, {}}, options.gamma,
                    options.beta, std::array{out.view});
  }
}

/// The gradients of a function of backward's dx, dgamma and dbeta, with respect to x, dy and gamma: for a loss with a
/// gradient in it. There is no activation. Floats of a standard deviation within 1e-9 to 1e9.
///
/// With v, a, b the function's gradients with respect to dx, dgamma and dbeta (v, options.gamma, options.beta), and
/// means over the `count` values of a channel, of its own statistics
///
///   B    = mean(v dy) - mean(v) mean(dy) - mean(v x_hat) mean(dy x_hat)
///   k    = a - gamma inv_std mean(v x_hat)
///   dx2  = inv_std (k (dy - mean(dy) - x_hat mean(dy x_hat))
///                   - gamma inv_std (mean(dy x_hat) (v - mean(v) - x_hat mean(v x_hat)) + x_hat B))
///   ddy  = gamma inv_std (v - mean(v) - x_hat mean(v x_hat)) + a x_hat + b
///   dgamma2 += inv_std count B
///
/// and of constants dx2 = a inv_std dy, ddy = gamma inv_std v + a x_hat + b, dgamma2 += inv_std sum(v dy).
///
/// Source   derived from section 3 of Ioffe & Szegedy 2015, arXiv:1502.03167: the function's part in a channel is
///          gamma inv_std count B + a sum(dy x_hat) + b sum(dy), of which d inv_std / dx = -inv_std^2 x_hat / count and
///          d sum(w x_hat) / dx = inv_std (w - mean(w) - x_hat mean(w x_hat)) for any w.
/// Shapes   x, dy, v, dx2, ddy: the same extents, rank >= 2; gamma, beta, options.gamma, options.beta and the
///          gradients: [C] or empty; statistics: [C]
/// Aliasing dx2 and ddy may each be x, dy or v, not each other
/// State    adds to gradients.gamma; an empty one starts at zero. Nothing here depends on beta
/// Cost     reads x, dy and v three times, writes dx2 and ddy once; allocates the sums
/// Throws   std::invalid_argument if extents or sizes differ, if statistics are of another number of values than x has,
///          or if dx2 or ddy overlap a part of an input or each other
/// Threads  safe if no two calls write the same outputs or gradients; the number of threads changes no bit of the
///          result
template <class Layout = samples_in_rows, class X, class DY, class V, class Scalar, class DX2, class DDY>
void backward_twice(const X& x, const DY& dy, const V& v, const AffineParameters<Scalar>& affine,
                    const Statistics& statistics, DX2&& dx2, DDY&& ddy, Gradients<Scalar>& gradients,
                    const DerivativeOptions<Scalar>& options = {}) {
  if constexpr (detail::accepts<Layout, Scalar, activations::identity, 0>(detail::Reads<X, DY, V>(),
                                                                          detail::Writes<DX2, DDY>())) {
    const detail::Call<Layout> call{"backward_twice"};
    const auto in =
        call.inputs(statistics.channels(), detail::Named{"x", x}, detail::Named{"dy", dy}, detail::Named{"v", v});
    detail::check_derivative(call, in[0], affine, statistics, options);
    const auto out = call.outputs(std::tuple{detail::Named{"dx2", dx2}, detail::Named{"ddy", ddy}}, in);
    call.prepare_gradients(affine, gradients);
    detail::backward_twice(options.device, detail::views(in), detail::Linear<Scalar>{statistics, affine, {}},
                           options.gamma, options.beta, gradients.gamma, detail::views(out));
  }
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
