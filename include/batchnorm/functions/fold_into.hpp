/// \file
/// Normalization folded into the weights of the dense layer or convolution before or behind it, and what that costs.
#pragma once

#include <batchnorm/functions/statistics.hpp>
#include <batchnorm/kernels/difference.hpp>
#include <batchnorm/kernels/normalize.hpp>

#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// What a convolution sees beyond the border of its input.
enum class Padding {
  unknown,  ///< not said: fold_into_next takes it for none of a matrix, and refuses all else
  none,     ///< nothing but its input: no padding, or values of the input reflected, repeated or wrapped around
  zeros     ///< zeros around the input or, as in every transposed convolution, between its values
};

/// How weights are folded into; new fields come at the end.
struct FoldOptions {
  /// The calling thread, unless said otherwise.
  Device device = {};
  /// The groups of the convolution; one for each input channel if it is depthwise.
  Index groups = 1;
  /// What the convolution sees beyond the border: asked of fold_into_next alone.
  Padding padding = Padding::unknown;
  /// The largest |gamma| that the report calls small: gamma is the spread of what the normalization gives.
  double small_gamma = 1e-4;
};

/// What folding a normalization costs, and where to look if the result is worse than expected. Channels are those of
/// the normalization.
///
/// The layer folded into gives values about `mean` less its bias, where normalize would subtract that before it
/// multiplies. So of a value of y's spread about these bits are rounded off:
///
///   bits_lost = max(0, log2(|mean - bias| / sqrt(variance + epsilon)))
///
/// Shapes   bits_lost: [C]
struct FoldReport {
  /// By channel. fold_into_next multiplies x itself: no bias is subtracted from the mean.
  Eigen::ArrayXd bits_lost;
  /// That where most bits are lost.
  Index worst_channel = 0;
  /// The largest |gamma / sqrt(variance + epsilon)|: what the rounding of a weight is multiplied by.
  double largest_scale = 0;
  /// That of the largest scale.
  Index largest_scale_channel = 0;
  /// Channels of a variance of at most epsilon, which says then what they are divided by: constant in training perhaps.
  std::vector<Index> small_variances;
  /// Channels of a gamma of at most FoldOptions::small_gamma in magnitude: they hardly say more than beta.
  std::vector<Index> small_gammas;

  /// Prints one line.
  friend std::ostream& operator<<(std::ostream& out, const FoldReport& report) {
    const auto list = [&](const char* title, const std::vector<Index>& channels) {
      out << ", " << title;
      if (channels.empty()) out << " none";
      for (const Index c : channels) out << " " << c;
    };
    out << "largest |scale| " << report.largest_scale << " in channel " << report.largest_scale_channel;
    if (report.bits_lost.size() > 0) {
      out << ", most bits lost " << report.bits_lost[report.worst_channel] << " in channel " << report.worst_channel;
    }
    list("small variances:", report.small_variances);
    list("small gammas:", report.small_gammas);
    return out;
  }
};

/// A layer that a normalization was folded into.
template <class Weights, class Scalar>
struct FoldedLayer {
  /// A Matrix, Array or Tensor of the extents and element type that the weights had.
  Weights weights;
  /// One for each output channel. In Scalar, though the weights be of 16 bits.
  ChannelArray<Scalar> bias;
  /// What it costs.
  FoldReport report;
};

/// How far two outputs lie apart.
///
/// Shapes   by_channel: [C]
struct FoldDifference {
  /// The largest |y - folded_y| of each channel.
  Eigen::ArrayXd by_channel;
  /// The largest of them.
  double largest = 0;
  /// Its channel.
  Index channel = 0;

  /// Prints one line.
  friend std::ostream& operator<<(std::ostream& out, const FoldDifference& difference) {
    return out << "largest difference " << difference.largest << " in channel " << difference.channel;
  }
};

namespace detail {

/// Of weights whose channels lie on one axis: there is no other to name.
struct NoLayout {};

/// Whether weights can be folded into; if not, one sentence says why.
template <class Output, class Input, class Scalar, class Weights, class Bias>
consteval bool accepts_weights() {
  if constexpr (!accepts_tensors<Output, Scalar>(Reads<Weights>(), Writes<>())) {
    return false;
  } else if constexpr (is_channel_slice<std::remove_cvref_t<Weights>>) {
    static_assert(always_false<Weights>,
                  "batchnorm: weights are folded into as a whole: pass a Matrix, Array or Tensor");
    return false;
  } else if constexpr (!DenseVector<Bias>) {
    static_assert(always_false<Weights>,
                  "batchnorm: a bias is an Eigen vector, for example a VectorXf or a Map of one; an empty one is none");
    return false;
  } else if constexpr (std::same_as<Input, NoLayout>) {
    return true;
  } else if constexpr (!LayoutTag<Input>) {
    static_assert(always_false<Weights>,
                  "batchnorm: the second template argument is a layout: write for example "
                  "channel_axis<1>, where the input channels of the weights lie");
    return false;
  } else if constexpr (Output::template axis<rank_of<Weights>()>() == Input::template axis<rank_of<Weights>()>()) {
    static_assert(always_false<Weights>, "batchnorm: the output and the input channels of weights lie on two axes");
    return false;
  } else {
    return true;
  }
}

/// Values of [C] or, where there are none, what they stand for; in double.
template <class Values>
Eigen::ArrayXd in_double(const Values& values, Index channels, double absent) {
  if (values.size() == 0) return Eigen::ArrayXd::Constant(channels, absent);
  return values.reshaped().array().template cast<double>();
}

/// A copy of a tensor in double.
template <class T>
auto copy_in_double(const T& t) {
  if constexpr (Dense<T>) {
    return t.template cast<double>().eval();
  } else {
    constexpr int options = is_row_major<T>() ? int(Eigen::RowMajor) : int(Eigen::ColMajor);
    return Eigen::Tensor<double, rank_of<T>(), options, typename T::Index>(t.template cast<double>());
  }
}

/// y = gamma (x - mean) inv_std + beta: normalization with constants, in double. A template so that nothing of it is
/// compiled before it is used.
template <class Scalar>
struct ConstantNormalization {
  Eigen::ArrayXd mean, inv_std, variance, gamma, beta;
  double epsilon;

  ConstantNormalization(const char* call, const AffineParameters<Scalar>& affine, const RunningStatistics& running,
                        double epsilon_)
      : mean(running.mean), variance(running.variance), epsilon(epsilon_) {
    inv_std = batchnorm::statistics(running, epsilon).inv_std;
    Call<samples_in_rows>{call}.check_affine(affine, channels());
    gamma = in_double(affine.gamma, channels(), 1);
    beta = in_double(affine.beta, channels(), 0);
  }

  Index channels() const { return mean.size(); }
  Eigen::ArrayXd scale() const { return gamma * inv_std; }
  /// What becomes of constants. Their distance from the mean comes first, so that nothing cancels in the sum.
  Eigen::ArrayXd operator()(const Eigen::ArrayXd& x) const { return (x - mean) * scale() + beta; }

  /// What folding it costs where x is given less a bias.
  FoldReport report(const Eigen::ArrayXd& bias, double small_gamma) const {
    FoldReport report;
    if (channels() == 0) return report;
    report.bits_lost = ((mean - bias).abs() * inv_std).max(1).log() / std::log(2.0);
    report.bits_lost.maxCoeff(&report.worst_channel);
    report.largest_scale = scale().abs().maxCoeff(&report.largest_scale_channel);
    for (Index c = 0; c < channels(); ++c) {
      if (variance[c] <= epsilon) report.small_variances.push_back(c);
      if (std::abs(gamma[c]) <= small_gamma) report.small_gammas.push_back(c);
    }
    return report;
  }
};

/// Values rounded once. Refuses what is no Scalar.
template <class Scalar>
ChannelArray<Scalar> representable(const char* call, const char* name, const Eigen::ArrayXd& values) {
  const ChannelArray<Scalar> rounded = values.cast<Scalar>();
  for (Index c = 0; c < values.size(); ++c) {
    if (is_finite(rounded[c])) continue;
    fail(call, ": expected a finite ", name, ", got ", values[c], " in channel ", c,
         "; look at gamma, beta, the running statistics and the bias, or do not fold: infer has no such limit");
  }
  return rounded;
}

/// Calls visit(first, view) for the groups of weights, the views being of channels [first, first + view.channels):
/// those of group g begin at 0 on their own axis, and lie within the g-th part of the axis of Along.
template <class Layout, class Along, class T, class Visit>
void for_each_group(T& weights, Index groups, const Visit& visit) {
  const auto visit_if_any = [&](Index first, const auto& view) {
    if (view.size() > 0) visit(first, view);
  };
  if (groups == 1) {
    visit_if_any(0, channel_view<Layout>(weights));
  } else if constexpr (LayoutTag<Along>) {
    const Index length = extents_of(weights)[std::size_t(Along::template axis<rank_of<T>()>())] / groups;
    for (Index g = 0; g < groups; ++g) {
      for_each_part<Layout, Along>(weights, g * length, length,
                                   [&](const auto& view) { visit_if_any(g * view.channels, view); });
    }
  }
}

/// A call on weights, one of whose axes of channels has all of them, and the other perhaps those of one group.
template <class Weights>
struct WeightsCall {
  static constexpr int rank = rank_of<Weights>();

  const char* name;
  ShapeText<std::size_t(rank)> shape;

  WeightsCall(const char* call, const Weights& weights)
      : name(call), shape{extents_of(weights), is_row_major<Weights>()} {
    check_program(call);
  }

  template <class Layout>
  Index extent() const {
    return shape.extents[std::size_t(Layout::template axis<rank>())];
  }

  /// In how many groups the channels lie on the axis of Layout: 1, or those that the axis of Along falls into.
  template <class Layout, class Along>
  Index groups_on_axis(const char* kind, Index channels, Index groups) const {
    if (groups < 1) fail(name, "(groups): expected at least 1, got ", groups);
    const Index found = extent<Layout>();
    if (channels % groups != 0) {
      fail(name, "(groups): expected a divisor of the ", channels, " channels of the normalization, got ", groups,
           "; weights is ", shape);
    }
    if (found == channels) return 1;
    if constexpr (LayoutTag<Along>) {
      if (found * groups == channels) return check_cut<Along>(groups);
    }
    fail(name, "(weights): expected the ", channels, " channels of the normalization, or those of one group, on axis ",
         Layout::template axis<rank>(), " (", Layout::name(), "), that of the ", kind, " channels, got ", found,
         " and ", groups, groups == 1 ? " group" : " groups",
         LayoutTag<Along> ? "" : "; name the axis of the input channels too where an axis has those of one group",
         "; weights is ", shape);
  }

  /// That an axis falls into equal groups.
  template <class Along>
  Index check_cut(Index groups) const {
    if (extent<Along>() % groups == 0) return groups;
    fail(name, "(groups): expected a divisor of the ", extent<Along>(), " channels on axis ",
         Along::template axis<rank>(), " (", Along::name(), "), got ", groups, "; weights is ", shape);
  }

  /// A bias as it was given, in double: zeros if it is empty.
  template <class Bias>
  Eigen::ArrayXd bias(const Bias& values, Index outputs) const {
    if (values.size() != 0 && values.size() != outputs) {
      fail(name, "(bias): expected ", outputs, " values, one for each output channel, or none, got ", values.size(),
           "; weights is ", shape);
    }
    return in_double(values, outputs, 0);
  }

  /// That constants pass through a layer as they pass through all of its weights.
  void check_padding(Padding padding, const Eigen::ArrayXd& shift) const {
    if (padding == Padding::none || (padding == Padding::unknown && rank == 2)) return;
    if (padding == Padding::unknown) {
      fail(name, "(padding): expected to be told what the convolution sees beyond its border, got Padding::unknown; ",
           "write {.padding = Padding::none} if that is not zeros; weights is ", shape);
    }
    for (Index c = 0; c < shift.size(); ++c) {
      if (shift[c] == 0) continue;
      fail(name, "(padding): expected a convolution that sees no zeros beyond its border, where the normalization has ",
           shift[c], " in channel ", c,
           ", got Padding::zeros; pad x with mean - beta / (gamma inv_std) instead, which ",
           "is normalized to 0, and say Padding::none, or do not fold; weights is ", shape);
    }
  }

  /// Multiplies the weights of each channel by its scale, and refuses what is not finite, before and after.
  template <class Layout, class Along, class T, class Scalar>
  void scale(T& weights, Index groups, const ChannelArray<Scalar>& scales, const Device& device) const {
    using Element = scalar_t<T>;
    for_each_group<Layout, Along>(weights, groups, [&](Index first, const ChannelView<Element>& view) {
      const ChannelView<const Element> read = view;
      const Index given = first + find_non_finite(device, read), end = first + view.channels;
      if (given < end) {
        fail(name, "(weights): expected finite weights, got NaN or infinity in channel ", given, "; weights is ",
             shape);
      }
      const ChannelArray<Scalar> none = ChannelArray<Scalar>::Zero(view.channels);
      scale_shift(device, read, scales.segment(first, view.channels).eval(), none, view);
      const Index made = first + find_non_finite(device, read);
      if (made < end) {
        fail(name, "(weights): expected folded weights of at most ",
             static_cast<double>(std::numeric_limits<Element>::max()), ", got larger ones in channel ", made,
             ", of scale ", scales[made], "; fold into weights of a wider type; weights is ", shape);
      }
    });
  }
};

}  // namespace detail

/// Folds normalization in inference into the dense layer or convolution before it: y = normalize(weights x + bias).
///
///   weights' = gamma inv_std weights        bias' = gamma inv_std (bias - mean) + beta        by output channel
///
/// where inv_std = 1 / sqrt(variance + epsilon). Right for every layer that is linear in its weights: dense,
/// convolutions of any stride and padding, grouped, depthwise, transposed. An activation that was fused into the
/// normalization still follows.
///
/// `Output` says on which axis of the weights the output channels lie. Where that axis has those of one group, as in a
/// grouped transposed convolution, or the multiplier of a depthwise one, `Input` says where the input channels lie, and
/// options.groups how many groups there are: channel c of group g is the output channel g * (channels of a group) + c.
///
/// | weights                                               | call                                                        |
/// |-------------------------------------------------------|-------------------------------------------------------------|
/// | dense, out x in; convolution [out, in / groups, h, w] | `fold_into<channel_axis<0>>`                                |
/// | dense, in x out; transposed [in, out, h, w]           | `fold_into<channel_axis<1>>`                                |
/// | convolution [h, w, in / groups, out]                  | `fold_into<channel_last>`                                   |
/// | transposed [in, out / groups, h, w]                   | `fold_into<channel_axis<1>, channel_axis<0>>`, .groups      |
/// | depthwise [h, w, in, multiplier]                      | `fold_into<channel_axis<3>, channel_axis<2>>`, .groups = in |
///
/// Source   Jacob et al. 2018, "Quantization and Training of Neural Networks", arXiv:1712.05877, section 3.2.
/// Shapes   weights: rank >= 2; bias: [C] or empty, which is none; gamma, beta: [C] or empty; running: [C]
/// Units    epsilon: those of the layer's output squared
/// Cost     copies the weights; reads them three times and writes them once
/// Throws   std::invalid_argument if sizes do not fit, if running statistics are not usable, if epsilon is not
///          positive, if the weights are not finite, and if folded weights or their bias are beyond their type; the
///          channel is named
/// Threads  safe; the number of threads changes no bit of the result
template <class Output, class Input = detail::NoLayout, class Weights, class Bias, class Scalar>
FoldedLayer<detail::plain_t<Weights>, Scalar> fold_into(const Weights& weights, const Bias& bias,
                                                        const AffineParameters<Scalar>& affine,
                                                        const RunningStatistics& running, double epsilon,
                                                        const FoldOptions& options = {}) {
  if constexpr (detail::accepts_weights<Output, Input, Scalar, Weights, Bias>()) {
    const detail::WeightsCall call("fold_into", weights);
    const detail::ConstantNormalization norm(call.name, affine, running, epsilon);
    const Index groups = call.template groups_on_axis<Output, Input>("output", norm.channels(), options.groups);
    const Eigen::ArrayXd given = call.bias(bias, norm.channels());
    FoldedLayer<detail::plain_t<Weights>, Scalar> folded{weights,
                                                         detail::representable<Scalar>(call.name, "bias", norm(given)),
                                                         norm.report(given, options.small_gamma)};
    const auto scale = detail::representable<Scalar>(call.name, "scale", norm.scale());
    call.template scale<Output, Input>(folded.weights, groups, scale, options.device);
    return folded;
  } else {
    return {};
  }
}

/// Folds normalization in inference into the dense layer or convolution behind it: y = weights normalize(x) + bias.
///
///   weights' = weights gamma inv_std                                            by input channel
///   bias'_o  = bias_o + sum_ik weights_oik (beta_i - mean_i gamma_i inv_std_i)        of all that o sees
///
/// Right where each output sees all the weights of its channel: dense layers, and convolutions without zeros beyond the
/// border. Those are zeros after the normalization, and no longer where it is folded; so options.padding must be said
/// of a convolution, and Padding::zeros, which every transposed one has, is refused unless all of the normalization's
/// constants are 0. Nothing may stand between the two, no activation and no pooling.
///
/// One of the axes has all of its channels, and the other those of one of options.groups:
///
/// | weights                                               | call                                                             |
/// |-------------------------------------------------------|------------------------------------------------------------------|
/// | dense, out x in; convolution [out, in / groups, h, w] | `fold_into_next<channel_axis<0>, channel_axis<1>>`, .groups      |
/// | dense, in x out                                       | `fold_into_next<channel_axis<1>, channel_axis<0>>`               |
/// | convolution [h, w, in / groups, out]                  | `fold_into_next<channel_axis<3>, channel_axis<2>>`, .groups      |
/// | depthwise [h, w, in, multiplier]                      | `fold_into_next<channel_axis<3>, channel_axis<2>>`, .groups = in |
///
/// Shapes   weights: rank >= 2; bias: [O] or empty, which is none; gamma, beta: [C] or empty; running: [C]
/// Units    epsilon: those of x squared
/// Cost     copies the weights, once more in double for the sums
/// Throws   std::invalid_argument where fold_into does, and for the padding
/// Threads  safe; the number of threads changes no bit of the result
template <class Output, class Input, class Weights, class Bias, class Scalar>
FoldedLayer<detail::plain_t<Weights>, Scalar> fold_into_next(const Weights& weights, const Bias& bias,
                                                             const AffineParameters<Scalar>& affine,
                                                             const RunningStatistics& running, double epsilon,
                                                             const FoldOptions& options = {}) {
  if constexpr (detail::accepts_weights<Output, Input, Scalar, Weights, Bias>()) {
    const detail::WeightsCall call("fold_into_next", weights);
    const detail::ConstantNormalization norm(call.name, affine, running, epsilon);
    const Index groups = call.template groups_on_axis<Input, Output>("input", norm.channels(), options.groups);
    const Index output_groups = groups == 1 ? call.template check_cut<Input>(options.groups) : 1;
    Eigen::ArrayXd sums = call.bias(bias, call.template extent<Output>() * output_groups);
    const Eigen::ArrayXd zero = Eigen::ArrayXd::Zero(norm.channels()), shift = norm(zero);
    call.check_padding(options.padding, shift);

    auto constants = detail::copy_in_double(weights);
    call.template scale<Input, Output>(constants, groups, shift, options.device);
    detail::for_each_group<Output, Input>(constants, output_groups, [&](Index first, const auto& view) {
      Moments moments;
      detail::batch_moments(options.device, ChannelView<const double>(view), moments);
      sums.segment(first, view.channels) += moments.mean * moments.count;
    });

    FoldedLayer<detail::plain_t<Weights>, Scalar> folded{
        weights, detail::representable<Scalar>(call.name, "bias", sums), norm.report(zero, options.small_gamma)};
    const auto scale = detail::representable<Scalar>(call.name, "scale", norm.scale());
    call.template scale<Input, Output>(folded.weights, groups, scale, options.device);
    return folded;
  } else {
    return {};
  }
}

/// How far what a folded layer gives lies from what it gave before it was normalized: the proof on a sample. The
/// library has no convolutions, so both are computed by the caller: y with the layer and normalize or infer, folded_y
/// with the folded layer, from the same x.
///
/// Shapes   y, folded_y: the same extents, rank >= 2
/// Throws   std::invalid_argument if extents differ, or if a channel has NaN or infinity
/// Threads  safe; the number of threads changes no bit of the result
template <class Layout = samples_in_rows, class Y, class Folded>
FoldDifference fold_difference(const Y& y, const Folded& folded_y, const CallOptions& options = {}) {
  FoldDifference difference;
  if constexpr (detail::accepts<Layout>(detail::Reads<Y, Folded>())) {
    const detail::Call<Layout> call{"fold_difference"};
    const auto in = call.inputs(detail::Named{"y", y}, detail::Named{"folded_y", folded_y});
    if (in[0].view.size() == 0) return {Eigen::ArrayXd::Zero(in[0].view.channels)};
    for (const auto& argument : in) {
      const Index c = detail::find_non_finite(options.device, argument.view);
      if (c == argument.view.channels) continue;
      detail::fail(call.name, "(", argument.name, "): expected finite values, got NaN or infinity in channel ", c, "; ",
                   argument.name, " is ", argument.shape);
    }
    difference.by_channel = detail::largest_difference(in[0].view, in[1].view);
    difference.largest = difference.by_channel.maxCoeff(&difference.channel);
  }
  return difference;
}

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
