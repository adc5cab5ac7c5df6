/// \file
/// What every public call does first: see its arguments as ChannelViews, and refuse those that do not fit, before
/// anything has changed.
#pragma once

#include <batchnorm/base/layout.hpp>
#include <batchnorm/base/packet.hpp>
#include <batchnorm/core/activation.hpp>
#include <batchnorm/core/gradient_sums.hpp>
#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/options.hpp>
#include <batchnorm/core/running_statistics.hpp>
#include <batchnorm/core/saved.hpp>

#include <cmath>
#include <limits>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// A tensor argument that was looked at; T is its type, for the checks that need it.
template <class T>
struct Argument {
  const char* name;
  ShapeText<std::size_t(rank_of<T>())> shape;
  ChannelView<element_t<T>> view;
};

/// What an argument of a type that was refused goes on as, a matrix without elements: so the rest of the call compiles,
/// and the compiler says nothing but the refusal.
template <class Scalar>
struct Refused : Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> {};

template <class T>
inline constexpr bool is_refused = false;
template <class Scalar>
inline constexpr bool is_refused<Refused<Scalar>> = true;
template <class Scalar>
inline constexpr bool is_refused<const Refused<Scalar>> = true;

/// The type of the parameters that go with an X; any, if X will be refused.
template <class X>
struct parameters_of {
  using type = float;
};
template <InMemory X>
requires(std::same_as<scalar_t<X>, double>) struct parameters_of<X> {
  using type = double;
};

/// What the kernels read: the views of arguments of the same extents.
template <class X, class... Others>
auto views(const Argument<X>& x, const Argument<Others>&... others) {
  using View = ChannelView<const scalar_t<X>>;
  return std::array<View, 1 + sizeof...(Others)>{View(x.view), View(others.view)...};
}

/// A public call on tensors of this layout and type, under the name that its error messages begin with.
template <class Layout, class Scalar>
struct Call {
  const char* name;

  explicit Call(const char* call) : name(call) { check_program(call); }

  /// A tensor to read, the first of the call: the others must have its extents and storage order.
  template <class X>
  auto input(const char* argument, const X& x) const {
    if constexpr (takes<X>()) {
      const auto view = channel_view<Layout>(x, argument);
      return Argument<const X>{argument, {extents_of(x), is_row_major<X>()}, view};
    } else {
      return Argument<const Refused<Scalar>>{argument, {}, {}};
    }
  }

  /// The same, of a known number of channels.
  template <class X>
  auto input(const char* argument, const X& x, Index channels) const {
    const auto result = input(argument, x);
    if (result.view.channels != channels) {
      fail(name, "(", argument, "): expected ", channels, " channels on axis ", axis<X>(), " (", Layout::name(),
           "), got ", result.view.channels, "; ", argument, " is ", result.shape);
    }
    return result;
  }

  /// Another tensor to read.
  template <class X, class First>
  auto input_like(const Argument<First>& first, const char* argument, const X& x) const {
    if constexpr (takes_beside<X, First>()) {
      const auto result = input(argument, x);
      check_extents(result, first);
      return result;
    } else {
      return Argument<const Refused<scalar_t<First>>>{argument, {}, {}};
    }
  }

  /// A tensor to write. If it is empty it takes the first one's extents. Each tensor that is read must be the same
  /// memory or apart from it.
  template <class Y, class First, class... Others>
  auto output(const char* argument, Y& y, const Argument<First>& first, const Argument<Others>&... others) const {
    if constexpr (writes<Y, First, Others...>()) {
      resize_if_empty(y, first.shape.extents);
      const auto view = channel_view<Layout>(y, argument);
      const Argument<Y> result{argument, {extents_of(y), is_row_major<Y>()}, view};
      check_extents(result, first);
      check_apart(result, first);
      (check_apart(result, others), ...);
      return result;
    } else {
      return Argument<Refused<scalar_t<First>>>{argument, {}, {}};
    }
  }

  /// A second tensor to write, which must be apart from the first.
  template <class Y, class Written, class First, class... Others>
  auto second_output(const char* argument, Y& y, const Argument<Written>& written, const Argument<First>& first,
                     const Argument<Others>&... others) const {
    const auto result = output(argument, y, first, others...);
    const auto [a, b] = views(result, written);
    if (views_meet(a, b)) {
      fail(name, "(", argument, "): expected memory apart from that of ", written.name, ", got memory that meets it; ",
           argument, " is ", result.shape);
    }
    return result;
  }

  /// The activation of a call with so many residuals. In the place of a refused one goes one that fits.
  template <int Residuals = 0, class Activation>
  static constexpr auto activation(const Activation& given) {
    constexpr bool takes_residual = ResidualActivation<Activation, Scalar>;
    constexpr bool takes_none = batchnorm::Activation<Activation, Scalar>;
    static_assert(takes_residual || takes_none,
                  "batchnorm: an activation has forward(z), backward(z, dy) and name(): see the concept Activation");
    static_assert(takes_none || !takes_residual || Residuals == 1,
                  "batchnorm: the activation takes a residual: train_forward(x, residual, affine, epsilon, y, moments, "
                  "activation), train_backward(x, residual, dy, affine, moments, epsilon, dx, dresidual, gradients, "
                  "activation)");
    static_assert(takes_residual || !takes_none || Residuals == 0,
                  "batchnorm: the activation takes no residual: use one that does, as add_relu, or leave it out");
    if constexpr (Residuals == 0 ? takes_none : takes_residual) {
      return given;
    } else if constexpr (Residuals == 0) {
      return activations::identity{};
    } else {
      return add_relu{};
    }
  }

  /// The activation of a call that goes back from y, likewise.
  template <class Activation>
  static constexpr auto invertible(const Activation& given) {
    constexpr bool has_inverse = InvertibleActivation<Activation, Scalar>;
    static_assert(has_inverse,
                  "batchnorm: train_backward_from_output needs an activation that has an inverse, as identity and "
                  "leaky_relu have; for others use train_backward, which takes x");
    if constexpr (has_inverse) {
      return given;
    } else {
      return activations::identity{};
    }
  }

  /// That x can be recovered from y = gamma * x_hat + beta, stored as Element: dividing by gamma blows up the rounding
  /// of y by |beta / gamma|, and of a tiny gamma y has lost its digits.
  template <class Y>
  void check_recoverable(const Argument<Y>&, const ChannelArray<Scalar>& gammas, const ChannelArray<Scalar>& betas,
                         Index channels) const {
    using Element = scalar_t<Y>;
    constexpr double most = 1024;
    // 2^(1 - digits): numeric_limits<Eigen::half>::epsilon() is an eighth of that in Eigen 3.4.
    const double epsilon = std::ldexp(1.0, 1 - std::numeric_limits<Element>::digits);
    const double least = static_cast<double>(std::numeric_limits<Element>::min()) / epsilon;
    for (Index c = 0; c < channels; ++c) {
      const double gamma = gammas.size() == 0 ? 1 : static_cast<double>(gammas[c]);
      const double beta = betas.size() == 0 ? 0 : static_cast<double>(betas[c]);
      if (std::abs(gamma) >= least && std::abs(gamma) * most >= std::abs(beta)) continue;
      fail(name, "(y): expected |gamma| >= max(", least, ", |beta| / ", most,
           ") in every channel, to recover the input from y, got gamma ", gamma, " and beta ", beta, " in channel ", c,
           "; the backward pass that takes x has no such limit");
    }
  }

  void check_size(const char* parameter, Index size, Index channels) const {
    if (size != channels) fail(name, ": expected ", channels, " values in ", parameter, ", got ", size);
  }

  /// Parameters, of which each may be absent.
  template <class Parameters>
  void check_parameters(const char* gamma, const char* beta, const Parameters& parameters, Index channels) const {
    if (parameters.gamma.size() != 0) check_size(gamma, parameters.gamma.size(), channels);
    if (parameters.beta.size() != 0) check_size(beta, parameters.beta.size(), channels);
  }

  void check_affine(const AffineParameters<Scalar>& affine, Index channels) const {
    check_parameters("affine.gamma", "affine.beta", affine, channels);
  }

  /// The parameters of a layer, which its user may have assigned.
  template <class LayerOptions>
  void check_owned(const AffineParameters<Scalar>& affine, const Gradients<Scalar>& gradients,
                   const LayerOptions& options) const {
    const Index scales = options.scale ? options.channels : 0, shifts = options.shift ? options.channels : 0;
    check_size("affine().gamma", affine.gamma.size(), scales);
    check_size("affine().beta", affine.beta.size(), shifts);
    check_size("gradients().gamma", gradients.gamma.size(), scales);
    check_size("gradients().beta", gradients.beta.size(), shifts);
  }

  /// That an argument is the one that the forward pass had or gave, as its fingerprint tells.
  template <class X>
  void check_saved(const Saved<Scalar>& saved, const Argument<X>& x, const Fingerprint& expected,
                   const char* remedy) const {
    if (saved.extents.empty()) {
      fail(name, "(", x.name, "): expected a forward pass before, got none; call forward(x, y) first");
    }
    const auto& extents = x.shape.extents;
    if (!std::equal(extents.begin(), extents.end(), saved.extents.begin(), saved.extents.end())) {
      fail(name, "(", x.name, "): expected the ", x.name, " of the last forward pass, got other extents; ", x.name,
           " is ", x.shape);
    }
    constexpr int axis = Layout::template axis<rank_of<X>()>();
    if (axis != saved.channel_axis) {
      fail(name, "(", x.name, "): expected the channels on axis ", saved.channel_axis,
           ", as in the forward pass, got a layer that has them on axis ", axis, " (", Layout::name(), "); ", x.name,
           " is ", x.shape);
    }
    if (Fingerprint::of(views(x)[0]) != expected) {
      fail(name, "(", x.name, "): expected the ", x.name, " of the last forward pass, got other values: ", remedy, "; ",
           x.name, " is ", x.shape);
    }
  }

  /// Running statistics to normalize with.
  void check_running(const RunningStatistics& running, Index channels) const {
    check_size("running.mean", running.mean.size(), channels);
    check_size("running.variance", running.variance.size(), channels);
    running.check_usable(name);
  }

  void check_moments(const Moments& moments, Index channels) const {
    check_size("moments.mean", moments.mean.size(), channels);
    check_size("moments.m2", moments.m2.size(), channels);
    if (moments.count < 1) fail(name, ": expected moments of at least 1 value per channel, got ", moments.count);
  }

  /// That moments are those of all of x: sums over a part of the batch would be divided by the count of the whole. An
  /// empty part has no gradients that could be wrong.
  template <class X>
  void check_whole_batch(const Moments& moments, const Argument<X>& x) const {
    const Index count = x.view.count();
    if (moments.count == count || count == 0) return;
    fail(name, "(moments): expected moments of the ", count, " values per channel of ", x.name, ", got moments of ",
         moments.count,
         "; for a part of a batch call gradient_sums on each part, add the sums, and call input_gradient; ", x.name,
         " is ", x.shape);
  }

  /// That x may be a part of the batch that moments are of.
  template <class X>
  void check_part_of_batch(const Moments& moments, const Argument<X>& x) const {
    if (x.view.count() <= moments.count) return;
    fail(name, "(moments): expected moments of a batch that ", x.name, " is a part of, of at least ", x.view.count(),
         " values per channel, got moments of ", moments.count, "; merge those of all parts; ", x.name, " is ",
         x.shape);
  }

  void check_sums(const GradientSums& sums, Index channels) const {
    check_size("sums.dy", sums.dy.size(), channels);
    check_size("sums.dy_x", sums.dy_x.size(), channels);
  }

  /// Gradients follow their parameters: an empty one starts at zero, one without a parameter stays empty.
  void prepare_gradients(const AffineParameters<Scalar>& affine, Gradients<Scalar>& gradients) const {
    const auto prepare = [&](const char* gradient, Index size, ChannelArray<Scalar>& values) {
      if (values.size() == 0) values.setZero(size);
      check_size(gradient, values.size(), size);
    };
    prepare("gradients.gamma", affine.gamma.size(), gradients.gamma);
    prepare("gradients.beta", affine.beta.size(), gradients.beta);
  }

  template <class X>
  void check_not_empty(const Argument<X>& x) const {
    if (x.view.size() == 0) {
      fail(name, "(", x.name, "): expected at least 1 value per channel to take statistics of, got none; ", x.name,
           " is ", x.shape);
    }
  }

 private:
  // Whether the call takes a type. If not, the compiler says why, here and nowhere else: then the argument is Refused.

  template <class X>
  static consteval bool takes() {
    if constexpr (!is_parameter_type<Scalar> || !has_channel_view<Layout, X>()) {
      return false;
    } else {
      constexpr bool fits = std::same_as<statistics_t<scalar_t<X>>, Scalar>;
      static_assert(
          fits,
          "batchnorm: the element type does not go with that of the parameters: BatchNorm<float> takes float, half and "
          "bfloat16 tensors, BatchNorm<double> double ones");
      return fits;
    }
  }

  /// A T beside the first tensor.
  template <class T, class First>
  static consteval bool takes_beside() {
    if constexpr (is_refused<First>) {
      return false;
    } else if constexpr (!InMemory<T>) {
      return has_channel_view<Layout, std::remove_const_t<T>>();
    } else {
      constexpr bool rank = rank_of<T>() == rank_of<First>();
      constexpr bool storage_order = is_row_major<T>() == is_row_major<First>();
      constexpr bool element = std::same_as<scalar_t<T>, scalar_t<First>>;
      static_assert(rank, "batchnorm: all tensors of a call must have the rank of x");
      static_assert(!rank || storage_order,
                    "batchnorm: all tensors of a call must have the storage order of x: row-major or column-major");
      static_assert(!rank || !storage_order || element,
                    "batchnorm: all tensors of a call must have the element type of x");
      if constexpr (rank && storage_order && element) {
        return has_channel_view<Layout, std::remove_const_t<T>>();
      } else {
        return false;
      }
    }
  }

  template <class Y, class First, class... Others>
  static consteval bool writes() {
    if constexpr ((is_refused<Others> || ...) || !takes_beside<Y, First>()) {
      return false;
    } else {
      constexpr bool writable = !std::is_const_v<element_t<Y>>;
      static_assert(
          writable,
          "batchnorm: an output is const: pass a matrix or tensor that can be written, or a Map of non-const elements");
      return writable;
    }
  }

  /// The channel axis of an X; any, if it was refused.
  template <class X>
  static consteval int axis() {
    if constexpr (takes<X>()) {
      return Layout::template axis<rank_of<X>()>();
    } else {
      return 0;
    }
  }

  template <class T, class First>
  void check_extents(const Argument<T>& t, const Argument<First>& first) const {
    if (t.shape.extents == first.shape.extents) return;
    fail(name, "(", t.name, "): expected the extents of ", first.name, ", ", first.shape, ", got ", t.shape, "; say ",
         t.name, Dense<T> ? ".resizeLike(" : ".resize(", first.name, Dense<T> ? ")" : ".dimensions())");
  }

  template <class Y, class X>
  void check_apart(const Argument<Y>& y, const Argument<X>& x) const {
    const ChannelView<const scalar_t<Y>> written = y.view, read = x.view;
    if (same_memory(written, read) || !views_meet(written, read)) return;
    fail(name, "(", y.name, "): expected memory of its own or exactly that of ", x.name,
         ", got memory that overlaps part of ", x.name, "; ", y.name, " is ", y.shape);
  }
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
