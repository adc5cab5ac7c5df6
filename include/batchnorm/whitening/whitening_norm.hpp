/// \file
/// The layer that batch normalization simplifies: whitening of the mini-batch, channels together.
#pragma once

#include <batchnorm/core/affine_layer.hpp>
#include <batchnorm/whitening/passes.hpp>

#include <sstream>
#include <string>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// A layer that whitens its input: what the paper begins with and calls costly, before it normalizes each channel by
/// itself.
///
///   training:   y = (x - mean(x)) W diag(gamma) + beta, W = (Sigma(x) + epsilon I)^(-1/2)        x as [samples,
///   channels] inference:  the same with running().mean and running().covariance
///
/// where Sigma(x) = (1/m) (x - mean)^T (x - mean). The symmetric root is that of ZCA: of all whitening transforms it
/// changes x least. With options.groups the channels are divided into groups that are whitened each by itself; with as
/// many groups as channels the layer is BatchNorm. A group of d channels of which a batch has m <= d samples has
/// directions without any variance, which W enlarges by 1/sqrt(epsilon): choose a larger epsilon or smaller groups.
///
/// Scalar, layout, modes, options and running statistics are as in BatchNorm, and so are NaNs, but that one reaches all
/// channels of its group. There is no fused activation, and a single value per channel cannot be trained on. Products,
/// roots and statistics are in double whatever Scalar is. Copies are independent.
///
/// Population statistics: run the batches in Mode::probe and call running().update(moments(), cumulative()) on fresh
/// running statistics after each.
///
/// Newton's steps are products of matrices only, which pays where those are cheap; on one core the eigenvectors are
/// cheaper (examples/experiments/README.md has the times).
///
/// Memory: for each group of d channels about 8 d^2 doubles, and with newton 3 d^2 more per iteration; buffers for 256
/// samples.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 2; Huang et al. 2018, "Decorrelated Batch Normalization",
/// arXiv:1804.08450 (eigen); Huang et al. 2019, "Iterative Normalization", arXiv:1904.03441 (newton).
template <class Scalar, class Layout = samples_in_rows>
class WhiteningNorm : public detail::AffineLayer<detail::parameter_t<Scalar>, WhiteningOptions> {
  using Base = detail::AffineLayer<detail::parameter_t<Scalar>, WhiteningOptions>;
  static_assert(
      detail::is_parameter_type<Scalar>,
      "batchnorm: Scalar is the type of the parameters: use WhiteningNorm<float> or WhiteningNorm<double>; half and "
      "bfloat16 tensors go with float");
  static_assert(detail::LayoutTag<Layout>,
                "batchnorm: the second parameter is a layout: write for example WhiteningNorm<float, samples_in_rows>");
  /// Whether the layer itself was not refused.
  static constexpr bool is_valid = detail::is_parameter_type<Scalar> && detail::LayoutTag<Layout>;

 public:
  /// With gamma 1, beta 0, and running statistics of no batch.
  ///
  /// Throws   std::invalid_argument unless options.channels >= 1, options.groups divides it, options.iterations >= 1
  ///          and options.epsilon > 0
  explicit WhiteningNorm(const WhiteningOptions& options)
      : Base(detail::checked<Scalar>(options)),
        running_(options.channels, options.groups),
        groups_(static_cast<std::size_t>(options.groups), detail::WhiteningGroup(options)) {}

  /// Refused: a bare number does not say what it is.
  template <class Refused = void>
  explicit WhiteningNorm(Index channels) : WhiteningNorm(WhiteningOptions{.channels = channels}) {
    static_assert(detail::always_false<Refused> || !is_valid,
                  "batchnorm: options have names: write WhiteningNorm<float> norm({.channels = 2})");
  }

  /// Whitens x as the mode says and keeps what backward needs.
  ///
  /// Shapes   x, y: the same extents, rank >= 2
  /// Aliasing y may be x; backward then needs a copy of the original x
  /// State    moments() where the mode reads the batch, running() where it updates them
  /// Cost     for m samples and each group of d channels 3 m d^2 operations and the root: about 9 d^3 for eigen, 3 d^3
  ///          per iteration for newton; on running statistics 2 m d^2, and the root when they have changed. Allocates
  ///          when m or the running statistics have changed; Eigen's products and solver have buffers of their own
  /// Throws   std::invalid_argument if x does not have options().channels channels, if y has other extents or overlaps
  ///          a part of x, if a parameter was given another size, on x with fewer than two values per channel where the
  ///          mode reads the batch, and on statistics that are not finite under NonFinite::error; no state has changed
  ///          then
  /// Threads  one call at a time per layer; groups are shared out among the device's threads, whose number changes no
  ///          bit of the result
  template <class X, class Y>
  void forward(const X& x, Y&& y, const CallOptions& options = {}) {
    if constexpr (detail::accepts<Layout, Scalar, activations::identity, 0>(detail::Reads<X>(), detail::Writes<Y>())) {
      run_forward(options.device, detail::Named{"x", x}, detail::Named{"y", y});
    }
  }

  /// Gradients of the last forward pass; x is what that pass was given. They are exact: through the mean, the
  /// covariance and its root, for newton through the iteration as it ran.
  ///
  /// Shapes   x, dy, dx: the extents of forward's x
  /// Aliasing dx may be x or dy
  /// State    adds to gradients(), unless forward ran in a mode without parameter gradients
  /// Cost     for each group 6 m d^2 operations and the root's gradient: 8 d^3 for eigen, 6 d^3 per iteration for
  ///          newton
  /// Throws   std::invalid_argument if there was no forward, if x is another one than forward's or was overwritten
  ///          since (told by its extents and a hash of about a hundred of its elements, of all if they are few), if dy
  ///          or dx have other extents, or if dx overlaps a part of x or dy
  /// Threads  as forward
  template <class X, class DY, class DX>
  void backward(const X& x, const DY& dy, DX&& dx, const CallOptions& options = {}) {
    if constexpr (detail::accepts<Layout, Scalar, activations::identity, 0>(detail::Reads<X, DY>(),
                                                                            detail::Writes<DX>())) {
      run_backward(options.device, detail::Named{"x", x}, detail::Named{"dy", dy}, detail::Named{"dx", dx});
    }
  }

  /// Whitens with the running statistics, whatever the mode, and keeps nothing. An empty x is a no-op.
  ///
  /// Shapes   x, y: the same extents, rank >= 2
  /// Aliasing y may be x
  /// Cost     as forward on running statistics; the root of running statistics that no forward has used since they
  ///          changed is computed in each call
  /// Throws   as forward
  /// Threads  safe from many threads at once, as long as no other call changes the layer
  template <class X, detail::NoOptions Y>
  void infer(const X& x, Y&& y, const CallOptions& options = {}) const {
    if constexpr (detail::accepts<Layout, Scalar, activations::identity, 0>(detail::Reads<X>(), detail::Writes<Y>())) {
      run_infer(options.device, detail::Named{"x", x}, detail::Named{"y", y});
    }
  }
  /// The same into a new Matrix, Array or Tensor.
  template <class X>
  auto infer(const X& x, const CallOptions& options = {}) const {
    if constexpr (detail::accepts<Layout, Scalar, activations::identity, 0>(detail::Reads<X>())) {
      detail::plain_t<X> y;
      run_infer(options.device, detail::Named{"x", x}, detail::Named{"y", y});
      return y;
    } else {
      return detail::plain_t<X>();
    }
  }

  /// Refused: calls on a const layer, and all that the declarations above do not take.
  template <class... Args>
  void forward(const Args&...) const {
    static_assert(detail::always_false<Args...> || !is_valid,
                  "batchnorm: forward takes (x, y[, options]); it updates statistics and keeps what backward needs, so "
                  "on a const layer call infer(x, y)");
  }
  /// Refused likewise.
  template <class... Args>
  void backward(const Args&...) const {
    static_assert(detail::always_false<Args...> || !is_valid,
                  "batchnorm: backward takes (x, dy, dx[, options]); it adds to gradients(), so the layer must not be "
                  "const");
  }

  /// The averages that inference whitens with; may be assigned.
  RunningCovariance& running() { return running_; }
  /// The same, const.
  const RunningCovariance& running() const { return running_; }
  /// The moments of the last batch that a forward pass read.
  const CovarianceMoments& moments() const { return moments_; }
  /// The matrix W that the last forward pass multiplied with, one for each group.
  const GroupedMatrix& whitening() const { return whitening_; }

  /// One line that says type, options, mode, and how many batches the running statistics have seen.
  std::string describe() const {
    std::ostringstream text;
    text << "WhiteningNorm<" << (std::same_as<Scalar, float> ? "float" : "double") << ", " << Layout::name()
         << ">(channels " << options_.channels << ", groups " << options_.groups << ", " << options_.method;
    if (options_.method == WhiteningMethod::newton) text << " with " << options_.iterations << " iterations";
    text << ", epsilon " << options_.epsilon << ", " << options_.averaging << ", running covariance "
         << (options_.running_variance == RunningVariance::unbiased ? "unbiased" : "biased")
         << (options_.scale ? "" : ", no scale") << (options_.shift ? "" : ", no shift") << ", mode " << mode_ << ", "
         << running_.batches << " batches seen, " << running_.skipped << " skipped)";
    return text.str();
  }
  /// Prints describe().
  friend std::ostream& operator<<(std::ostream& out, const WhiteningNorm& layer) { return out << layer.describe(); }

 private:
  using Call = detail::Call<Layout>;
  using Base::affine_, Base::gradients_, Base::mode_, Base::options_;
  using Groups = std::vector<detail::WhiteningGroup>;

  template <class X, class Y>
  void run_forward(const Device& device, const detail::Named<X>& x, const detail::Named<Y>& y) {
    const Call call{"forward"};
    const auto in = call.inputs(options_.channels, x);
    check_state(call);
    check_batch(call, in[0]);
    const auto out = call.output(y, in);
    const auto fingerprints = detail::fingerprints_of(in);  // before y is written, which may be x
    if (detail::reads_batch(mode_)) {
      detail::batch_moments(device, in[0].view, by_channel_);
      detail::batch_covariance(device, in[0].view, by_channel_, groups_, incoming_);
    }
    if (mode_.update_running) running_.check(incoming_, options_.averaging, options_.non_finite);
    saved_tensors_.extents.clear();  // if memory runs out now there is no pass to go back through
    choose_whitening(device);
    saved_affine_.assign(affine_.gamma, affine_.beta, options_.channels);
    detail::whiten(device, in[0].view, mean_, whitening_, saved_affine_, groups_, out.view);
    saved_ = {mode_.statistics, mode_.parameter_gradients};
    saved_tensors_.assign(in[0].shape, call.template channel_axis<X>(), fingerprints, out.view);
    take_in_batch();
  }

  /// The mean to subtract and the matrix to multiply with, as the mode says.
  void choose_whitening(const Device& device) {
    if (mode_.statistics == StatisticsSource::batch) {
      mean_ = incoming_.mean;
      detail::inverse_square_roots(device, incoming_.scatter / incoming_.count, groups_, whitening_);
    } else {
      mean_ = running_.mean.matrix();
      if (!serving_.fits(running_)) serving_ = {running_.covariance, running_whitening(device)};
      whitening_ = serving_.whitening;
    }
  }

  void take_in_batch() {
    if (mode_.update_running)
      running_.update(incoming_, options_.averaging, options_.running_variance, options_.non_finite);
    if (detail::reads_batch(mode_)) std::swap(moments_, incoming_);
  }

  template <class X, class DY, class DX>
  void run_backward(const Device& device, const detail::Named<X>& x, const detail::Named<DY>& dy,
                    const detail::Named<DX>& dx) {
    const Call call{"backward"};
    const auto in = call.inputs(options_.channels, x, dy);
    check_state(call);
    call.check_same(in[0], saved_tensors_, saved_tensors_.x, "keep a copy of what is overwritten in place");
    const auto out = call.output(dx, in);
    detail::whitening_backward(device, in[0].view, in[1].view, {saved_.statistics, mean_, whitening_, saved_affine_},
                               groups_, dgamma_, dbeta_, out.view);
    if (!saved_.parameter_gradients) return;
    if (options_.scale) gradients_.gamma += dgamma_.array().template cast<Scalar>();
    if (options_.shift) gradients_.beta += dbeta_.array().template cast<Scalar>();
  }

  template <class X, class Y>
  void run_infer(const Device& device, const detail::Named<X>& x, const detail::Named<Y>& y) const {
    const Call call{"infer"};
    const auto in = call.inputs(options_.channels, x);
    check_state(call);
    running_.check_usable(call.name);
    const auto out = call.output(y, in);
    detail::WhiteningAffine affine;
    affine.assign(affine_.gamma, affine_.beta, options_.channels);
    Groups groups(groups_.size(), detail::WhiteningGroup(options_));
    detail::whiten(device, in[0].view, running_.mean.matrix(),
                   serving_.fits(running_) ? serving_.whitening : running_whitening(device), affine, groups, out.view);
  }

  GroupedMatrix running_whitening(const Device& device) const {
    Groups groups(groups_.size(), detail::WhiteningGroup(options_));
    GroupedMatrix result;
    detail::inverse_square_roots(device, running_.covariance, groups, result);
    return result;
  }

  /// That the mode can run on x: enough values to take a covariance of, and running statistics that make sense where
  /// they are needed.
  template <class Input>
  void check_batch(const Call& call, const Input& x) const {
    if (detail::reads_batch(mode_)) call.check_not_empty(x);
    if (detail::reads_batch(mode_) && x.view.count() == 1) {
      detail::fail(
          call.name,
          "(x): expected at least 2 values per channel to take the covariance of, got 1; use a larger batch or "
          "infer(); x is ",
          x.shape);
    }
    if (mode_.statistics == StatisticsSource::running) running_.check_usable(call.name);
    if (mode_.update_running) running_.check_blendable(call.name, options_.averaging, options_.non_finite);
  }

  /// Users may assign parameters and statistics, so their sizes are looked at in each call.
  void check_state(const Call& call) const {
    detail::check_parameters(call, *this);
    call.check_size("running().mean", running_.mean.size(), options_.channels);
    call.check_size("the rows of running().covariance", running_.covariance.rows(), options_.channels);
    call.check_size("the columns of running().covariance", running_.covariance.cols(),
                    options_.channels / options_.groups);
  }

  /// W of running statistics, and the covariance it was computed from.
  struct Serving {
    GroupedMatrix covariance, whitening;

    bool fits(const RunningCovariance& running) const {
      return covariance.size() != 0 && covariance == running.covariance;
    }
  };

  /// How the last forward pass ran.
  struct SavedMode {
    StatisticsSource statistics = StatisticsSource::batch;
    bool parameter_gradients = false;
  };

  RunningCovariance running_;
  CovarianceMoments moments_;
  Serving serving_;
  /// What backward needs of the last forward pass: this, and the roots of the groups.
  SavedMode saved_;
  detail::SavedTensors saved_tensors_;
  detail::WhiteningAffine saved_affine_;
  Eigen::VectorXd mean_;
  GroupedMatrix whitening_;
  Groups groups_;
  /// Where a pass gathers moments and sums, kept for their storage. A pass that throws leaves moments_ as they were.
  CovarianceMoments incoming_;
  Moments by_channel_;
  Eigen::VectorXd dgamma_, dbeta_;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
