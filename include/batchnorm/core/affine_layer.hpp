/// \file
/// What all layers own alike: options, a mode, gamma and beta with their gradients.
#pragma once

#include <batchnorm/core/arguments.hpp>
#include <batchnorm/core/parameters.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// Scalar or, where a layer refuses that, a type that its base does not refuse once more.
template <class Scalar>
using parameter_t = std::conditional_t<is_parameter_type<Scalar>, Scalar, float>;

/// The base of the layers; `LayerOptions` have channels, scale, shift and mode.
template <class Scalar, class LayerOptions>
class AffineLayer {
 public:
  /// What the next forward pass does.
  Mode mode() const { return mode_; }
  /// What the next forward passes do; backward passes of earlier ones are not affected.
  void set_mode(Mode mode) { mode_ = mode; }

  /// What the layer was made with.
  const LayerOptions& options() const { return options_; }

  /// gamma and beta; may be assigned, in their sizes.
  AffineParameters<Scalar>& affine() { return affine_; }
  /// The same, const.
  const AffineParameters<Scalar>& affine() const { return affine_; }
  /// Sums over the backward passes since the last zero_gradients().
  Gradients<Scalar>& gradients() { return gradients_; }
  /// The same, const.
  const Gradients<Scalar>& gradients() const { return gradients_; }

  /// Sets the gradients to zero.
  void zero_gradients() { gradients_.zero(); }

  /// Calls visit(Parameter<Scalar>) for "gamma" and "beta", if the layer has them: all that an optimizer needs.
  template <class Visit>
  void for_each_parameter(Visit&& visit) {
    detail::for_each_parameter(affine_, gradients_, visit);
  }

 protected:
  /// `options` have been checked.
  explicit AffineLayer(const LayerOptions& options)
      : options_(options),
        mode_(options.mode),
        affine_(options.channels, options.scale, options.shift),
        gradients_(options.channels, options.scale, options.shift) {}

  LayerOptions options_;
  Mode mode_;
  AffineParameters<Scalar> affine_;
  Gradients<Scalar> gradients_;
};

/// Users may assign parameters, so their sizes are looked at in each call.
template <class Layout, class Layer>
void check_parameters(const Call<Layout>& call, const Layer& layer) {
  const auto& options = layer.options();
  const Index scales = options.scale ? options.channels : 0, shifts = options.shift ? options.channels : 0;
  call.check_size("affine().gamma", layer.affine().gamma.size(), scales);
  call.check_size("affine().beta", layer.affine().beta.size(), shifts);
  call.check_size("gradients().gamma", layer.gradients().gamma.size(), scales);
  call.check_size("gradients().beta", layer.gradients().beta.size(), shifts);
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
