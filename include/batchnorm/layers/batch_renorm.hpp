/// \file
/// Batch renormalization: training that normalizes nearly as inference will, for small batches or dependent samples.
#pragma once

#include <batchnorm/layers/batch_norm.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>
#include <tuple>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// How far a batch's statistics are corrected towards the running ones.
struct RenormLimits {
  /// r lies within [1 / r_max, r_max]; at least 1.
  double r_max = 1;
  /// d lies within [-d_max, d_max]; at least 0.
  double d_max = 0;

  /// Whether nothing is corrected: batch normalization.
  bool is_plain() const { return r_max == 1 && d_max == 0; }
};

/// How the limits grow: batch normalization for plain_steps, until the running statistics are worth something, then
/// linearly to r_max and d_max, in r_steps and in d_steps. By default r_max is 3 from step 40,000 on, and d_max 5 from
/// 25,000 on.
///
/// Limits that stay: {.plain_steps = 0, .r_max = 2, .r_steps = 0, .d_max = 1, .d_steps = 0}.
///
/// Source   Ioffe 2017, arXiv:1702.03275, section 4.
struct RenormSchedule {
  /// Steps with r_max 1 and d_max 0.
  std::int64_t plain_steps = 5'000;
  /// Where the limit of r ends: at least 1.
  double r_max = 3;
  /// How many steps it takes from 1 to there.
  std::int64_t r_steps = 35'000;
  /// Where the limit of d ends: at least 0.
  double d_max = 5;
  /// How many steps it takes from 0 to there.
  std::int64_t d_steps = 20'000;

  /// The limits of a step, counted from 0.
  ///
  ///   r_max = 1 + (r_max - 1) f((step - plain_steps) / r_steps)        f(t) = min(max(t, 0), 1)
  ///   d_max = d_max f((step - plain_steps) / d_steps)
  ///
  /// Throws   std::invalid_argument if the step or a number of steps is negative, r_max < 1, d_max < 0, or a limit is
  ///          not finite
  RenormLimits limits(std::int64_t step) const {
    check();
    if (step < 0) detail::fail("RenormSchedule::limits(step): expected a step >= 0, got ", step);
    if (step < plain_steps) return {};
    const auto grown = [since = static_cast<double>(step - plain_steps)](double from, double to, std::int64_t steps) {
      return steps == 0 ? to : std::lerp(from, to, std::min(since / static_cast<double>(steps), 1.0));
    };
    return {grown(1, r_max, r_steps), grown(0, d_max, d_steps)};
  }

  /// Throws what limits() would throw of these settings.
  void check() const {
    if (!(detail::is_finite(r_max) && r_max >= 1)) {
      detail::fail("RenormSchedule: expected a finite r_max >= 1, got ", r_max, "; r_max = 1 corrects no variance");
    }
    if (!(detail::is_finite(d_max) && d_max >= 0)) {
      detail::fail("RenormSchedule: expected a finite d_max >= 0, got ", d_max, "; d_max = 0 corrects no mean");
    }
    const auto check_steps = [](const char* name, std::int64_t steps) {
      if (steps < 0) detail::fail("RenormSchedule: expected ", name, " >= 0, got ", steps);
    };
    check_steps("plain_steps", plain_steps);
    check_steps("r_steps", r_steps);
    check_steps("d_steps", d_steps);
  }
};

/// A BatchNorm that corrects the statistics of each training batch towards the running ones, as far as limits allow:
///
///   training:   y = activation(gamma (x_hat r + d) + beta)        x_hat = (x - mean(x)) / sigma_B
///               r = min(max(sigma_B / sigma, 1 / r_max), r_max)
///               d = min(max((mean(x) - mean) / sigma, -d_max), d_max)
///   inference:  that of BatchNorm
///
/// with sigma_B = sqrt(variance(x) + epsilon), biased as always in training, and mean and sigma of the running
/// statistics as they are before this batch. r and d are constants to the backward pass. Where no limit is reached, y
/// is exactly what inference would give.
///
/// sigma = sqrt(running().variance + epsilon) is what inference divides by. It differs from the paper's, which averages
/// sigma_B itself: an average of variances makes sigma a little larger, and so does the unbiased variance that is
/// kept by default (RunningVariance::biased keeps the other).
///
/// The limits follow a schedule. Its step is running().batches, the batches that the running statistics have seen,
/// which is what r and d rest on: it advances by itself, and is saved and loaded with them. What replaces running(), as
/// recalibrate() does, replaces it: to train on, put the number back. Averaging none() never advances it.
///
/// With limits r_max 1 and d_max 0 the layer is BatchNorm, bit for bit; so is it in modes that normalize with the
/// running statistics. All that BatchNorm has and that is not declared here is BatchNorm's: infer(), running(),
/// for_each_state() and so on. A forward pass through a reference to BatchNorm has no r and d; backward through one
/// refuses a pass that had. A pass that is to be computed
/// again (checkpointing) runs in Mode::probe first and in Mode::training then: in Mode::recompute, after training, it
/// would meet other running statistics.
///
/// Copies are independent.
///
/// Source   Ioffe 2017, "Batch Renormalization", arXiv:1702.03275, Algorithm 1.
template <class Scalar_, class Layout = samples_in_rows, class Activation = activations::identity>
class BatchRenorm : public BatchNorm<detail::parameter_t<Scalar_>, Layout, Activation> {
  using Scalar = detail::parameter_t<Scalar_>;
  using Base = BatchNorm<Scalar, Layout, Activation>;
  // Said here, since clang cannot go on with a base that was refused.
  static_assert(
      detail::is_parameter_type<Scalar_>,
      "batchnorm: Scalar is the type of the parameters: use BatchRenorm<float> or BatchRenorm<double>; half and "
      "bfloat16 tensors go with float");
  static constexpr bool is_valid = Base::is_valid && detail::is_parameter_type<Scalar_>;

 public:
  /// With gamma 1, beta 0, and running statistics of no batch.
  ///
  /// Throws   std::invalid_argument unless options.channels >= 1 and options.epsilon > 0, and as RenormSchedule::limits
  explicit BatchRenorm(const Options& options, const RenormSchedule& schedule = {}, const Activation& activation = {})
      : Base(options, activation) {
    set_schedule(schedule);
  }

  /// As BatchNorm::forward, with r and d where the mode normalizes with the batch.
  ///
  /// Shapes   x, y: the same extents, rank >= 2
  /// Aliasing y may be x; backward then needs a copy of the original x
  /// State    saved(), correction(), moments() where the mode reads the batch, running() where it updates them
  /// Cost     as BatchNorm::forward; x in cache is not read there the second time
  /// Throws   as BatchNorm::forward, and if running() has values that make no r and d; no state has changed then
  /// Threads  one call at a time per layer; the number of threads of the device changes no bit of the result
  template <class X, class Y>
  void forward(const X& x, Y&& y, const CallOptions& options = {}) {
    if constexpr (Base::template accepts<0>(detail::Reads<X>(), detail::Writes<Y>())) {
      run_forward(options.device, detail::Named{"y", y}, detail::Named{"x", x});
    }
  }
  /// The same for an activation with a residual.
  template <class X, class R, detail::NoOptions Y>
  void forward(const X& x, const R& residual, Y&& y, const CallOptions& options = {}) {
    if constexpr (Base::template accepts<1>(detail::Reads<X, R>(), detail::Writes<Y>())) {
      run_forward(options.device, detail::Named{"y", y}, detail::Named{"x", x}, detail::Named{"residual", residual});
    }
  }

  /// Gradients of the last forward pass, r and d held; x is what that pass was given.
  ///
  ///   dx = r gamma inv_std (dz - mean(dz) - x_hat mean(dz x_hat))
  ///   dgamma += sum dz (x_hat r + d)        dbeta += sum dz
  ///
  /// Source   Ioffe 2017, arXiv:1702.03275, section 3.
  /// Shapes   x, dy, dx: the extents of forward's x
  /// Aliasing dx may be x or dy
  /// State    adds to gradients(), unless forward ran in a mode without parameter gradients
  /// Cost     as BatchNorm::backward
  /// Throws   as BatchNorm::backward; no state has changed then
  /// Threads  one call at a time per layer; the number of threads of the device changes no bit of the result
  template <class X, class DY, class DX>
  void backward(const X& x, const DY& dy, DX&& dx, const CallOptions& options = {}) {
    if constexpr (Base::template accepts<0>(detail::Reads<X, DY>(), detail::Writes<DX>())) {
      if (was_plain()) return Base::backward(x, dy, dx, {.device = options.device});
      run_backward(options.device, std::tuple{detail::Named{"dx", dx}}, detail::Named{"x", x}, detail::Named{"dy", dy});
    }
  }
  /// The same for an activation with a residual.
  ///
  /// Aliasing dx and dresidual may each be x, residual or dy, not each other
  template <class X, class R, class DY, class DX, class DR>
  void backward(const X& x, const R& residual, const DY& dy, DX&& dx, DR&& dresidual, const CallOptions& options = {}) {
    if constexpr (Base::template accepts<1>(detail::Reads<X, DY, R>(), detail::Writes<DX, DR>())) {
      if (was_plain()) return Base::backward(x, residual, dy, dx, dresidual, {.device = options.device});
      run_backward(options.device, std::tuple{detail::Named{"dx", dx}, detail::Named{"dresidual", dresidual}},
                   detail::Named{"x", x}, detail::Named{"dy", dy}, detail::Named{"residual", residual});
    }
  }

  /// backward from y, the output of forward: see BatchNorm::backward_from_output, with r gamma and beta + d gamma for
  /// gamma and beta.
  ///
  /// Shapes   y, dy, dx: the extents of forward's x
  /// Aliasing dx may be y or dy
  /// State    adds to gradients(), unless forward ran in a mode without parameter gradients
  /// Throws   as BatchNorm::backward_from_output; no state has changed then
  /// Threads  one call at a time per layer; the number of threads of the device changes no bit of the result
  template <class Y, class DY, class DX>
  void backward_from_output(const Y& y, const DY& dy, DX&& dx, const CallOptions& options = {}) {
    if constexpr (detail::accepts_inverse<Activation, Scalar>() &&
                  Base::template accepts<0>(detail::Reads<Y, DY>(), detail::Writes<DX>())) {
      if (was_plain()) return Base::backward_from_output(y, dy, dx, {.device = options.device});
      run_backward_from_output(options.device, detail::Named{"dx", dx}, detail::Named{"y", y}, detail::Named{"dy", dy});
    }
  }

  /// Refused: calls on a const layer, and all that the declarations above do not take.
  template <class... Args>
  void forward(const Args&...) const {
    static_assert(detail::always_false<Args...> || !is_valid,
                  "batchnorm: forward takes (x, y[, options]), or (x, residual, y[, options]) where the activation has "
                  "a residual; it updates statistics, so on a const layer call infer(x, y)");
  }
  /// Refused likewise.
  template <class... Args>
  void backward(const Args&...) const {
    static_assert(detail::always_false<Args...> || !is_valid,
                  "batchnorm: backward takes (x, dy, dx[, options]), or (x, residual, dy, dx, dresidual[, options]) "
                  "where the activation has a residual; it adds to gradients(), so the layer must not be const");
  }

  /// How the limits grow.
  const RenormSchedule& schedule() const { return schedule_; }
  /// How they grow from the next forward pass on.
  ///
  /// Throws   as RenormSchedule::limits; the schedule has not changed then
  void set_schedule(const RenormSchedule& schedule) {
    schedule.check();
    schedule_ = schedule;
  }
  /// The limits of the next forward pass.
  RenormLimits limits() const { return schedule_.limits(running_.batches); }

  /// r and d of the last forward pass; empty if that was batch normalization, r 1 and d 0.
  const Correction& correction() const { return saved_.correction; }

  /// BatchNorm's line, and the limits of the next forward pass.
  std::string describe() const {
    const RenormLimits next = limits();
    std::ostringstream text;
    text << "BatchRenorm within r_max " << next.r_max << " and d_max " << next.d_max << ": " << Base::describe();
    return text.str();
  }
  /// Prints describe().
  friend std::ostream& operator<<(std::ostream& out, const BatchRenorm& layer) { return out << layer.describe(); }

 private:
  using Base::options_, Base::mode_, Base::running_, Base::affine_, Base::gradients_, Base::activation_, Base::saved_,
      Base::incoming_, Base::statistics_, Base::sums_;
  using typename Base::Call;
  using Through = detail::Normalization<Scalar, Activation>;

  bool was_plain() const { return saved_.correction.r.size() == 0; }

  template <class Y, class... Xs>
  void run_forward(const Device& device, const detail::Named<Y>& y, const detail::Named<Xs>&... xs) {
    const Call call{"forward"};
    const auto in = call.inputs(options_.channels, xs...);
    Base::check_state(call);
    const StatisticsSource source =
        Base::source_for(call, in[0], detail::Unweighted(), static_cast<double>(in[0].view.count()));
    const RenormLimits within = limits();
    if (source == StatisticsSource::running || within.is_plain()) {
      return Base::forward(xs.tensor..., y.tensor, {.device = device});
    }
    running_.check_usable(call.name);
    const auto out = call.output(y, in);
    const auto fingerprints = detail::fingerprints_of(in);  // before y is written, which may be x
    detail::batch_moments(device, in[0].view, incoming_);
    if (mode_.update_running) running_.check(incoming_, options_.averaging, options_.non_finite);
    detail::assign(statistics_, Base::statistics_of(source), options_.channels);
    choose_correction(within);
    detail::normalize(device, detail::views(in), Through{statistics_, corrected_, activation_}, out.view,
                      detail::Order::backwards);
    Base::keep(saved_, corrected_);
    saved_.correction = correction_;
    saved_.tensors.assign(in[0].shape, call.template channel_axis<Y>(), fingerprints, out.view);
    Base::take_in_batch();
  }

  /// r and d of the batch whose statistics are there, and the parameters that do what they do:
  ///
  ///   gamma (x_hat r + d) + beta = (r gamma) x_hat + (beta + d gamma)
  void choose_correction(const RenormLimits& within) {
    detail::assign(running_constants_, {running_, options_.epsilon}, options_.channels);
    const Statistics &batch = statistics_, &running = running_constants_;
    auto& [r, d] = correction_;
    r.resize(options_.channels);
    d.resize(options_.channels);
    corrected_.gamma.resize(options_.channels);
    corrected_.beta.resize(options_.channels);
    for (Index c = 0; c < options_.channels; ++c) {
      r[c] = std::clamp(running.inv_std[c] / batch.inv_std[c], 1 / within.r_max, within.r_max);
      d[c] = std::clamp((batch.mean[c] - running.mean[c]) * running.inv_std[c], -within.d_max, within.d_max);
      const double gamma = options_.scale ? static_cast<double>(affine_.gamma[c]) : 1;
      const double beta = options_.shift ? static_cast<double>(affine_.beta[c]) : 0;
      corrected_.gamma[c] = static_cast<Scalar>(r[c] * gamma);
      corrected_.beta[c] = static_cast<Scalar>(beta + d[c] * gamma);
    }
  }

  template <class... DXs, class... Xs>
  void run_backward(const Device& device, const std::tuple<detail::Named<DXs>...>& dxs,
                    const detail::Named<Xs>&... xs) {
    const Call call{"backward"};
    const auto in = call.inputs(options_.channels, xs...);
    Base::check_state(call);
    check_same(call, in[0], saved_.tensors.x);
    if constexpr (sizeof...(Xs) == 3) check_same(call, in[2], saved_.tensors.residual);
    const auto out = call.outputs(dxs, in);
    run_through(device, in, Through{saved_.statistics, saved_, activation_}, out);
  }

  template <class DX, class Y, class DY>
  void run_backward_from_output(const Device& device, const detail::Named<DX>& dx, const detail::Named<Y>& y,
                                const detail::Named<DY>& dy) {
    const Call call{"backward_from_output"};
    const auto in = call.inputs(options_.channels, y, dy);
    Base::check_state(call);
    check_same(call, in[0], saved_.tensors.y);
    call.template check_recoverable<detail::scalar_t<Y>>(saved_.gamma, saved_.beta, options_.channels);
    run_through(device, in, detail::Recovery<Scalar, Activation>{saved_.statistics, saved_, activation_},
                std::array{call.output(dx, in)});
  }

  template <class Input>
  void check_same(const Call& call, const Input& x, const detail::Fingerprint& expected) const {
    call.check_same(x, saved_.tensors, expected, "keep a copy of what is overwritten in place");
  }

  /// The backward pass of the corrected parameters, and from their gradients those of gamma and beta.
  template <class Inputs, class Forward, class Outputs>
  void run_through(const Device& device, const Inputs& in, const Forward& forward, const Outputs& out) {
    detail::backward(device, detail::views(in), forward, sums_, nullptr, detail::views(out));
    if (!saved_.parameter_gradients) return;
    auto& corrected = corrected_gradients_;
    corrected.gamma.setZero(options_.channels);
    corrected.beta.setZero(options_.channels);
    detail::parameter_gradients(sums_, forward, corrected);
    const auto& [r, d] = saved_.correction;
    const auto add = [](ChannelArray<Scalar>& total, const auto& gradient) {
      total = (total.template cast<double>() + gradient).template cast<Scalar>();
    };
    if (options_.scale) add(gradients_.gamma, r * corrected.gamma + d * corrected.beta);
    if (options_.shift) add(gradients_.beta, corrected.beta);
  }

  RenormSchedule schedule_;
  /// Where a pass that may throw puts what it makes of the batch and of sums, kept for their storage.
  Correction correction_;
  Statistics running_constants_;
  AffineParameters<Scalar> corrected_;
  Gradients<double> corrected_gradients_;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
