/// \file
/// Batch normalization of a large batch as if it were several small ones.
#pragma once

#include <batchnorm/layers/batch_norm.hpp>

#include <algorithm>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// How a batch is cut into ghost batches.
struct GhostBatches {
  /// Samples in each: at least 1.
  Index samples = 0;
};

namespace detail {

/// The ghosts that so many samples make. The last has what is left over.
struct Ghosts {
  Index samples, size, number;

  /// A single value that is left over, of which there is no variance, goes with the ghost before it.
  Ghosts(Index samples_, Index size_, Index values_in_a_sample)
      : samples(samples_), size(size_), number(std::max<Index>(1, samples_ / size_ + (samples_ % size_ != 0))) {
    if (number > 1 && samples % size * values_in_a_sample == 1) --number;
  }

  Index first(Index ghost) const { return ghost * size; }
  Index count(Index ghost) const { return ghost + 1 == number ? samples - first(ghost) : size; }
};

/// What the layer is given of a tensor that is one ghost: itself, with the bits that it has as a batch.
struct WholeBatch {
  template <class T>
  T& operator()(T& tensor) const {
    return tensor;
  }
};

/// What it is given of others: some samples, where they lie.
template <class Layout>
struct SomeSamples {
  Index first, count;

  template <class T>
  auto operator()(T& tensor) const {
    constexpr int rank = rank_of<T>(), order = is_row_major<T>() ? int(Eigen::RowMajor) : int(Eigen::ColMajor);
    auto extents = extents_of(tensor);
    extents[std::size_t(sample_axis<Layout, rank>())] = count;
    return ChannelSlice<element_t<T>, rank, order, Layout::template axis<rank>()>(
        slice_samples<Layout>(tensor, first, count), extents);
  }
};

/// Gives state its values back, in its own memory, unless all steps of a pass went well.
template <class... States>
class Restore {
 public:
  explicit Restore(States&... states) : states_(states...), before_(states...) {}
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;
  ~Restore() {
    if (!done_) states_ = before_;
  }

  void dismiss() { done_ = true; }

 private:
  std::tuple<States&...> states_;
  std::tuple<States...> before_;
  bool done_ = false;
};

}  // namespace detail

/// A BatchNorm that trains on ghost batches: slices of the batch, each with statistics of its own. A large batch then
/// has the noise of small ones, which they owe some of their generalization to.
///
///   training, for each ghost B:   y = activation(gamma (x - mean(B)) / sqrt(variance(B) + epsilon) + beta)
///   running statistics:           updated with each ghost in turn
///   inference:                    that of BatchNorm; there are no ghosts
///
/// A ghost is ghosts.samples consecutive samples. Batches need not be multiples of that: what is left over is a smaller
/// ghost of its own, and a batch of fewer samples is one ghost. Only a single value per channel that is left over, of
/// which no variance can be taken, goes with the ghost before it. Where all there is are single values (a batch of one,
/// or ghosts of one by choice), options.single_value says what becomes of them.
///
/// One ghost is BatchNorm, bit for bit. So are modes that normalize with the running statistics. All that BatchNorm has
/// and that is not declared here is BatchNorm's: infer(), running(), for_each_state() and so on. moments() are those of
/// the last ghost; options.averaging weighs a ghost, not a batch. Passes through a reference to BatchNorm know of no
/// ghosts.
///
/// Copies are independent.
///
/// Source   Hoffer, Hubara & Soudry 2017, "Train longer, generalize better", arXiv:1705.08741, Algorithm 1.
template <class Scalar_, class Layout = samples_in_rows, class Activation = activations::identity>
class GhostBatchNorm : public BatchNorm<detail::parameter_t<Scalar_>, Layout, Activation> {
  using Scalar = detail::parameter_t<Scalar_>;
  using Base = BatchNorm<Scalar, Layout, Activation>;
  // Said here, since clang cannot go on with a base that was refused.
  static_assert(
      detail::is_parameter_type<Scalar_>,
      "batchnorm: Scalar is the type of the parameters: use GhostBatchNorm<float> or GhostBatchNorm<double>; half and "
      "bfloat16 tensors go with float");
  static constexpr bool is_valid = Base::is_valid && detail::is_parameter_type<Scalar_>;

 public:
  /// With gamma 1, beta 0, and running statistics of no batch.
  ///
  /// Throws   std::invalid_argument unless options.channels >= 1, options.epsilon > 0 and ghosts.samples >= 1
  GhostBatchNorm(const Options& options, const GhostBatches& ghosts, const Activation& activation = {})
      : Base(options, activation), ghosts_(ghosts) {
    if (ghosts.samples < 1) {
      detail::fail("GhostBatches: expected ghost batches of at least 1 sample, got ", ghosts.samples,
                   "; write for example {.samples = 32}");
    }
  }

  /// As BatchNorm::forward, by ghosts where the mode normalizes with the batch.
  ///
  /// Shapes   x, y: the same extents, rank >= 2
  /// Aliasing y may be x; backward then needs a copy of the original x
  /// State    saved(), moments() where the mode reads the batch, running() where it updates them
  /// Cost     as BatchNorm::forward of each ghost; for more than one, copies of running() and moments(), and under
  ///          NonFinite::error x is read once more
  /// Throws   as BatchNorm::forward; no state has changed then. Where there is more than one ghost, a column-major
  ///          tensor is refused whose channels are neither on axis 1 nor on the last: its samples cannot be seen by
  ///          themselves
  /// Threads  one call at a time per layer; the number of threads of the device changes no bit of the result
  template <class X, class Y>
  void forward(const X& x, Y&& y, const CallOptions& options = {}) {
    if constexpr (Base::template accepts<0>(detail::Reads<X>(), detail::Writes<Y>())) {
      run_forward(
          options, [&](const auto& of, const auto& how) { this->Base::forward(of(x), of(y), how); },
          detail::Named{"y", y}, detail::Named{"x", x});
    }
  }
  /// The same for an activation with a residual.
  template <class X, class R, detail::NoOptions Y>
  void forward(const X& x, const R& residual, Y&& y, const CallOptions& options = {}) {
    if constexpr (Base::template accepts<1>(detail::Reads<X, R>(), detail::Writes<Y>())) {
      run_forward(
          options, [&](const auto& of, const auto& how) { this->Base::forward(of(x), of(residual), of(y), how); },
          detail::Named{"y", y}, detail::Named{"x", x}, detail::Named{"residual", residual});
    }
  }

  /// Gradients of the last forward pass, through the statistics of each ghost; x is what that pass was given.
  ///
  /// Shapes   x, dy, dx: the extents of forward's x
  /// Aliasing dx may be x or dy
  /// State    adds to gradients(), unless forward ran in a mode without parameter gradients
  /// Cost     as BatchNorm::backward of each ghost; for more than one, a copy of gradients()
  /// Throws   as BatchNorm::backward; no state has changed then
  /// Threads  one call at a time per layer; the number of threads of the device changes no bit of the result
  template <class X, class DY, class DX>
  void backward(const X& x, const DY& dy, DX&& dx, const CallOptions& options = {}) {
    if constexpr (Base::template accepts<0>(detail::Reads<X, DY>(), detail::Writes<DX>())) {
      run_backward(
          "backward", tensors_.x, options,
          [&](const auto& of, const auto& how) { this->Base::backward(of(x), of(dy), of(dx), how); },
          std::tuple{detail::Named{"dx", dx}}, detail::Named{"x", x}, detail::Named{"dy", dy});
    }
  }
  /// The same for an activation with a residual.
  ///
  /// Aliasing dx and dresidual may each be x, residual or dy, not each other
  template <class X, class R, class DY, class DX, class DR>
  void backward(const X& x, const R& residual, const DY& dy, DX&& dx, DR&& dresidual, const CallOptions& options = {}) {
    if constexpr (Base::template accepts<1>(detail::Reads<X, DY, R>(), detail::Writes<DX, DR>())) {
      run_backward(
          "backward", tensors_.x, options,
          [&](const auto& of, const auto& how) {
            this->Base::backward(of(x), of(residual), of(dy), of(dx), of(dresidual), how);
          },
          std::tuple{detail::Named{"dx", dx}, detail::Named{"dresidual", dresidual}}, detail::Named{"x", x},
          detail::Named{"dy", dy}, detail::Named{"residual", residual});
    }
  }

  /// backward from y, the output of forward: see BatchNorm::backward_from_output.
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
      run_backward(
          "backward_from_output", tensors_.y, options,
          [&](const auto& of, const auto& how) { this->Base::backward_from_output(of(y), of(dy), of(dx), how); },
          std::tuple{detail::Named{"dx", dx}}, detail::Named{"y", y}, detail::Named{"dy", dy});
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

  /// How batches are cut.
  const GhostBatches& ghosts() const { return ghosts_; }
  /// What the last forward pass left for backward, ghost by ghost.
  const std::vector<Saved<Scalar>>& saved() const { return saved_ghosts_; }

  /// BatchNorm's line, and how many samples a ghost has.
  std::string describe() const {
    std::ostringstream text;
    text << "GhostBatchNorm of " << ghosts_.samples << (ghosts_.samples == 1 ? " sample: " : " samples: ")
         << Base::describe();
    return text.str();
  }
  /// Prints describe().
  friend std::ostream& operator<<(std::ostream& out, const GhostBatchNorm& layer) { return out << layer.describe(); }

 private:
  using Base::options_, Base::mode_, Base::running_, Base::moments_, Base::incoming_, Base::gradients_;
  using typename Base::Call;

  template <class Input>
  detail::Ghosts ghosts_of(const Input& x) const {
    constexpr int rank = int(std::tuple_size_v<decltype(x.shape.extents)>);
    const Index samples = x.shape.extents[std::size_t(detail::sample_axis<Layout, rank>())];
    return {samples, ghosts_.samples, samples == 0 ? 0 : x.view.count() / samples};
  }

  /// `pass` runs BatchNorm's on a part of each tensor.
  template <class Pass, class Y, class... Xs>
  void run_forward(const CallOptions& options, const Pass& pass, const detail::Named<Y>& y,
                   const detail::Named<Xs>&... xs) {
    const Call call{"forward"};
    const auto in = call.inputs(options_.channels, xs...);
    const auto out = call.output(y, in);  // of the whole: the y of one ghost must not be a part of another's x
    const auto fingerprints = detail::fingerprints_of(in);
    const detail::Ghosts ghosts = ghosts_of(in[0]);
    tensors_.extents.reserve(in[0].shape.extents.size());  // so that nothing is thrown after the ghosts' passes
    const bool is_one = ghosts.number == 1 || mode_.statistics == StatisticsSource::running;
    incoming_ghosts_.resize(is_one ? 1 : std::size_t(ghosts.number));
    if (!is_one) check_ghosts(options.device, ghosts, xs...);
    for_each_ghost(
        ghosts, incoming_ghosts_,
        [&](const auto& of, Saved<Scalar>& saved) {
          pass(of, ForwardOptions<Scalar>{.device = options.device, .saved = &saved});
        },
        running_, moments_);
    std::swap(saved_ghosts_, incoming_ghosts_);
    tensors_.assign(in[0].shape, call.template channel_axis<Y>(), fingerprints, out.view);
  }

  /// What is to be refused for its moments is refused before y, which may be x, is written: of any ghost.
  template <class X, class... Others>
  void check_ghosts(const Device& device, const detail::Ghosts& ghosts, const detail::Named<X>& x,
                    const detail::Named<Others>&...) {
    if (!mode_.update_running || options_.non_finite != NonFinite::error) return;
    for (Index k = 0; k < ghosts.number; ++k) {
      const ChannelView<const detail::scalar_t<X>> ghost =
          detail::slice_samples<Layout>(x.tensor, ghosts.first(k), ghosts.count(k));
      detail::batch_moments(device, ghost, incoming_);
      running_.check(incoming_, options_.averaging, options_.non_finite);
    }
  }

  template <class Pass, class... DXs, class X, class... Others>
  void run_backward(const char* name, const detail::Fingerprint& expected, const CallOptions& options, const Pass& pass,
                    const std::tuple<detail::Named<DXs>...>& dxs, const detail::Named<X>& x,
                    const detail::Named<Others>&... others) {
    const Call call{name};
    const auto in = call.inputs(options_.channels, x, others...);
    call.check_same(in[0], tensors_, expected, "keep a copy of what is overwritten in place");
    call.outputs(dxs, in);
    for_each_ghost(
        ghosts_of(in[0]), saved_ghosts_,
        [&](const auto& of, const Saved<Scalar>& saved) {
          pass(of, BackwardOptions<Scalar>{.device = options.device, .saved = &saved});
        },
        gradients_);
  }

  /// One step for each Saved, all or none of which change the states.
  template <class Step, class... States>
  static void for_each_ghost(const detail::Ghosts& ghosts, std::vector<Saved<Scalar>>& saved, const Step& step,
                             States&... states) {
    if (saved.size() == 1) return step(detail::WholeBatch(), saved[0]);
    detail::Restore restore(states...);
    for (Index k = 0; k < ghosts.number; ++k) {
      step(detail::SomeSamples<Layout>{ghosts.first(k), ghosts.count(k)}, saved[std::size_t(k)]);
    }
    restore.dismiss();
  }

  GhostBatches ghosts_;
  /// Of each ghost, and where a pass that may throw puts it.
  std::vector<Saved<Scalar>> saved_ghosts_, incoming_ghosts_;
  /// Of the whole batch.
  detail::SavedTensors tensors_;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
