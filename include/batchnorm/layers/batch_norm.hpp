/// \file
/// The batch normalization layer: parameters, running statistics and what backward needs, with a mode switch.
#pragma once

#include <batchnorm/core/affine_layer.hpp>
#include <batchnorm/kernels/backward.hpp>
#include <batchnorm/kernels/normalize.hpp>

#include <sstream>
#include <string>
#include <tuple>
#include <utility>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

namespace detail {

/// Users may assign parameters and statistics, so they are looked at in each call.
template <class Layout, class Layer>
void check_state(const Call<Layout>& call, const Layer& layer) {
  check_parameters(call, layer);
  call.check_size("running().mean", layer.running().mean.size(), layer.options().channels);
  call.check_size("running().variance", layer.running().variance.size(), layer.options().channels);
}

}  // namespace detail

/// A batch normalization layer.
///
///   training:   y = activation(gamma (x - mean(x)) / sqrt(variance(x) + epsilon) + beta), statistics by channel
///   inference:  the same with running().mean and running().variance
///
/// `Scalar`, float or double, is the type of the parameters and of the arithmetic on x, and that of x; with float x may
/// be half or bfloat16 too. Statistics are in double. `Layout` names the axis of the channels. `Activation` is fused:
/// forward applies it to what the normalization gives, backward goes through it. With add_relu, or an activation of the
/// user's own that takes a residual, the calls take that after x.
///
/// Copies are independent.
///
/// Source   Ioffe & Szegedy 2015, "Batch Normalization", arXiv:1502.03167, Algorithms 1 and 2.
template <class Scalar, class Layout = samples_in_rows, class Activation = activations::identity>
class BatchNorm : public detail::AffineLayer<detail::parameter_t<Scalar>, Options> {
  using Base = detail::AffineLayer<detail::parameter_t<Scalar>, Options>;
  static_assert(detail::is_parameter_type<Scalar>,
                "batchnorm: Scalar is the type of the parameters: use BatchNorm<float> or BatchNorm<double>; half and "
                "bfloat16 tensors go with float");
  static constexpr bool has_activation =
      FusableActivation<Activation, Scalar> || ResidualActivation<Activation, Scalar>;
  static_assert(
      detail::LayoutTag<Layout>,
      "batchnorm: the second parameter is a layout: write for example BatchNorm<float, samples_in_rows, relu>");
  static_assert(!detail::is_parameter_type<Scalar> || !detail::LayoutTag<Layout> || has_activation,
                "batchnorm: an activation has forward(z), backward(z, dy) and name(): see the concept "
                "FusableActivation");
  /// Whether the layer itself was not refused.
  static constexpr bool is_valid = detail::is_parameter_type<Scalar> && detail::LayoutTag<Layout> && has_activation;

 public:
  /// With gamma 1, beta 0, and running statistics of no batch.
  ///
  /// Throws   std::invalid_argument unless options.channels >= 1 and options.epsilon > 0
  explicit BatchNorm(const Options& options, const Activation& activation = {})
      : Base(detail::checked<Scalar>(options)),
        activation_(activation),
        running_(options.channels),
        moments_(options.channels),
        incoming_(options.channels) {}

  /// Refused: a bare number does not say what it is.
  template <class Refused = void>
  explicit BatchNorm(Index channels) : BatchNorm(Options{.channels = channels}) {
    static_assert(detail::always_false<Refused> || !is_valid,
                  "batchnorm: options have names: write BatchNorm<float> norm({.channels = 2})");
  }

  /// Normalizes x as the mode says and keeps what backward needs in saved(), or in options.saved.
  ///
  /// Shapes   x, y: the same extents, rank >= 2
  /// Aliasing y may be x; backward then needs a copy of the original x
  /// State    saved(), moments() where the mode reads the batch, running() where it updates them
  /// Cost     reads x twice (once on running statistics) and writes y once
  /// Throws   std::invalid_argument if x does not have options().channels channels, if y has other extents or overlaps
  ///          a part of x, if a parameter was given another size, and on empty x or single values per channel where the
  ///          mode reads the batch; no state has changed then. Across ranks it is all of them together that must not be
  ///          empty, and what all_reduce throws comes too
  /// Threads  one call at a time per layer; the number of threads of the device changes no bit of the result
  template <class X, class Y>
  void forward(const X& x, Y&& y, const ForwardOptions<Scalar>& options = {}) {
    if constexpr (accepts<0>(detail::Reads<X>(), detail::Writes<Y>())) {
      run_forward(options, detail::Named{"y", y}, detail::Named{"x", x});
    }
  }
  /// The same for an activation with a residual, which has the extents of x and is read once. y may be the residual.
  template <class X, class R, detail::NoOptions Y>
  void forward(const X& x, const R& residual, Y&& y, const ForwardOptions<Scalar>& options = {}) {
    if constexpr (accepts<1>(detail::Reads<X, R>(), detail::Writes<Y>())) {
      run_forward(options, detail::Named{"y", y}, detail::Named{"x", x}, detail::Named{"residual", residual});
    }
  }
  /// The same where values count by their weights, in all that the batch is read for; backward takes the same weights.
  ///
  /// Cost     allocates a Scalar for each position
  /// Throws   std::invalid_argument also if weights have other extents than the samples or the positions of x, or if
  ///          one is negative or not finite; and if they add up to less than 2 where the mode reads the batch, as for
  ///          single values
  template <class X, class Y>
  void forward(const X& x, Y&& y, const WeightedForwardOptions<Scalar>& options) {
    if constexpr (accepts<0>(detail::Reads<X>(), detail::Writes<Y>())) {
      run_forward(options, detail::Named{"y", y}, detail::Named{"x", x});
    }
  }
  /// The same for an activation with a residual.
  template <class X, class R, detail::NoOptions Y>
  void forward(const X& x, const R& residual, Y&& y, const WeightedForwardOptions<Scalar>& options) {
    if constexpr (accepts<1>(detail::Reads<X, R>(), detail::Writes<Y>())) {
      run_forward(options, detail::Named{"y", y}, detail::Named{"x", x}, detail::Named{"residual", residual});
    }
  }

  /// Gradients of the last forward pass that was kept in the layer, or of the one that filled options.saved; x is what
  /// that pass was given.
  ///
  ///   on batch statistics:    dx = gamma inv_std (dz - mean(dz) - x_hat mean(dz x_hat))
  ///   on running statistics:  dx = gamma inv_std dz
  ///
  /// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.
  /// Shapes   x, dy, dx: the extents of forward's x
  /// Aliasing dx may be x or dy
  /// State    adds to gradients(), unless forward ran in a mode without parameter gradients; across ranks those of the
  ///          whole batch, on each
  /// Cost     reads x and dy twice, writes dx once; half of the reading on running statistics without parameter
  ///          gradients, and dy alone without an activation
  /// Throws   std::invalid_argument if there was no forward, if x is another one than forward's or was overwritten
  ///          since (told by its extents and a hash of about a hundred of its elements, of all if they are few), if
  ///          options.saved is of another activation or channel axis, if dy or dx have other extents, or if dx overlaps
  ///          a part of x or dy
  /// Threads  one call at a time per layer; the number of threads of the device changes no bit of the result
  template <class X, class DY, class DX>
  void backward(const X& x, const DY& dy, DX&& dx, const BackwardOptions<Scalar>& options = {}) {
    if constexpr (accepts<0>(detail::Reads<X, DY>(), detail::Writes<DX>())) {
      run_backward(options, std::tuple{detail::Named{"dx", dx}}, detail::Named{"x", x}, detail::Named{"dy", dy});
    }
  }
  /// The same for an activation with a residual, whose gradient is the one that reaches z: dresidual = dz.
  ///
  /// Aliasing dx and dresidual may each be x, residual or dy, not each other
  /// Cost     reads the residual as often as x, and writes dresidual once
  template <class X, class R, class DY, class DX, class DR>
  void backward(const X& x, const R& residual, const DY& dy, DX&& dx, DR&& dresidual,
                const BackwardOptions<Scalar>& options = {}) {
    if constexpr (accepts<1>(detail::Reads<X, DY, R>(), detail::Writes<DX, DR>())) {
      run_backward(options, std::tuple{detail::Named{"dx", dx}, detail::Named{"dresidual", dresidual}},
                   detail::Named{"x", x}, detail::Named{"dy", dy}, detail::Named{"residual", residual});
    }
  }
  /// The same for a forward pass with weights, which it takes again: sums are over values with a weight above 0, and dx
  /// is 0 at the others.
  ///
  ///   on batch statistics:    dx = gamma inv_std (dz - (w / n) (sum dz + x_hat sum dz x_hat))        n = sum_i w_i
  ///
  /// Throws   std::invalid_argument also if the weights are others than those of forward
  template <class X, class DY, class DX>
  void backward(const X& x, const DY& dy, DX&& dx, const WeightedBackwardOptions<Scalar>& options) {
    if constexpr (accepts<0>(detail::Reads<X, DY>(), detail::Writes<DX>())) {
      run_backward(options, std::tuple{detail::Named{"dx", dx}}, detail::Named{"x", x}, detail::Named{"dy", dy});
    }
  }
  /// The same for an activation with a residual, whose gradient is 0 where the weight is.
  template <class X, class R, class DY, class DX, class DR>
  void backward(const X& x, const R& residual, const DY& dy, DX&& dx, DR&& dresidual,
                const WeightedBackwardOptions<Scalar>& options) {
    if constexpr (accepts<1>(detail::Reads<X, DY, R>(), detail::Writes<DX, DR>())) {
      run_backward(options, std::tuple{detail::Named{"dx", dx}, detail::Named{"dresidual", dresidual}},
                   detail::Named{"x", x}, detail::Named{"dy", dy}, detail::Named{"residual", residual});
    }
  }

  /// backward from y, the output of forward, where x has been overwritten, by y itself perhaps: so a network trains
  /// with one tensor for each layer less. For activations with an inverse: identity and leaky_relu.
  ///
  ///   x_hat = (activation^-1(y) - beta) / gamma
  ///
  /// The rounding of y enters: x_hat errs by about epsilon (1 + |beta / gamma|) / 2, epsilon that of the element type.
  ///
  /// Source   Rota Bulo, Porzi & Kontschieder 2018, "In-Place Activated BatchNorm", arXiv:1712.02616, section 3.
  /// Shapes   y, dy, dx: the extents of forward's x
  /// Aliasing dx may be y or dy
  /// State    adds to gradients(), unless forward ran in a mode without parameter gradients
  /// Cost     as backward
  /// Throws   as backward, if y is another one than forward's, and where |gamma| < |beta| / 1024 or tiny in any channel
  /// Threads  one call at a time per layer; the number of threads of the device changes no bit of the result
  template <class Y, class DY, class DX>
  void backward_from_output(const Y& y, const DY& dy, DX&& dx, const BackwardOptions<Scalar>& options = {}) {
    if constexpr (detail::accepts_inverse<Activation, Scalar>() &&
                  accepts<0>(detail::Reads<Y, DY>(), detail::Writes<DX>())) {
      run_backward_from_output(options, detail::Named{"dx", dx}, detail::Named{"y", y}, detail::Named{"dy", dy});
    }
  }
  /// The same for a forward pass with weights, which it takes again.
  template <class Y, class DY, class DX>
  void backward_from_output(const Y& y, const DY& dy, DX&& dx, const WeightedBackwardOptions<Scalar>& options) {
    if constexpr (detail::accepts_inverse<Activation, Scalar>() &&
                  accepts<0>(detail::Reads<Y, DY>(), detail::Writes<DX>())) {
      run_backward_from_output(options, detail::Named{"dx", dx}, detail::Named{"y", y}, detail::Named{"dy", dy});
    }
  }

  /// Normalizes with the running statistics, whatever the mode, and keeps nothing. An empty x is a no-op.
  ///
  /// Shapes   x, y: the same extents, rank >= 2
  /// Aliasing y may be x
  /// Cost     reads x once and writes y once
  /// Throws   std::invalid_argument if x does not have options().channels channels, if y has other extents or overlaps
  ///          a part of x, or if a parameter was given another size
  /// Threads  safe from many threads at once, as long as no other call changes the layer
  template <class X, detail::NoOptions Y>
  void infer(const X& x, Y&& y, const CallOptions& options = {}) const {
    if constexpr (accepts<0>(detail::Reads<X>(), detail::Writes<Y>())) {
      run_infer(options, detail::Named{"y", y}, detail::Named{"x", x});
    }
  }
  /// The same for an activation with a residual.
  template <class X, class R, detail::NoOptions Y>
  void infer(const X& x, const R& residual, Y&& y, const CallOptions& options = {}) const {
    if constexpr (accepts<1>(detail::Reads<X, R>(), detail::Writes<Y>())) {
      run_infer(options, detail::Named{"y", y}, detail::Named{"x", x}, detail::Named{"residual", residual});
    }
  }
  /// The same into a new Matrix, Array or Tensor.
  template <class X>
  auto infer(const X& x, const CallOptions& options = {}) const {
    if constexpr (accepts<0>(detail::Reads<X>(), detail::Writes<>())) {
      detail::plain_t<X> y;
      run_infer(options, detail::Named{"y", y}, detail::Named{"x", x});
      return y;
    } else {
      return detail::plain_t<X>();
    }
  }

  /// Refused: calls on a const layer, and all that the declarations above do not take.
  template <class... Args>
  void forward(const Args&...) const {
    static_assert(
        detail::always_false<Args...> || !is_valid,
        "batchnorm: forward takes (x, y[, options]), or (x, residual, y[, options]) where the activation has a "
        "residual; it updates statistics and keeps what backward needs, so on a const layer call infer(x, y)");
  }
  /// Refused likewise.
  template <class... Args>
  void backward(const Args&...) const {
    static_assert(detail::always_false<Args...> || !is_valid,
                  "batchnorm: backward takes (x, dy, dx[, options]), or (x, residual, dy, dx, dresidual[, options]) "
                  "where the activation has a residual; it adds to gradients(), so the layer must not be const");
  }
  /// Refused likewise.
  template <class... Args>
  void backward_from_output(const Args&...) const {
    static_assert(detail::always_false<Args...> || !is_valid,
                  "batchnorm: backward_from_output takes (y, dy, dx[, options]); it adds to gradients(), so the layer "
                  "must not be const");
  }

  /// What is fused.
  const Activation& activation() const { return activation_; }
  /// The averages that inference normalizes with; may be assigned.
  RunningStatistics& running() { return running_; }
  /// The same, const.
  const RunningStatistics& running() const { return running_; }
  /// What the last forward pass that was kept in the layer left for backward.
  const Saved<Scalar>& saved() const { return saved_; }
  /// The moments of the last batch that a forward pass read, across ranks those of the whole batch: to update running
  /// statistics by hand, or gather PopulationStatistics, which then have all there is and need no all_reduce.
  const Moments& moments() const { return moments_; }

  /// Calls visit(name, state) for all that training changes, for whoever saves, loads, averages or compares it: "gamma"
  /// and "beta" (if the layer has them) with a ChannelArray<Scalar>&, "running_mean" and "running_variance" with an
  /// Eigen::ArrayXd&, "batches" with a std::int64_t&.
  template <class Visit>
  void for_each_state(Visit&& visit) {
    visit_state(*this, visit);
  }
  /// The same, const.
  template <class Visit>
  void for_each_state(Visit&& visit) const {
    visit_state(*this, visit);
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
  /// Prints describe().
  friend std::ostream& operator<<(std::ostream& out, const BatchNorm& layer) { return out << layer.describe(); }

 private:
  // The layers that change one step of a pass have the others from here.
  template <class, class, class>
  friend class GhostBatchNorm;
  template <class, class, class>
  friend class BatchRenorm;

  using Call = detail::Call<Layout>;
  using Base::affine_, Base::gradients_, Base::mode_, Base::options_;

  template <std::size_t Residuals, class Inputs, class Outputs>
  static consteval bool accepts(Inputs inputs, Outputs outputs) {
    if constexpr (is_valid) {
      return detail::accepts<Layout, Scalar, Activation, Residuals>(inputs, outputs);
    } else {
      return false;
    }
  }

  template <class Options, class Y, class... Xs>
  void run_forward(const Options& options, const detail::Named<Y>& y, const detail::Named<Xs>&... xs) {
    const Call call{"forward"};
    detail::Meeting ranks(call.name, detail::reads_batch(mode_) ? options.across : nullptr, detail::Message::moments,
                          options_.channels);
    const auto in = call.inputs(options_.channels, xs...);
    check_state(call);
    detail::with_weights<Scalar>(call, options, in[0], [&](const auto& weights) {
      const auto out = call.output(y, in);
      const std::array fingerprints = detail::fingerprints_of(in);  // before y is written, which may be x
      check_running(call);
      if (ranks) {
        detail::batch_moments(options.device, in[0].view, incoming_, weights);
        ranks.merge(incoming_);
      }
      const double count = weights.total(in[0].view);
      const StatisticsSource source = source_for(call, in[0], weights, ranks ? incoming_.count : count);
      if (source != mode_.statistics) running_.check_usable(call.name);
      normalize(options.device, source, detail::views(in), weights, out.view, ranks);
      Saved<Scalar>& saved = options.saved ? *options.saved : saved_;
      keep(saved, affine_);
      saved.correction = {};
      saved.tensors.assign(in[0].shape, call.template channel_axis<Y>(), fingerprints, out.view);
      saved.tensors.weights = detail::Fingerprint::of(weights.view());
      saved.tensors.count = count;
      saved.tensors.ranks = detail::ranks_of(options.across);
      take_in_batch();
    });
  }

  /// The pass itself: computes incoming_, where the mode reads the batch and the ranks have not merged it already, and
  /// statistics_, and writes y.
  template <class Inputs, class Weights, class View>
  void normalize(const Device& device, StatisticsSource source, const Inputs& inputs, const Weights& weights,
                 const View& y, const detail::Meeting& ranks) {
    // What may be refused for its moments is refused before y, which may be x, is written: not in the fused pass.
    const bool reads_batch = detail::reads_batch(mode_);
    const bool may_refuse = mode_.update_running && options_.non_finite == NonFinite::error;
    if (source == StatisticsSource::batch && !may_refuse && !ranks) {
      return detail::train_forward(device, inputs, detail::AffineView<Scalar>{affine_}, options_.epsilon, activation_,
                                   y, incoming_, weights, &statistics_);
    }
    if (reads_batch && !ranks) detail::batch_moments(device, inputs[0], incoming_, weights);
    if (may_refuse) running_.check(incoming_, options_.averaging, options_.non_finite);
    detail::assign(statistics_, statistics_of(source), options_.channels);
    detail::normalize(device, inputs, detail::Normalization<Scalar, Activation>{statistics_, affine_, activation_}, y,
                      reads_batch ? detail::Order::backwards : detail::Order::forwards);
  }

  detail::StatisticsView statistics_of(StatisticsSource source) const {
    if (source == StatisticsSource::batch) return {incoming_, incoming_.count, options_.epsilon};
    return {running_, options_.epsilon};
  }

  /// What backward needs of this pass with these parameters, beside its tensors. If memory runs out meanwhile there is
  /// no pass to go back through.
  void keep(Saved<Scalar>& saved, const AffineParameters<Scalar>& affine) const {
    saved.tensors.extents.clear();
    saved.statistics = statistics_;
    saved.gamma = affine.gamma;
    saved.beta = affine.beta;
    saved.parameter_gradients = mode_.parameter_gradients;
    saved.activation.keep(activation_);
  }

  /// The batch is taken into the layer's own state, after all that can throw.
  void take_in_batch() {
    if (mode_.update_running)
      running_.update(incoming_, options_.averaging, options_.running_variance, options_.non_finite);
    if (detail::reads_batch(mode_)) std::swap(moments_, incoming_);
  }

  template <class Options, class... DXs, class... Xs>
  void run_backward(const Options& options, const std::tuple<detail::Named<DXs>...>& dxs,
                    const detail::Named<Xs>&... xs) {
    const Call call{"backward"};
    const Saved<Scalar>& saved = options.saved ? *options.saved : saved_;
    detail::Meeting ranks = meeting_for(call, options.across, saved);
    const auto in = call.inputs(options_.channels, xs...);
    check_state(call);
    check_saved(call, saved, in[0], saved.tensors.x);
    if constexpr (sizeof...(Xs) == 3) check_saved(call, saved, in[2], saved.tensors.residual);
    detail::with_weights<Scalar>(call, options, in[0], [&](const auto& weights) {
      call.check_same_weights(weights, saved, in[0]);
      call.check_same_ranks(options.across, saved.tensors);
      const auto out = call.outputs(dxs, in);
      detail::backward(options.device, detail::views(in),
                       detail::Normalization<Scalar, Activation>{saved.statistics, saved, activation_}, sums_,
                       gradients_for(saved), detail::views(out), weights, &ranks);
    });
  }

  template <class Options, class DX, class Y, class DY>
  void run_backward_from_output(const Options& options, const detail::Named<DX>& dx, const detail::Named<Y>& y,
                                const detail::Named<DY>& dy) {
    const Call call{"backward_from_output"};
    const Saved<Scalar>& saved = options.saved ? *options.saved : saved_;
    detail::Meeting ranks = meeting_for(call, options.across, saved);
    const auto in = call.inputs(options_.channels, y, dy);
    check_state(call);
    check_saved(call, saved, in[0], saved.tensors.y);
    call.template check_recoverable<detail::scalar_t<Y>>(saved.gamma, saved.beta, options_.channels);
    detail::with_weights<Scalar>(call, options, in[0], [&](const auto& weights) {
      call.check_same_weights(weights, saved, in[0]);
      call.check_same_ranks(options.across, saved.tensors);
      const auto out = call.output(dx, in);
      detail::backward(options.device, detail::views(in),
                       detail::Recovery<Scalar, Activation>{saved.statistics, saved, activation_}, sums_,
                       gradients_for(saved), std::array{out.view}, weights, &ranks);
    });
  }

  template <class Y, class... Xs>
  void run_infer(const CallOptions& options, const detail::Named<Y>& y, const detail::Named<Xs>&... xs) const {
    const Call call{"infer"};
    const auto in = call.inputs(options_.channels, xs...);
    check_state(call);
    running_.check_usable(call.name);
    const auto out = call.output(y, in);
    detail::normalize(
        options.device, detail::views(in),
        detail::Normalization<Scalar, Activation>{statistics_of(StatisticsSource::running), affine_, activation_},
        out.view);
  }

  /// Meets all ranks if the backward pass needs sums, as the forward pass had it. Where there was none, which is an
  /// error, the mode decides, so that the other ranks learn of it.
  detail::Meeting meeting_for(const Call& call, const Reducer* across, const Saved<Scalar>& saved) const {
    const bool is_first = saved.tensors.extents.empty();
    const bool of_batch = is_first ? mode_.statistics == StatisticsSource::batch : saved.statistics.count > 0;
    const bool of_parameters = is_first ? mode_.parameter_gradients : saved.parameter_gradients;
    return {call.name, of_batch || of_parameters ? across : nullptr, detail::Message::gradient_sums, options_.channels};
  }

  Gradients<Scalar>* gradients_for(const Saved<Scalar>& saved) {
    return saved.parameter_gradients ? &gradients_ : nullptr;
  }

  /// What to normalize with: what the mode says, unless there are too few values for it, on all ranks that there are.
  template <class Input, class Weights>
  StatisticsSource source_for(const Call& call, const Input& x, const Weights&, double count) const {
    if (!detail::reads_batch(mode_)) return mode_.statistics;
    call.check_not_empty(x, count);
    if (count >= 2 || options_.single_value == SingleValue::zero_variance) return mode_.statistics;
    if (options_.single_value == SingleValue::error) {
      detail::fail(call.name, "(", Weights::is_weighted ? "weights" : "x",
                   "): expected at least 2 values per channel to take the variance of, got ", count,
                   "; use a larger batch, infer(), or Options::single_value; x is ", x.shape);
    }
    return StatisticsSource::running;
  }

  /// Running statistics that the mode needs must make sense.
  void check_running(const Call& call) const {
    if (mode_.statistics == StatisticsSource::running) running_.check_usable(call.name);
    if (mode_.update_running) running_.check_blendable(call.name, options_.averaging, options_.non_finite);
  }

  void check_state(const Call& call) const { detail::check_state(call, *this); }

  /// That an argument is the one that the forward pass had or gave, as its fingerprint tells.
  template <class Input>
  void check_saved(const Call& call, const Saved<Scalar>& saved, const Input& x,
                   const detail::Fingerprint& expected) const {
    if (!saved.tensors.extents.empty() && !saved.activation.is(activation_)) {
      detail::fail(call.name, "(saved): expected the pass of a layer with the activation ", activation_.name(),
                   ", got that of one with ", saved.activation.name(),
                   saved.activation.name() == activation_.name() ? " of other parameters" : "",
                   "; hand it to the layer that ran forward, or to one with the same activation");
    }
    if (saved.correction.r.size() != 0) {
      detail::fail(call.name,
                   "(saved): expected a pass without r and d, got one of BatchRenorm; hand it to the layer that "
                   "ran forward, as a BatchRenorm and not as the BatchNorm that it is made of");
    }
    call.check_same(x, saved.tensors, expected,
                    "keep a copy of what is overwritten in place, and a Saved for each of several passes");
    call.check_size("saved.statistics.mean", saved.statistics.mean.size(), options_.channels);
    call.check_size("saved.statistics.inv_std", saved.statistics.inv_std.size(), options_.channels);
    call.check_size("saved.gamma", saved.gamma.size(), affine_.gamma.size());
    call.check_size("saved.beta", saved.beta.size(), affine_.beta.size());
  }

  template <class Layer, class Visit>
  static void visit_state(Layer& layer, Visit& visit) {
    if (layer.options_.scale) visit("gamma", layer.affine_.gamma);
    if (layer.options_.shift) visit("beta", layer.affine_.beta);
    visit("running_mean", layer.running_.mean);
    visit("running_variance", layer.running_.variance);
    visit("batches", layer.running_.batches);
  }

  Activation activation_;
  RunningStatistics running_;
  Saved<Scalar> saved_;
  Moments moments_;
  /// Where a pass gathers moments, statistics and sums, kept for their storage. A pass that throws leaves moments_ and
  /// what was saved as they were.
  Moments incoming_;
  Statistics statistics_;
  GradientSums sums_;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
