/// \file
/// What every public call does first: see its arguments as ChannelViews, and refuse those that do not fit, before
/// anything has changed. Types are refused by one sentence at compile time, values by one at run time.
#pragma once

#include <batchnorm/base/device.hpp>
#include <batchnorm/base/each.hpp>
#include <batchnorm/base/layout.hpp>
#include <batchnorm/base/packet.hpp>
#include <batchnorm/core/activation.hpp>
#include <batchnorm/core/gradient_sums.hpp>
#include <batchnorm/core/options.hpp>
#include <batchnorm/core/reducer.hpp>
#include <batchnorm/core/saved.hpp>
#include <batchnorm/core/statistics.hpp>
#include <batchnorm/core/weights.hpp>

#include <cmath>
#include <limits>
#include <tuple>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// How a call with explicit state runs; new fields come at the end. The activation is the call's second template
/// argument, so that a plain list of fields can be written: `normalize<L, leaky_relu>(..., {.activation =
/// leaky_relu(.2)})`.
template <class Activation>
struct FusedOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// What is applied to what the normalization gives.
  Activation activation = {};
};

/// FusedOptions for a batch whose values do not all count alike. A type of its own: who has no weights compiles no
/// passes for them. So have the others.
template <class Activation>
struct WeightedFusedOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// What is applied to what the normalization gives.
  Activation activation = {};
  /// How much each sample or position counts.
  Weights weights;
};

/// CallOptions for such a batch.
struct WeightedCallOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// How much each sample or position counts.
  Weights weights;
};

/// How a forward pass of a layer runs; new fields come at the end.
template <class Scalar>
struct ForwardOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// Where to keep what backward needs: the layer's own place, unless weights are shared by several passes.
  Saved<Scalar>* saved = nullptr;
  /// The ranks that each have a part of the batch, unless this one has it all.
  const Reducer* across = nullptr;
};

/// ForwardOptions for a batch whose values do not all count alike.
template <class Scalar>
struct WeightedForwardOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// Where to keep what backward needs: the layer's own place, unless weights are shared by several passes.
  Saved<Scalar>* saved = nullptr;
  /// How much each sample or position counts.
  Weights weights;
  /// The ranks that each have a part of the batch, unless this one has it all.
  const Reducer* across = nullptr;
};

/// How a backward pass of a layer runs; new fields come at the end.
template <class Scalar>
struct BackwardOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// What the forward pass kept: the layer's own, unless that pass was given another place.
  const Saved<Scalar>* saved = nullptr;
  /// Those of the forward pass. gradients() are then those of the whole batch on each: not to be added up over ranks.
  const Reducer* across = nullptr;
};

/// BackwardOptions for such a pass.
template <class Scalar>
struct WeightedBackwardOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// What the forward pass kept: the layer's own, unless that pass was given another place.
  const Saved<Scalar>* saved = nullptr;
  /// Those of the forward pass.
  Weights weights;
  /// Those of the forward pass. gradients() are then those of the whole batch on each: not to be added up over ranks.
  const Reducer* across = nullptr;
};

namespace detail {

template <class T>
inline constexpr bool is_options = std::same_as<T, CallOptions>;
template <class Scalar>
inline constexpr bool is_options<ForwardOptions<Scalar>> = true;
template <class Scalar>
inline constexpr bool is_options<WeightedForwardOptions<Scalar>> = true;

/// Tells an output from the options of a call without it.
template <class T>
concept NoOptions = !is_options<std::remove_cvref_t<T>>;

/// The tensors that a call reads, and those that it writes, as it was given them.
template <class... Ts>
struct Reads {};
template <class... Ts>
struct Writes {};

/// Whether an output, of the type that a call deduced for `Y&&`, is a temporary whose values nobody can read
/// afterwards.
template <class Y>
inline constexpr bool is_lost = !std::is_lvalue_reference_v<Y> && owns_memory<std::remove_cvref_t<Y>>();

/// Whether a call on tensors of parameters of type Scalar may go on. Where it may not, one sentence says why, and the
/// rest is not compiled.
template <class Layout, class Scalar, class X, class... Others, class... Outputs>
consteval bool accepts_tensors(Reads<X, Others...>, Writes<Outputs...>) {
  if constexpr (!is_parameter_type<Scalar> || !LayoutTag<Layout>) {
    static_assert(LayoutTag<Layout>,
                  "batchnorm: the first template argument is a layout: write for example "
                  "samples_in_rows, and then perhaps an activation");
    return false;  // of Scalar, its parameters have said so
  } else if constexpr (!(has_channel_view<Layout, std::remove_cvref_t<X>>() &&
                         (has_channel_view<Layout, std::remove_cvref_t<Others>>() && ...) &&
                         (has_channel_view<Layout, std::remove_cvref_t<Outputs>>() && ...))) {
    return false;
  } else if constexpr (!(((rank_of<X>() == rank_of<Others>()) && ...) &&
                         ((rank_of<X>() == rank_of<Outputs>()) && ...))) {
    static_assert(always_false<X>, "batchnorm: all tensors of a call must have the rank of x");
    return false;
  } else if constexpr (!(((is_row_major<X>() == is_row_major<Others>()) && ...) &&
                         ((is_row_major<X>() == is_row_major<Outputs>()) && ...))) {
    static_assert(always_false<X>,
                  "batchnorm: all tensors of a call must have the storage order of x: row-major or column-major");
    return false;
  } else if constexpr (!((std::same_as<scalar_t<X>, scalar_t<Others>> && ...) &&
                         (std::same_as<scalar_t<X>, scalar_t<Outputs>> && ...))) {
    static_assert(always_false<X>, "batchnorm: all tensors of a call must have the element type of x");
    return false;
  } else if constexpr (!std::same_as<statistics_t<scalar_t<X>>, Scalar>) {
    static_assert(
        always_false<X>,
        "batchnorm: the element type does not go with that of the parameters: BatchNorm<float> takes float, half and "
        "bfloat16 tensors, BatchNorm<double> double ones");
    return false;
  } else if constexpr ((std::is_const_v<element_t<Outputs>> || ...)) {
    static_assert(
        always_false<X>,
        "batchnorm: an output is const: pass a matrix or tensor that can be written, or a Map of non-const elements");
    return false;
  } else if constexpr ((is_lost<Outputs> || ...)) {
    static_assert(
        always_false<X>,
        "batchnorm: an output is a temporary, whose values would be lost: pass a variable, or a view of memory "
        "that lives on, for example y.leftCols(3) or a Map");
    return false;
  } else {
    return true;
  }
}

/// Whether an activation can be fused into a pass with so many residuals.
template <class Activation, class Scalar, std::size_t Residuals>
consteval bool accepts_activation() {
  if constexpr (!is_parameter_type<Scalar>) {
    return false;
  } else if constexpr (ResidualActivation<Activation, Scalar> && Residuals == 0) {
    static_assert(always_false<Activation>,
                  "batchnorm: the activation takes a residual: forward(x, residual, y), "
                  "backward(x, residual, dy, dx, dresidual), infer(x, residual, y)");
    return false;
  } else if constexpr (FusableActivation<Activation, Scalar> && Residuals == 1) {
    static_assert(always_false<Activation>,
                  "batchnorm: the activation takes no residual: use add_relu or one of your own");
    return false;
  } else if constexpr (!FusableActivation<Activation, Scalar> && !ResidualActivation<Activation, Scalar>) {
    static_assert(always_false<Activation>,
                  "batchnorm: an activation has forward(z), backward(z, dy) and name(): see the concept "
                  "FusableActivation");
    return false;
  } else {
    return true;
  }
}

/// Whether a call may go on, as accepts_tensors(): one without parameters, and one with a fused activation.
template <class Layout, class X, class... Others>
consteval bool accepts(Reads<X, Others...> reads) {
  if constexpr (!InMemory<X>) {
    return has_channel_view<Layout, std::remove_cvref_t<X>>();
  } else if constexpr (std::same_as<statistics_t<scalar_t<X>>, double>) {
    return accepts_tensors<Layout, double>(reads, Writes<>());
  } else {
    return accepts_tensors<Layout, float>(reads, Writes<>());
  }
}
template <class Layout, class Scalar, class Activation, std::size_t Residuals, class Inputs, class Outputs = Writes<>>
consteval bool accepts(Inputs inputs, Outputs outputs = {}) {
  if constexpr (accepts_activation<Activation, Scalar, Residuals>()) {
    return accepts_tensors<Layout, Scalar>(inputs, outputs);
  } else {
    return false;
  }
}

/// Whether x can be recovered from what the activation gave.
template <class Activation, class Scalar>
consteval bool accepts_inverse() {
  static_assert(InvertibleActivation<Activation, Scalar>,
                "batchnorm: backward_from_output needs an activation that has an inverse, as identity and leaky_relu "
                "have; for others use backward, which takes x");
  return InvertibleActivation<Activation, Scalar>;
}

/// A tensor and the name that messages call it by.
template <class T>
struct Named {
  const char* name;
  T& tensor;
};
template <class T>
Named(const char*, T&) -> Named<T>;

/// A validated tensor argument.
template <class Element, std::size_t Rank>
struct Argument {
  const char* name;
  ShapeText<Rank> shape;
  ChannelView<Element> view;
};

/// What the kernels see of them.
template <class Element, std::size_t Rank, std::size_t N>
std::array<ChannelView<Element>, N> views(const std::array<Argument<Element, Rank>, N>& arguments) {
  return each(arguments, [](const auto& argument) { return argument.view; });
}

/// Of each argument.
template <class Element, std::size_t Rank, std::size_t N>
std::array<Fingerprint, N> fingerprints_of(const std::array<Argument<Element, Rank>, N>& arguments) {
  return each(arguments, [](const auto& argument) { return Fingerprint::of(argument.view); });
}

/// A public call on tensors of this layout, under the name that its error messages begin with.
template <class Layout>
struct Call {
  const char* name;

  explicit Call(const char* call) : name(call) { check_program(call); }

  /// The tensors to read, of the same extents.
  template <class X, class... Others>
  auto inputs(const Named<X>& x, const Named<Others>&... others) const {
    const std::array arguments{argument<const scalar_t<X>>(x), argument<const scalar_t<X>>(others)...};
    for (const auto& other : arguments) check_extents<X>(other, arguments[0]);
    return arguments;
  }

  /// The same, of a known number of channels.
  template <class X, class... Others>
  auto inputs(Index channels, const Named<X>& x, const Named<Others>&... others) const {
    const auto first = argument<const scalar_t<X>>(x);
    if (first.view.channels != channels) {
      fail(name, "(", x.name, "): expected ", channels, " channels on axis ", Layout::template axis<rank_of<X>()>(),
           " (", Layout::name(), "), got ", first.view.channels, "; ", x.name, " is ", first.shape);
    }
    return inputs(x, others...);
  }

  /// A tensor to write. If it is empty it takes the extents of the inputs. Each tensor that is read must be the same
  /// memory or apart from it.
  template <class Y, class Element, std::size_t Rank, std::size_t N>
  auto output(const Named<Y>& y, const std::array<Argument<Element, Rank>, N>& inputs) const {
    resize_if_empty(y.tensor, inputs[0].shape.extents);
    const auto result = argument<scalar_t<Y>>(y);
    check_extents<Y>(result, inputs[0]);
    for (const auto& input : inputs) check_apart(result, input);
    return result;
  }

  /// That an argument is the one that the forward pass had or gave, as its fingerprint tells.
  template <class Input>
  void check_same(const Input& x, const SavedTensors& saved, const Fingerprint& expected, const char* remedy) const {
    if (saved.extents.empty()) {
      fail(name, "(", x.name, "): expected a forward pass before, got none; call forward(x, y) first");
    }
    const auto& extents = x.shape.extents;
    if (!std::equal(extents.begin(), extents.end(), saved.extents.begin(), saved.extents.end())) {
      fail(name, "(", x.name, "): expected the ", x.name, " of the last forward pass, got other extents; ", x.name,
           " is ", x.shape);
    }
    constexpr int axis = Layout::template axis<int(std::tuple_size_v<std::remove_cvref_t<decltype(extents)>>)>();
    if (axis != saved.channel_axis) {
      fail(name, "(", x.name, "): expected the channels on axis ", saved.channel_axis,
           ", as in the forward pass, got a layer that has them on axis ", axis, " (", Layout::name(), "); ", x.name,
           " is ", x.shape);
    }
    if (Fingerprint::of(x.view) != expected) {
      fail(name, "(", x.name, "): expected the ", x.name, " of the last forward pass, got other values: ", remedy, "; ",
           x.name, " is ", x.shape);
    }
  }

  /// That the weights are those of the forward pass, as their fingerprint and their sum tell.
  template <class Weights, class Scalar, class Input>
  void check_same_weights(const Weights& weights, const Saved<Scalar>& saved, const Input& x) const {
    const Fingerprint none, expected = saved.tensors.weights, got = Fingerprint::of(weights.view());
    if (got == expected && (got == none || saved.tensors.count == weights.total(x.view))) return;
    fail(name, "(weights): expected ",
         expected == none ? "none, as in the forward pass, got some"
         : got == none    ? "those of the forward pass, got none; pass them again as options: {.weights = weights}"
                          : "those of the forward pass, got others",
         "; ", x.name, " is ", x.shape);
  }

  /// That the ranks are as many as in the forward pass.
  void check_same_ranks(const Reducer* across, const SavedTensors& saved) const {
    const int expected = saved.ranks, got = ranks_of(across);
    if (got == expected) return;
    fail(name, "(across): expected the ranks of the forward pass, ", expected, " of them (0: none), got ", got,
         "; say {.across = &ranks} in both passes or in neither");
  }

  /// One tensor or two to write; two must be apart from each other.
  template <class Y, class Inputs>
  auto outputs(const std::tuple<Named<Y>>& y, const Inputs& inputs) const {
    return std::array{output(std::get<0>(y), inputs)};
  }
  template <class Y, class Other, class Inputs>
  auto outputs(const std::tuple<Named<Y>, Named<Other>>& ys, const Inputs& inputs) const {
    const std::array result{output(std::get<0>(ys), inputs), output(std::get<1>(ys), inputs)};
    if (views_meet<const scalar_t<Y>>(result[0].view, result[1].view)) {
      fail(name, "(", result[1].name, "): expected memory apart from that of ", result[0].name,
           ", got memory that meets it; ", result[1].name, " is ", result[1].shape);
    }
    return result;
  }

  /// The weights of the values of x, by position.
  template <class Scalar, class Input>
  std::vector<Scalar> weights(const Weights& weights, const Input& x) const {
    constexpr int rank = int(std::tuple_size_v<decltype(x.shape.extents)>);
    return weights_by_position<Scalar>(name, weights, x.shape, std::size_t(Layout::template axis<rank>()));
  }

  /// That there is something to take statistics of.
  template <class Input>
  void check_not_empty(const Input& x) const {
    if (x.view.size() == 0) {
      fail(name, "(", x.name, "): expected at least 1 value per channel to take statistics of, got none; ", x.name,
           " is ", x.shape);
    }
  }
  /// The same of values with this weight in all.
  template <class Input>
  void check_not_empty(const Input& x, double weight) const {
    if (weight > 0 && x.view.channels > 0) return;
    check_not_empty(x);
    fail(name, "(weights): expected a weight above 0 somewhere, got none; ", x.name, " is ", x.shape);
  }

  /// That statistics are constants or those of all of x, whose values have this weight, but for the rounding of sums of
  /// weights: sums over a part of the batch would be divided by the count of the whole. An empty part has no gradients
  /// that could be wrong.
  template <class Input>
  void check_whole_batch(const Statistics& statistics, const Input& x, double count) const {
    if (statistics.count == 0 || x.view.count() == 0) return;
    if (std::abs(statistics.count - count) <= rounding_of_weights * count) return;
    fail(name, "(statistics): expected statistics of the ", count, " values per channel of ", x.name,
         ", got statistics of ", statistics.count,
         "; for a part of a batch call gradient_sums on each part, add the sums, and call input_gradient; ", x.name,
         " is ", x.shape);
  }

  /// That statistics are constants or those of a batch that x, whose values have this weight, may be a part of: but for
  /// the rounding of sums of weights.
  template <class Input>
  void check_part_of_batch(const Statistics& statistics, const Input& x, double count) const {
    if (statistics.count == 0 || count <= statistics.count * (1 + rounding_of_weights)) return;
    fail(name, "(statistics): expected statistics of a batch that ", x.name, " is a part of, of at least ", count,
         " values per channel, got statistics of ", statistics.count, "; merge the moments of all parts; ", x.name,
         " is ", x.shape);
  }

  /// That of the channels of a T.
  template <class T>
  static consteval int channel_axis() {
    return Layout::template axis<rank_of<T>()>();
  }

  void check_size(const char* values, Index size, Index channels) const {
    if (size != channels) fail(name, ": expected ", channels, " values in ", values, ", got ", size);
  }

  /// Parameters, of which each may be absent.
  template <class Scalar>
  void check_affine(const AffineParameters<Scalar>& affine, Index channels) const {
    if (affine.gamma.size() != 0) check_size("affine.gamma", affine.gamma.size(), channels);
    if (affine.beta.size() != 0) check_size("affine.beta", affine.beta.size(), channels);
  }

  void check_statistics(const Statistics& statistics, Index channels) const {
    check_size("statistics.mean", statistics.mean.size(), channels);
    check_size("statistics.inv_std", statistics.inv_std.size(), channels);
  }

  void check_sums(const GradientSums& sums, Index channels) const {
    check_size("sums.dy", sums.dy.size(), channels);
    check_size("sums.dy_x", sums.dy_x.size(), channels);
  }

  /// Gradients follow their parameters: an empty one starts at zero, one without a parameter stays empty.
  template <class Scalar>
  void prepare_gradients(const AffineParameters<Scalar>& affine, Gradients<Scalar>& gradients) const {
    const Index gammas = affine.gamma.size(), betas = affine.beta.size();
    if (gradients.gamma.size() != 0) check_size("gradients.gamma", gradients.gamma.size(), gammas);
    if (gradients.beta.size() != 0) check_size("gradients.beta", gradients.beta.size(), betas);
    if (gradients.gamma.size() == 0) gradients.gamma.setZero(gammas);
    if (gradients.beta.size() == 0) gradients.beta.setZero(betas);
  }

  /// That x can be recovered from y = gamma * x_hat + beta, stored as Element: dividing by gamma blows up the rounding
  /// of y by |beta / gamma|, and of a tiny gamma y has lost its digits.
  template <class Element, class Scalar>
  void check_recoverable(const ChannelArray<Scalar>& gammas, const ChannelArray<Scalar>& betas, Index channels) const {
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

 private:
  static constexpr double rounding_of_weights = 1e-9;

  template <class Element, class T>
  auto argument(const Named<T>& t) const {
    constexpr std::size_t rank = rank_of<T>();
    return Argument<Element, rank>{t.name, ShapeText<rank>{extents_of(t.tensor), is_row_major<T>()},
                                   channel_view<Layout>(t.tensor, t.name)};
  }

  template <class T, class Tensor, class First>
  void check_extents(const Tensor& t, const First& first) const {
    if (t.shape.extents == first.shape.extents) return;
    fail(name, "(", t.name, "): expected the extents of ", first.name, ", ", first.shape, ", got ", t.shape, "; say ",
         t.name, Dense<T> ? ".resizeLike(" : ".resize(", first.name, Dense<T> ? ")" : ".dimensions())");
  }

  template <class Output, class Input>
  void check_apart(const Output& y, const Input& x) const {
    const decltype(x.view) written = y.view;
    if (same_memory(written, x.view) || !views_meet(written, x.view)) return;
    fail(name, "(", y.name, "): expected memory of its own or exactly that of ", x.name,
         ", got memory that overlaps part of ", x.name, "; ", y.name, " is ", y.shape);
  }
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
