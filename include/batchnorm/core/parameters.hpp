/// \file
/// What is learned: gamma and beta, their gradients, and the form in which an optimizer meets them.
#pragma once

#include <batchnorm/base/error.hpp>
#include <batchnorm/base/tensor.hpp>

#include <string_view>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

namespace detail {

template <class Scalar>
inline constexpr bool is_parameter_type = std::same_as<Scalar, float> || std::same_as<Scalar, double>;

}  // namespace detail

/// The affine transform y = gamma * x_hat + beta. An empty gamma means 1, an empty beta 0.
template <class Scalar>
struct AffineParameters {
  /// The scale, [C] or empty.
  ChannelArray<Scalar> gamma;
  /// The shift, [C] or empty.
  ChannelArray<Scalar> beta;

  /// No scale, no shift.
  AffineParameters() = default;
  /// gamma = 1 and beta = 0, each if enabled.
  explicit AffineParameters(Index channels, bool scale = true, bool shift = true)
      : gamma(ChannelArray<Scalar>::Ones(detail::state_size("AffineParameters", scale ? channels : 0))),
        beta(ChannelArray<Scalar>::Zero(shift ? channels : 0)) {}

  static_assert(detail::is_parameter_type<Scalar>,
                "batchnorm: Scalar is the type of the parameters: use BatchNorm<float> or BatchNorm<double>, "
                "likewise WhiteningNorm and AffineParameters; half and bfloat16 tensors go with float");
};

/// The gradients of gamma and beta, summed over the backward passes since the last zero().
///
///   dgamma_c = sum_i dy_ci * x_hat_ci        dbeta_c = sum_i dy_ci
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.
template <class Scalar>
struct Gradients {
  /// dgamma: [C] or empty, as the parameter.
  ChannelArray<Scalar> gamma;
  /// dbeta: [C] or empty, as the parameter.
  ChannelArray<Scalar> beta;

  /// Of no channels; backward gives them their size.
  Gradients() = default;
  /// Zeros, each if enabled.
  explicit Gradients(Index channels, bool scale = true, bool shift = true)
      : gamma(ChannelArray<Scalar>::Zero(detail::state_size("Gradients", scale ? channels : 0))),
        beta(ChannelArray<Scalar>::Zero(shift ? channels : 0)) {}

  /// Sets both to zero.
  void zero() {
    gamma.setZero();
    beta.setZero();
  }
};

/// One parameter as an optimizer sees it.
template <class Scalar>
struct Parameter {
  /// "gamma" or "beta".
  std::string_view name;
  /// The layer's own memory, [C].
  Eigen::Map<ChannelArray<Scalar>> value;
  /// The layer's own memory, [C]: what the backward passes added up.
  Eigen::Map<ChannelArray<Scalar>> gradient;
  /// Whether weight decay applies to it; it does not to gamma and beta.
  bool weight_decay;
};

namespace detail {

/// Calls visit(Parameter<Scalar>) for "gamma" and "beta", if present.
template <class Scalar, class Visit>
void for_each_parameter(AffineParameters<Scalar>& affine, Gradients<Scalar>& gradients, Visit&& visit) {
  const auto offer = [&](const char* name, ChannelArray<Scalar>& value, ChannelArray<Scalar>& gradient) {
    if (value.size() == 0) return;
    visit(Parameter<Scalar>{name, {value.data(), value.size()}, {gradient.data(), gradient.size()}, false});
  };
  offer("gamma", affine.gamma, gradients.gamma);
  offer("beta", affine.beta, gradients.beta);
}

}  // namespace detail

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
