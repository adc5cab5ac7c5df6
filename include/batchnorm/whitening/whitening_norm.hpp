/// \file
/// The layer that batch normalization simplifies: whitening of the mini-batch, channels together.
#pragma once

#include <batchnorm/core/arguments.hpp>
#include <batchnorm/whitening/passes.hpp>

#include <sstream>
#include <string>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// A layer that whitens its input: what the paper begins with and calls costly, before it normalizes each channel by
/// itself.
///
///   training:   y = (x - mean(x)) W diag(gamma) + beta, W = (Sigma(x) + epsilon I)^(-1/2)        x as [samples, channels]
///   inference:  the same with running().mean and running().covariance
///
/// where Sigma(x) = (1/m) (x - mean)^T (x - mean). The symmetric root is that of ZCA: of all whitening transforms it
/// changes x least. With options.groups the channels are divided into groups that are whitened each by itself; with as
/// many groups as channels the layer is BatchNorm. A group of d channels of which a batch has m <= d samples has
/// directions without any variance, which W enlarges by 1/sqrt(epsilon): choose a larger epsilon or smaller groups.
///
/// Scalar, layout, modes, options and running statistics are as in BatchNorm, and so are NaNs, but that one reaches all
/// channels of its group. There is no fused activation, and a single value per channel cannot be trained on. Products,
/// roots and statistics are in double whatever Scalar is. A copy is a layer of its own.
///
/// Population statistics: run the batches in Mode::probe and call running().update(moments(), cumulative()) on fresh
/// running statistics after each.
///
/// Newton's steps are products of matrices only, which pays where those are cheap; on one core the eigenvectors are
/// cheaper (examples/README.md has the times).
///
/// Memory: for each group of d channels about 8 d^2 doubles, and with newton 3 d^2 more per iteration; buffers for 256
/// samples.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 2; Huang et al. 2018, "Decorrelated Batch Normalization",
/// arXiv:1804.08450 (eigen); Huang et al. 2019, "Iterative Normalization", arXiv:1904.03441 (newton).
template <class Scalar, class Layout = samples_in_rows>
class WhiteningNorm {
  static_assert(std::same_as<Scalar, float> || std::same_as<Scalar, double>,
                "batchnorm: Scalar is the type of the parameters: use WhiteningNorm<float> or WhiteningNorm<double>");

 public:
  /// Throws   std::invalid_argument unless options.channels >= 1, options.groups divides it, options.iterations >= 1 and
  ///          options.epsilon > 0
  explicit WhiteningNorm(const WhiteningOptions& options)
      : options_(detail::checked(options)),
        mode_(options.mode),
        affine_(options.channels, options.scale, options.shift),
        gradients_(options.channels, options.scale, options.shift),
        running_(options.channels, options.groups),
        groups_(static_cast<std::size_t>(options.groups), detail::WhiteningGroup(options)) {}
  /// Refused: a bare number does not say what it is.
  template <class Refused = void>
  explicit WhiteningNorm(Index channels) : WhiteningNorm(WhiteningOptions{.channels = channels}) {
    static_assert(detail::never<Refused> || !is_valid,
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
  ///          mode reads the batch, on statistics that are not finite under NonFinite::error, and where running() is
  ///          used or blended into and has a value that is not finite or a variance below zero; no state has changed and
  ///          nothing is written then
  /// Threads  one call at a time per layer; groups are shared out among the device's threads, whose number changes no
  ///          bit of the result
  template <Device D, class X, class Y>
  void forward(const D& device, const X& x, Y&& y) {
    detail::check_outputs<Y>();
    run_forward(detail::executor(device), x, y);
  }

  /// Gradients of the last forward pass; x is what that pass was given. They are exact: through the mean, the
  /// covariance and its root, for newton through the iteration as it ran.
  ///
  /// Shapes   x, dy, dx: the extents of forward's x
  /// Aliasing dx may be x or dy
  /// State    adds to gradients(), unless forward ran in a mode without parameter gradients
  /// Cost     for each group 6 m d^2 operations and the root's gradient: 8 d^3 for eigen, 6 d^3 per iteration for newton
  /// Throws   std::invalid_argument if there was no forward, if x is another one than forward's or was overwritten
  ///          since (told by its extents and a hash of about a hundred of its elements, of all if they are few), if dy
  ///          or dx have other extents, or if dx overlaps a part of x or dy
  /// Threads  as forward
  template <Device D, class X, class DY, class DX>
  void backward(const D& device, const X& x, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    run_backward(detail::executor(device), x, dy, dx);
  }

  /// Whitens with the running statistics, whatever the mode, and keeps nothing. An empty x is a no-op.
  ///
  /// Shapes   x, y: the same extents, rank >= 2
  /// Aliasing y may be x
  /// Cost     as forward on running statistics; the root of running statistics that no forward has used since they
  ///          changed is computed in each call
  /// Throws   as forward
  /// Threads  safe from many threads at once, as long as no other call changes the layer
  template <Device D, class X, class Y>
  void infer(const D& device, const X& x, Y&& y) const {
    detail::check_outputs<Y>();
    run_infer(detail::executor(device), x, y);
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
  template <class X, class DY, class DX>
  void backward(const X& x, const DY& dy, DX&& dx) {
    detail::check_outputs<DX>();
    backward(detail::CallingThread{}, x, dy, dx);
  }
  template <class X, class Y>
  requires(!Device<X>) void infer(const X& x, Y&& y) const {
    detail::check_outputs<Y>();
    infer(detail::CallingThread{}, x, y);
  }
  template <class X>
  auto infer(const X& x) const {
    return infer(detail::CallingThread{}, x);
  }

  /// Refused: calls on a const layer, and all that the declarations above do not take.
  template <class... Args>
  void forward(const Args&...) const {
    static_assert(
        detail::never<Args...> || !is_valid,
        "batchnorm: forward takes ([device,] x, y); it updates statistics and keeps what backward needs, so on "
        "a const layer call infer(x, y)");
  }
  template <class... Args>
  void backward(const Args&...) const {
    static_assert(detail::never<Args...> || !is_valid,
                  "batchnorm: backward takes ([device,] x, dy, dx); it adds to gradients(), so the layer must not be "
                  "const");
  }

  Mode mode() const { return mode_; }
  /// What the next forward passes do; backward passes of earlier ones are not affected.
  void set_mode(Mode mode) { mode_ = mode; }

  const WhiteningOptions& options() const { return options_; }

  AffineParameters<Scalar>& affine() { return affine_; }
  const AffineParameters<Scalar>& affine() const { return affine_; }
  Gradients<Scalar>& gradients() { return gradients_; }
  const Gradients<Scalar>& gradients() const { return gradients_; }
  RunningCovariance& running() { return running_; }
  const RunningCovariance& running() const { return running_; }
  /// The moments of the last batch that a forward pass read.
  const CovarianceMoments& moments() const { return moments_; }
  /// The matrix W that the last forward pass multiplied with, one for each group.
  const GroupedMatrix& whitening() const { return whitening_; }

  void zero_gradients() { gradients_.zero(); }

  /// Calls visit(Parameter<Scalar>) for "gamma" and "beta", as far as the layer has them.
  template <class Visit>
  void for_each_parameter(Visit&& visit) {
    detail::for_each_parameter(affine_, gradients_, visit);
  }

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
  friend std::ostream& operator<<(std::ostream& out, const WhiteningNorm& layer) { return out << layer.describe(); }

 private:
  using Call = detail::Call<Layout, Scalar>;
  using Groups = std::vector<detail::WhiteningGroup>;

  template <class X, class Y>
  void run_forward(const detail::Executor& executor, const X& x, Y& y) {
    const Call call{"forward"};
    const auto in = call.input("x", x, options_.channels);
    check_state(call);
    const bool reads_batch = detail::reads_batch(mode_);
    if (reads_batch) check_batch(call, in);
    if (mode_.statistics == StatisticsSource::running) running_.check_usable(call.name);
    if (mode_.update_running) running_.check_blendable(call.name, options_.averaging, options_.non_finite);
    const auto out = call.output("y", y, in);
    const auto view = detail::views(in)[0];
    const auto fingerprint = detail::Fingerprint::of(view);
    if (reads_batch) detail::batch_covariance(executor, view, groups_, by_channel_, incoming_);
    if (mode_.update_running) running_.check(incoming_, options_.averaging, options_.non_finite);

    if (mode_.statistics == StatisticsSource::batch) {
      mean_ = incoming_.mean;
      detail::inverse_square_roots(executor, incoming_.scatter / static_cast<double>(incoming_.count), groups_,
                                   whitening_);
    } else {
      mean_ = running_.mean.matrix();
      if (!serving_.fits(running_)) serving_ = {running_.covariance, running_whitening(executor)};
      whitening_ = serving_.whitening;
    }
    saved_affine_.assign(affine_.gamma, affine_.beta, options_.channels);
    detail::whiten(executor, view, mean_, whitening_, saved_affine_, groups_, out.view);

    saved_.statistics = mode_.statistics;
    saved_.parameter_gradients = mode_.parameter_gradients;
    saved_.extents.assign(in.shape.extents.begin(), in.shape.extents.end());
    saved_.channel_axis = Layout::template axis<detail::rank_of<X>()>();
    saved_.fingerprint = fingerprint;
    if (mode_.update_running)
      running_.update(incoming_, options_.averaging, options_.running_variance, options_.non_finite);
    if (reads_batch) std::swap(moments_, incoming_);
  }

  template <class X, class DY, class DX>
  void run_backward(const detail::Executor& executor, const X& x, const DY& dy, DX& dx) {
    const Call call{"backward"};
    const auto in = call.input("x", x, options_.channels);
    const auto gradient = call.input_like(in, "dy", dy);
    check_state(call);
    call.check_saved(saved_, in, saved_.fingerprint, "keep a copy of what is overwritten in place");
    const auto out = call.output("dx", dx, in, gradient);
    detail::whitening_backward(executor, detail::views(in, gradient),
                               {saved_.statistics, mean_, whitening_, saved_affine_}, groups_, dgamma_, dbeta_,
                               out.view);
    if (!saved_.parameter_gradients) return;
    if (options_.scale) gradients_.gamma += dgamma_.array().template cast<Scalar>();
    if (options_.shift) gradients_.beta += dbeta_.array().template cast<Scalar>();
  }

  template <class X, class Y>
  void run_infer(const detail::Executor& executor, const X& x, Y& y) const {
    const Call call{"infer"};
    const auto in = call.input("x", x, options_.channels);
    check_state(call);
    running_.check_usable(call.name);
    const auto out = call.output("y", y, in);
    detail::WhiteningAffine affine;
    affine.assign(affine_.gamma, affine_.beta, options_.channels);
    Groups groups(groups_.size(), detail::WhiteningGroup(options_));
    detail::whiten(executor, detail::views(in)[0], running_.mean.matrix(),
                   serving_.fits(running_) ? serving_.whitening : running_whitening(executor), affine, groups,
                   out.view);
  }

  GroupedMatrix running_whitening(const detail::Executor& executor) const {
    Groups groups(groups_.size(), detail::WhiteningGroup(options_));
    GroupedMatrix result;
    detail::inverse_square_roots(executor, running_.covariance, groups, result);
    return result;
  }

  template <class X>
  static void check_batch(const Call& call, const detail::Argument<X>& x) {
    call.check_not_empty(x);
    if (x.view.count() > 1) return;
    detail::fail(call.name,
                 "(x): expected at least 2 values per channel to take the covariance of, got 1; use a larger batch or "
                 "infer(); x is ",
                 x.shape);
  }

  /// Users may assign parameters and statistics, so their sizes are looked at in each call.
  void check_state(const Call& call) const {
    call.check_owned(affine_, gradients_, options_);
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

  WhiteningOptions options_;
  Mode mode_;
  AffineParameters<Scalar> affine_;
  Gradients<Scalar> gradients_;
  RunningCovariance running_;
  CovarianceMoments moments_;
  Serving serving_;
  /// What backward needs of the last forward pass: this, and the roots of the groups.
  Saved<Scalar> saved_;
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
