/// \file
/// The batch normalization layer: parameters, running statistics and what backward needs, with a mode switch.
#pragma once

#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/forward.hpp>

#include <sstream>
#include <string>
#include <tuple>
#include <utility>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// A batch normalization layer.
///
///   training:   y = activation(gamma (x - mean(x)) / sqrt(variance(x) + epsilon) + beta), statistics by channel
///   inference:  the same with running().mean and running().variance
///
/// `Scalar`, float or double, is the type of the parameters and of the arithmetic on x, and that of x; with float x may
/// be half or bfloat16 too. Statistics are in double. `Layout` names the axis of the channels. `Activation` is fused: forward applies
/// it to what the normalization gives, backward goes through it. With add_relu, or an activation of the user's own that
/// takes a residual, the calls take that after x.
///
/// A copy is a layer of its own with the same parameters, statistics and saved forward pass.
///
/// Source   Ioffe & Szegedy 2015, "Batch Normalization", arXiv:1502.03167, Algorithms 1 and 2.
template <class Scalar, class Layout = samples_in_rows, class Activation = activations::identity>
class BatchNorm {
  static_assert(std::same_as<Scalar, float> || std::same_as<Scalar, double>,
                "batchnorm: Scalar is the type of the parameters: use BatchNorm<float> or BatchNorm<double>");
  static constexpr bool takes_residual = ResidualActivation<Activation, Scalar>;
  static constexpr bool has_activation = takes_residual || batchnorm::Activation<Activation, Scalar>;
  static_assert(
      detail::LayoutTag<Layout>,
      "batchnorm: the second parameter is a layout: write for example BatchNorm<float, samples_in_rows, relu>");
  static_assert(!detail::is_parameter_type<Scalar> || !detail::LayoutTag<Layout> || has_activation,
                "batchnorm: an activation has forward(z), backward(z, dy) and name(): see the concept Activation");
  /// Whether infer takes so many arguments.
  template <class... Args>
  static consteval bool infers() {
    const int tensors = (0 + ... + int(!Device<Args>));
    return 1 <= tensors && tensors <= 2 + int(takes_residual);
  }
  /// Whether the layer itself was not refused; its AffineParameters refuse a Scalar.
  static constexpr bool is_valid = detail::is_parameter_type<Scalar> && detail::LayoutTag<Layout> && has_activation;

 public:
  /// Throws   std::invalid_argument unless options.channels >= 1, options.epsilon > 0 and 1 / sqrt(epsilon) is a Scalar
  explicit BatchNorm(const Options& options, const Activation& activation = {})
      : options_(detail::checked<Scalar>(options)),
        mode_(options.mode),
        activation_(activation),
        affine_(options.channels, options.scale, options.shift),
        gradients_(options.channels, options.scale, options.shift),
        running_(options.channels),
        moments_(options.channels),
        incoming_(options.channels) {}
  /// Refused: a bare number does not say what it is.
  template <class Refused = void>
  explicit BatchNorm(Index channels) : BatchNorm(Options{.channels = channels}) {
    static_assert(detail::never<Refused> || !is_valid,
                  "batchnorm: options have names: write BatchNorm<float> norm({.channels = 2})");
  }

  /// Normalizes x as the mode says and keeps what backward needs in saved().
  ///
  /// Shapes   x, y: the same extents, rank >= 2
  /// Aliasing y may be x; backward then needs a copy of the original x
  /// State    saved(), moments() where the mode reads the batch, running() where it updates them
  /// Cost     reads x twice (once on running statistics) and writes y once; under NonFinite::error the second reading
  ///          is from memory
  /// Throws   std::invalid_argument if x does not have options().channels channels, if y has other extents or overlaps
  ///          a part of x, if a parameter was given another size, on empty x or single values per channel where the
  ///          mode reads the batch, and where running() is used or blended into and has a value that is not finite or a
  ///          variance below zero; on statistics of x that are not finite under NonFinite::error, before y is written;
  ///          no state has changed then
  /// Threads  one call at a time per layer; the number of threads of the device changes no bit of the result
  template <Device D, class X, class Y>
  void forward(const D& device, const X& x, Y&& y) {
    detail::check_outputs<Y>();
    run_forward(detail::executor(device), saved_, y, x);
  }
  /// The same, keeping what backward needs in the caller's `saved`: for weights that are shared by several passes.
  template <Device D, class X, class Y>
  void forward(const D& device, const X& x, Y&& y, Saved<Scalar>& saved) {
    detail::check_outputs<Y>();
    run_forward(detail::executor(device), saved, y, x);
  }
  /// The same for an activation with a residual, which has the extents of x and is read once. y may be the residual.
  template <Device D, class X, class R, class Y>
  requires takes_residual void forward(const D& device, const X& x, const R& residual, Y&& y) {
    detail::check_outputs<Y>();
    run_forward(detail::executor(device), saved_, y, x, residual);
  }

  /// Gradients of the last forward pass that was kept in the layer; x is what that pass was given.
  ///
  /// dx follows the mode that forward ran in: through batch statistics or, if y was normalized with running ones,
  /// dx = dz * gamma * inv_std.
  ///
  /// Shapes   x, dy, dx: the extents of forward's x
  /// Aliasing dx may be x or dy
  /// State    adds to gradients(), unless forward ran in a mode without parameter gradients
  /// Cost     reads x and dy twice, writes dx once; half of the reading on running statistics without parameter
  ///          gradients
  /// Throws   std::invalid_argument if there was no forward, if x is another one than forward's or was overwritten
  ///          since (told by its extents and a hash of about a hundred of its elements, of all if they are few), if that
  ///          ran with another activation, if dy or dx have other extents, or if dx overlaps a part of x or dy
  /// Threads  as forward
  template <Device D, class X, class DY, class DX>
  void backward(const D& device, const X& x, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    run_backward(detail::executor(device), saved_, x, dy, dx);
  }
  /// The same for the forward pass that filled `saved`.
  template <Device D, class X, class DY, class DX>
  void backward(const D& device, const Saved<Scalar>& saved, const X& x, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    run_backward(detail::executor(device), saved, x, dy, dx);
  }
  /// The same for an activation with a residual, whose gradient is the one that reaches z: dresidual = dz.
  ///
  /// Aliasing dx and dresidual may each be x, residual or dy, not each other
  /// Cost     reads the residual as often as x, and writes dresidual once
  template <Device D, class X, class R, class DY, class DX, class DR>
  requires takes_residual void backward(const D& device, const X& x, const R& residual, const DY& dy, DX&& dx,
                                        DR&& dresidual) {
    detail::check_outputs<DX, DR>();
    run_residual_backward(detail::executor(device), x, residual, dy, dx, dresidual);
  }

  /// backward from y, the output of the last forward pass, where x has been overwritten, by y itself perhaps: so a
  /// network trains with one tensor for each layer less. For activations with an inverse: identity and leaky_relu.
  ///
  ///   x_hat = (activation^-1(y) - beta) / gamma
  ///
  /// The rounding of y enters: x_hat errs by about epsilon (1 + |beta / gamma|) / 2, epsilon that of the element type.
  ///
  /// Source   Rota Bulo, Porzi & Kontschieder 2018, "In-Place Activated BatchNorm", arXiv:1712.02616, section 3.
  /// Shapes   y, dy, dx: the extents of forward's x
  /// Aliasing dx may be y or dy
  /// State    as backward
  /// Cost     as backward
  /// Throws   as backward, if y is another one than forward's, and where |gamma| < |beta| / 1024 or tiny in any channel
  /// Threads  as forward
  template <Device D, class Y, class DY, class DX>
  void backward_from_output(const D& device, const Y& y, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    run_backward_from_output(detail::executor(device), saved_, y, dy, dx);
  }
  /// The same for the forward pass that filled `saved`.
  template <Device D, class Y, class DY, class DX>
  void backward_from_output(const D& device, const Saved<Scalar>& saved, const Y& y, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    run_backward_from_output(detail::executor(device), saved, y, dy, dx);
  }

  /// Normalizes with the running statistics, whatever the mode, and keeps nothing. An empty x is a no-op.
  ///
  /// Shapes   x, y: the same extents, rank >= 2
  /// Aliasing y may be x
  /// Cost     reads x once and writes y once
  /// Throws   as forward
  /// Threads  safe from many threads at once, as long as no other call changes the layer
  template <Device D, class X, class Y>
  void infer(const D& device, const X& x, Y&& y) const {
    detail::check_outputs<Y>();
    run_infer(detail::executor(device), y, x);
  }
  /// The same for an activation with a residual.
  template <Device D, class X, class R, class Y>
  requires takes_residual void infer(const D& device, const X& x, const R& residual, Y&& y) const {
    detail::check_outputs<Y>();
    run_infer(detail::executor(device), y, x, residual);
  }
  /// The same into a new Matrix, Array or Tensor.
  template <Device D, class X>
  auto infer(const D& device, const X& x) const {
    detail::plain_t<X> y;
    infer(device, x, y);
    return y;
  }

  /// The calls above on the calling thread.
  template <class X, class Y>
  void forward(const X& x, Y&& y) {
    detail::check_outputs<Y>();
    forward(detail::CallingThread{}, x, y);
  }
  template <class X, class Y>
  void forward(const X& x, Y&& y, Saved<Scalar>& saved) {
    detail::check_outputs<Y>();
    forward(detail::CallingThread{}, x, y, saved);
  }
  template <class X, class DY, class DX>
  void backward(const X& x, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    backward(detail::CallingThread{}, x, dy, dx);
  }
  template <class X, class DY, class DX>
  void backward(const Saved<Scalar>& saved, const X& x, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    backward(detail::CallingThread{}, saved, x, dy, dx);
  }
  template <class X, class R, class Y>
  requires(takes_residual && !Device<X>) void forward(const X& x, const R& residual, Y&& y) {
    detail::check_outputs<Y>();
    forward(detail::CallingThread{}, x, residual, y);
  }
  template <class X, class R, class DY, class DX, class DR>
  requires(takes_residual && !Device<X>) void backward(const X& x, const R& residual, const DY& dy, DX&& dx,
                                                       DR&& dresidual) {
    detail::check_outputs<DX, DR>();
    backward(detail::CallingThread{}, x, residual, dy, dx, dresidual);
  }
  template <class Y, class DY, class DX>
  void backward_from_output(const Y& y, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    backward_from_output(detail::CallingThread{}, y, dy, dx);
  }
  template <class Y, class DY, class DX>
  void backward_from_output(const Saved<Scalar>& saved, const Y& y, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    backward_from_output(detail::CallingThread{}, saved, y, dy, dx);
  }
  template <class X, class Y>
  requires(!Device<X>) void infer(const X& x, Y&& y) const {
    detail::check_outputs<Y>();
    infer(detail::CallingThread{}, x, y);
  }
  template <class X, class R, class Y>
  requires(takes_residual && !Device<X>) void infer(const X& x, const R& residual, Y&& y) const {
    detail::check_outputs<Y>();
    infer(detail::CallingThread{}, x, residual, y);
  }
  template <class X>
  auto infer(const X& x) const {
    return infer(detail::CallingThread{}, x);
  }

  /// Refused: calls on a const layer, and all that the declarations above do not take.
  template <class... Args>
  void forward(const Args&...) const {
    static_assert(detail::never<Args...> || !is_valid,
                  "batchnorm: forward takes ([device,] x, y[, saved]), or ([device,] x, residual, y) where the "
                  "activation has a residual; it updates statistics and keeps what backward needs, so on a const layer "
                  "call infer(x, y)");
  }
  template <class... Args>
  void backward(const Args&...) const {
    static_assert(detail::never<Args...> || !is_valid,
                  "batchnorm: backward takes ([device,] [saved,] x, dy, dx), or ([device,] x, residual, dy, dx, "
                  "dresidual) where the activation has a residual; it adds to gradients(), so the layer must not be "
                  "const");
  }
  template <class... Args>
  void backward_from_output(const Args&...) const {
    static_assert(
        detail::never<Args...> || !is_valid,
        "batchnorm: backward_from_output takes ([device,] [saved,] y, dy, dx); it adds to gradients(), so the "
        "layer must not be const");
  }
  template <class... Args>
  requires(!infers<Args...>()) void infer(const Args&...) const {
    static_assert(detail::never<Args...> || !is_valid,
                  "batchnorm: infer takes ([device,] x[, y]), or ([device,] x, residual, y) where the activation has a "
                  "residual");
  }

  Mode mode() const { return mode_; }
  /// What the next forward passes do; backward passes of earlier ones are not affected.
  void set_mode(Mode mode) { mode_ = mode; }

  const Options& options() const { return options_; }
  const Activation& activation() const { return activation_; }

  AffineParameters<Scalar>& affine() { return affine_; }
  const AffineParameters<Scalar>& affine() const { return affine_; }
  Gradients<Scalar>& gradients() { return gradients_; }
  const Gradients<Scalar>& gradients() const { return gradients_; }
  RunningStatistics& running() { return running_; }
  const RunningStatistics& running() const { return running_; }
  /// What the last forward pass that was kept in the layer left for backward.
  const Saved<Scalar>& saved() const { return saved_; }
  /// The moments of the last batch that a forward pass read: to update running statistics by hand, or gather
  /// PopulationStatistics.
  const Moments& moments() const { return moments_; }

  void zero_gradients() { gradients_.zero(); }

  /// Calls visit(Parameter<Scalar>) for "gamma" and "beta", as far as the layer has them.
  template <class Visit>
  void for_each_parameter(Visit&& visit) {
    detail::for_each_parameter(affine_, gradients_, visit);
  }

  /// One line that says type, options, mode, and how many batches the running statistics have seen.
  std::string describe() const {
    std::ostringstream text;
    text << "BatchNorm<" << (std::same_as<Scalar, float> ? "float" : "double") << ", " << Layout::name() << ", "
         << activation_.name() << ">(channels " << options_.channels << ", epsilon " << options_.epsilon << ", "
         << options_.averaging << ", running variance "
         << (options_.running_variance == RunningVariance::unbiased ? "unbiased" : "biased")
         << (options_.scale ? "" : ", no scale") << (options_.shift ? "" : ", no shift") << ", mode " << mode_ << ", "
         << running_.batches << " batches seen, " << running_.skipped << " skipped)";
    return text.str();
  }
  friend std::ostream& operator<<(std::ostream& out, const BatchNorm& layer) { return out << layer.describe(); }

 private:
  using Call = detail::Call<Layout, Scalar>;

  // Whether the activation goes with a call. If not, the compiler says why, and nothing of the call is compiled.

  template <std::size_t Residuals>
  static consteval bool accepts() {
    static_assert(!is_valid || takes_residual == (Residuals == 1),
                  "batchnorm: the activation takes a residual: forward(x, residual, y), "
                  "backward(x, residual, dy, dx, dresidual), infer(x, residual, y)");
    return is_valid && takes_residual == (Residuals == 1);
  }

  template <class A>
  static consteval bool accepts_output() {
    constexpr bool has_inverse = InvertibleActivation<A, Scalar>;
    static_assert(!is_valid || has_inverse,
                  "batchnorm: backward_from_output needs an activation that has an inverse, as identity and leaky_relu "
                  "have; for others use backward, which takes x");
    return is_valid && has_inverse;
  }

  template <class Y, class X, class... Residual>
  void run_forward(const detail::Executor& executor, Saved<Scalar>& saved, Y& y, const X& x,
                   const Residual&... residual) {
    const Call call{"forward"};
    const auto in = call.input("x", x, options_.channels);
    const std::tuple added{call.input_like(in, "residual", residual)...};
    check_state(call);
    const Mode mode = mode_;
    const StatisticsSource source = source_for(call, in);
    if (source == StatisticsSource::running) running_.check_usable(call.name);
    if (mode.update_running) running_.check_blendable(call.name, options_.averaging, options_.non_finite);
    const auto out = std::apply([&](const auto&... more) { return call.output("y", y, in, more...); }, added);
    const auto inputs = std::apply([&](const auto&... more) { return detail::views(in, more...); }, added);
    const auto fingerprint = detail::Fingerprint::of(inputs[0]);
    const auto of_residual = takes_residual ? detail::Fingerprint::of(inputs.back()) : detail::Fingerprint{};

    const detail::AffineView<Scalar> affine{affine_};
    const detail::RunningView running{running_, options_.epsilon};
    const detail::BatchStatistics batch{incoming_, options_.epsilon};
    // What may be refused for its moments is refused before y is written, which may be x: not in the fused pass.
    const bool may_refuse = mode.update_running && options_.non_finite == NonFinite::error;
    if (source == StatisticsSource::batch && !may_refuse) {
      detail::train_forward(executor, inputs, affine, options_.epsilon, activation_, out.view, incoming_);
    } else {
      if (detail::reads_batch(mode)) detail::batch_moments(executor, inputs[0], incoming_);
      if (may_refuse) running_.check(incoming_, options_.averaging, options_.non_finite);
      const auto order = detail::reads_batch(mode) ? detail::Order::backwards : detail::Order::forwards;
      const auto normalize = [&](const auto& statistics) {
        const auto forward = detail::normalization<Scalar>(statistics, affine, activation_);
        detail::normalize(executor, inputs, forward, out.view, order);
      };
      if (source == StatisticsSource::batch) {
        normalize(batch);
      } else {
        normalize(running);
      }
    }

    saved.activation.keep(activation_);
    if (source == StatisticsSource::batch) {
      keep(batch, saved);
    } else {
      keep(running, saved);
    }
    saved.statistics = source;
    saved.parameter_gradients = mode.parameter_gradients;
    saved.count = in.view.count();
    saved.extents.assign(in.shape.extents.begin(), in.shape.extents.end());
    saved.channel_axis = Layout::template axis<detail::rank_of<X>()>();
    saved.fingerprint = fingerprint;
    saved.residual_fingerprint = of_residual;
    if constexpr (InvertibleActivation<Activation, Scalar>)
      saved.output_fingerprint = detail::Fingerprint::of(detail::views(out)[0]);
    if (mode.update_running)
      running_.update(incoming_, options_.averaging, options_.running_variance, options_.non_finite);
    if (detail::reads_batch(mode)) std::swap(moments_, incoming_);
  }

  template <class X, class DY, class DX>
  void run_backward(const detail::Executor& executor, const Saved<Scalar>& saved, const X& x, const DY& dy, DX& dx) {
    const Call call{"backward"};
    const auto in = call.input("x", x, options_.channels);
    const auto gradient = call.input_like(in, "dy", dy);
    check_state(call);
    check_saved(call, saved, in, saved.fingerprint);
    const auto out = call.output("dx", dx, in, gradient);
    detail::backward(executor, detail::views(in, gradient),
                     detail::normalization<Scalar>(detail::SavedStatistics<Scalar>{saved}, saved, activation_),
                     saved.statistics, saved.count, sums_, gradients_for(saved), std::array{out.view});
  }

  template <class X, class R, class DY, class DX, class DR>
  void run_residual_backward(const detail::Executor& executor, const X& x, const R& residual, const DY& dy, DX& dx,
                             DR& dresidual) {
    const Call call{"backward"};
    const auto in = call.input("x", x, options_.channels);
    const auto added = call.input_like(in, "residual", residual);
    const auto gradient = call.input_like(in, "dy", dy);
    check_state(call);
    check_saved(call, saved_, in, saved_.fingerprint);
    check_saved(call, saved_, added, saved_.residual_fingerprint);
    const auto out = call.output("dx", dx, in, added, gradient);
    const auto added_out = call.second_output("dresidual", dresidual, out, in, added, gradient);
    detail::backward(executor, detail::views(in, gradient, added),
                     detail::normalization<Scalar>(detail::SavedStatistics<Scalar>{saved_}, saved_, activation_),
                     saved_.statistics, saved_.count, sums_, gradients_for(saved_),
                     std::array{out.view, added_out.view});
  }

  template <class Y, class DY, class DX>
  void run_backward_from_output(const detail::Executor& executor, const Saved<Scalar>& saved, const Y& y, const DY& dy,
                                DX& dx) {
    const Call call{"backward_from_output"};
    const auto in = call.input("y", y, options_.channels);
    const auto gradient = call.input_like(in, "dy", dy);
    check_state(call);
    check_saved(call, saved, in, saved.output_fingerprint);
    call.check_recoverable(in, saved.gamma, saved.beta, options_.channels);
    const auto out = call.output("dx", dx, in, gradient);
    detail::backward(executor, detail::views(in, gradient),
                     detail::recovery<Scalar>(detail::SavedStatistics<Scalar>{saved}, saved, activation_),
                     saved.statistics, saved.count, sums_, gradients_for(saved), std::array{out.view});
  }

  template <class Y, class X, class... Residual>
  void run_infer(const detail::Executor& executor, Y& y, const X& x, const Residual&... residual) const {
    const Call call{"infer"};
    const auto in = call.input("x", x, options_.channels);
    const std::tuple added{call.input_like(in, "residual", residual)...};
    check_state(call);
    running_.check_usable(call.name);
    const auto out = std::apply([&](const auto&... more) { return call.output("y", y, in, more...); }, added);
    const auto inputs = std::apply([&](const auto&... more) { return detail::views(in, more...); }, added);
    const detail::AffineView<Scalar> affine{affine_};
    const detail::RunningView running{running_, options_.epsilon};
    detail::normalize(executor, inputs, detail::normalization<Scalar>(running, affine, activation_), out.view);
  }

  Gradients<Scalar>* gradients_for(const Saved<Scalar>& saved) {
    return saved.parameter_gradients ? &gradients_ : nullptr;
  }

  /// What to normalize with: what mode_ says, unless x has too few values for it.
  template <class X>
  StatisticsSource source_for(const Call& call, const detail::Argument<X>& x) const {
    if (!detail::reads_batch(mode_)) return mode_.statistics;
    call.check_not_empty(x);
    if (x.view.count() > 1 || options_.single_value == SingleValue::zero_variance) return mode_.statistics;
    if (options_.single_value == SingleValue::error) {
      detail::fail(
          call.name,
          "(x): expected at least 2 values per channel to take the variance of, got 1; use a larger batch, infer(), or "
          "Options::single_value; x is ",
          x.shape);
    }
    return StatisticsSource::running;
  }

  /// Users may assign parameters and statistics, so their sizes are looked at in each call.
  void check_state(const Call& call) const {
    call.check_owned(affine_, gradients_, options_);
    call.check_size("running().mean", running_.mean.size(), options_.channels);
    call.check_size("running().variance", running_.variance.size(), options_.channels);
  }

  /// That an argument is the one that the forward pass had or gave, as its fingerprint tells.
  template <class X>
  void check_saved(const Call& call, const Saved<Scalar>& saved, const detail::Argument<X>& x,
                   const detail::Fingerprint& expected) const {
    if (!saved.extents.empty() && !saved.activation.is(activation_)) {
      detail::fail(call.name, "(saved): expected the pass of a layer with the activation ", activation_.name(),
                   ", got that of one with ", saved.activation.name(),
                   saved.activation.name() == activation_.name() ? " of other parameters" : "",
                   "; hand it to the layer that ran forward, or to one with the same activation");
    }
    call.check_saved(saved, x, expected,
                     "keep a copy of what is overwritten in place, and a Saved for each of several passes");
    call.check_size("saved.mean", saved.mean.size(), options_.channels);
    call.check_size("saved.inv_std", saved.inv_std.size(), options_.channels);
    call.check_size("saved.gamma", saved.gamma.size(), affine_.gamma.size());
    call.check_size("saved.beta", saved.beta.size(), affine_.beta.size());
  }

  /// Copies what backward needs of statistics and parameters.
  template <class Statistics>
  void keep(const Statistics& statistics, Saved<Scalar>& saved) const {
    saved.mean.resize(options_.channels);
    saved.inv_std.resize(options_.channels);
    detail::for_each_overlapping_packet<double>(options_.channels, [&](Index c, auto lanes) {
      lanes.store(saved.mean.data() + c, statistics.mean(c, lanes));
      lanes.store(saved.inv_std.data() + c, statistics.inv_std(c, lanes));
    });
    saved.gamma = affine_.gamma;
    saved.beta = affine_.beta;
  }

  Options options_;
  Mode mode_;
  Activation activation_;
  AffineParameters<Scalar> affine_;
  Gradients<Scalar> gradients_;
  RunningStatistics running_;
  Saved<Scalar> saved_;
  Moments moments_;
  /// Where a pass gathers moments and sums, kept for their storage. A pass that throws leaves moments_ as they were.
  Moments incoming_;
  GradientSums sums_;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
