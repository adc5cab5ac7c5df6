/// \file
/// Activations that are fused into the normalization: values with the function and its derivative, written on SIMD
/// packets.
#pragma once

#include <batchnorm/base/error.hpp>
#include <batchnorm/base/finite.hpp>
#include <batchnorm/base/packet.hpp>

#include <concepts>
#include <limits>
#include <sstream>
#include <string>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// What can be fused into forward and backward passes over Scalars: a type of the user's own too. Its members, on
/// packets, which have + - * / unary -, min, max, abs, exp, copysign, multiply_add and select_less_equal:
///
///   Packet<Scalar> forward(const Packet<Scalar>& z) const                                the function f(z)
///   Packet<Scalar> backward(const Packet<Scalar>& z, const Packet<Scalar>& dy) const     its gradient, dy * f'(z)
///   name()                                                                               what describe() prints
///
/// `z` is what the normalization gives. backward sees the same bits of it as forward did: it is recomputed from x, and
/// nothing else is kept. The members are templates over Scalar if the activation is for float and double. An activation
/// is copied freely and called from several threads at once, so it holds at most a few constants. Whether two are the
/// same is told by operator== where there is one, else by their bytes or, where those cannot be compared, name(): one
/// with members of several sizes needs an operator==, as the bytes between them are anything.
template <class A, class Scalar = float>
concept FusableActivation = std::copy_constructible<A> &&
    requires(const A& activation, const Packet<Scalar>& z, const Packet<Scalar>& dy) {
  { activation.forward(z) } -> std::same_as<Packet<Scalar>>;
  { activation.backward(z, dy) } -> std::same_as<Packet<Scalar>>;
  { activation.name() } -> std::convertible_to<std::string>;
};

/// An activation with an inverse: z can be recovered from y, so a backward pass can do without x.
template <class A, class Scalar = float>
concept InvertibleActivation = FusableActivation<A, Scalar> && requires(const A& activation, const Packet<Scalar>& y) {
  { activation.inverse(y) } -> std::same_as<Packet<Scalar>>;
};

/// An activation of two arguments, z and the residual that a skip connection adds to it.
///
///   Packet<Scalar> forward(z, residual) const            f(z + residual)
///   Packet<Scalar> backward(z, residual, dy) const       dy * f'(z + residual), the gradient of z and of the residual
template <class A, class Scalar = float>
concept ResidualActivation = std::copy_constructible<A> &&
    requires(const A& activation, const Packet<Scalar>& z, const Packet<Scalar>& dy) {
  { activation.forward(z, z) } -> std::same_as<Packet<Scalar>>;
  { activation.backward(z, z, dy) } -> std::same_as<Packet<Scalar>>;
  { activation.name() } -> std::convertible_to<std::string>;
};

namespace detail {

/// s'(z) = e / (1 + e)^2 with e = exp(-|z|), s the logistic function. Unlike s (1 - s) it keeps its digits where s has
/// rounded to 1.
template <class Scalar>
Packet<Scalar> logistic_derivative(const Packet<Scalar>& z) {
  const auto e = exp(-abs(z)), sum = Packet<Scalar>::broadcast(1) + e;
  return e / (sum * sum);
}

}  // namespace detail

/// The activations that come with the library. batchnorm names relu, leaky_relu, sigmoid and add_relu too; identity and
/// tanh only stand here, since std::identity and the C library's tanh would make them ambiguous under
/// `using namespace batchnorm`.
namespace activations {

/// No activation: y = z.
struct identity {
  /// y = z.
  template <class Scalar>
  Packet<Scalar> forward(const Packet<Scalar>& z) const {
    return z;
  }
  /// dz = dy.
  template <class Scalar>
  Packet<Scalar> backward(const Packet<Scalar>&, const Packet<Scalar>& dy) const {
    return dy;
  }
  /// z = y.
  template <class Scalar>
  Packet<Scalar> inverse(const Packet<Scalar>& y) const {
    return y;
  }
  /// As errors and describe() print it.
  static std::string name() { return "identity"; }
};

/// y = max(z, 0), with gradient 0 at z = 0. NaN stays NaN.
struct relu {
  /// y = max(z, 0).
  template <class Scalar>
  Packet<Scalar> forward(const Packet<Scalar>& z) const {
    return max(z, Packet<Scalar>::broadcast(0));
  }
  /// dz = dy where z > 0, else 0.
  template <class Scalar>
  Packet<Scalar> backward(const Packet<Scalar>& z, const Packet<Scalar>& dy) const {
    const auto zero = Packet<Scalar>::broadcast(0);
    return select_less_equal(z, zero, zero, dy);
  }
  /// As errors and describe() print it.
  static std::string name() { return "relu"; }
};

/// y = z where z > 0 and slope * z elsewhere, with gradient `slope` at z = 0. NaN stays NaN.
///
/// Source   Maas, Hannun & Ng 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic Models".
class leaky_relu {
 public:
  /// Of slope 0.01.
  constexpr leaky_relu() = default;
  /// Of this slope.
  ///
  /// Throws   std::invalid_argument unless slope is a float above 0, neither denormal nor infinite: y of slope 0 is
  ///          relu's and has no inverse
  constexpr explicit leaky_relu(double slope) : slope_(slope) {
    // A float's least normal number, so that z * slope and y / slope make sense in float too.
    if (!(detail::is_finite(slope) && slope >= double(std::numeric_limits<float>::min()) &&
          slope <= double(std::numeric_limits<float>::max())))
      detail::fail("leaky_relu(slope): expected a positive and finite slope, got ", slope, "; for slope 0 use relu");
  }

  /// Of y where z <= 0.
  constexpr double slope() const { return slope_; }

  /// Whether the slopes are alike.
  friend constexpr bool operator==(const leaky_relu&, const leaky_relu&) = default;

  /// y = z where z > 0, else slope * z.
  template <class Scalar>
  Packet<Scalar> forward(const Packet<Scalar>& z) const {
    return select_less_equal(z, Packet<Scalar>::broadcast(0), z * slope_packet<Scalar>(), z);
  }
  /// dz = dy where z > 0, else slope * dy.
  template <class Scalar>
  Packet<Scalar> backward(const Packet<Scalar>& z, const Packet<Scalar>& dy) const {
    return select_less_equal(z, Packet<Scalar>::broadcast(0), dy * slope_packet<Scalar>(), dy);
  }
  /// z of y, within 1 epsilon where slope * z is a normal number.
  template <class Scalar>
  Packet<Scalar> inverse(const Packet<Scalar>& y) const {
    return select_less_equal(y, Packet<Scalar>::broadcast(0), y / slope_packet<Scalar>(), y);
  }
  /// With its parameters, as errors and describe() print it.
  std::string name() const {
    std::ostringstream text;
    text << "leaky_relu(" << slope_ << ")";
    return text.str();
  }

 private:
  template <class Scalar>
  Packet<Scalar> slope_packet() const {
    return Packet<Scalar>::broadcast(static_cast<Scalar>(slope_));
  }

  double slope_ = 0.01;
};

/// y = 1 / (1 + exp(-z)), the paper's own; y' = y (1 - y). NaN stays NaN.
///
/// Measured over all normal y and y', y errs by at most 1.6 epsilon of its value (2.8 in float with AVX-512) and y' by
/// 2.6; below the least normal number they fade into 0.
struct sigmoid {
  /// y = 1 / (1 + exp(-z)).
  template <class Scalar>
  Packet<Scalar> forward(const Packet<Scalar>& z) const {
    const auto one = Packet<Scalar>::broadcast(1);
    return one / (one + exp(-z));
  }
  /// dz = dy y (1 - y).
  template <class Scalar>
  Packet<Scalar> backward(const Packet<Scalar>& z, const Packet<Scalar>& dy) const {
    return dy * detail::logistic_derivative(z);
  }
  /// As errors and describe() print it.
  static std::string name() { return "sigmoid"; }
};

/// y = tanh(z), y' = 1 - y^2. NaN stays NaN, and 0 keeps its sign.
///
/// Measured over all normal y and y', y errs by at most 1.2 epsilon of its value, however small z is, and y' by 2.6;
/// below 4 times the least normal number y' fades into 0.
///
/// Source   S. L. Moshier, Cephes Mathematical Library, tanh.c: the rational function and its coefficients.
struct tanh {
  /// y = tanh(z).
  template <class Scalar>
  Packet<Scalar> forward(const Packet<Scalar>& z) const {
    const auto constant = [](double value) { return Packet<Scalar>::broadcast(static_cast<Scalar>(value)); };
    const auto t = abs(z), one = constant(1), two = constant(2);
    // 1 - 2 / (exp(2t) + 1) cancels near 0; there tanh(t) = t + t t^2 P(t^2) / Q(t^2).
    const auto s = t * t;
    const auto p =
        multiply_add(multiply_add(constant(-9.64399179425052238628e-1), s, constant(-9.92877231001918586564e1)), s,
                     constant(-1.61468768441708447952e3));
    const auto q =
        multiply_add(multiply_add(s + constant(1.12811678491632931402e2), s, constant(2.23548839060100448583e3)), s,
                     constant(4.84406305325125486048e3));
    const auto near_zero = multiply_add(t, s * p / q, t);
    const auto elsewhere = one - two / (exp(two * t) + one);
    return copysign(select_less_equal(t, constant(0.625), near_zero, elsewhere), z);
  }
  /// dz = dy (1 - y^2).
  template <class Scalar>
  Packet<Scalar> backward(const Packet<Scalar>& z, const Packet<Scalar>& dy) const {
    // tanh(z) = 2 s(2z) - 1, s the logistic function.
    return dy * (Packet<Scalar>::broadcast(4) * detail::logistic_derivative(z + z));
  }
  /// As errors and describe() print it.
  static std::string name() { return "tanh"; }
};

/// The end of a residual block: y = max(z + residual, 0), with gradient 0 at z + residual = 0. NaN stays NaN.
struct add_relu {
  /// y = max(z + residual, 0).
  template <class Scalar>
  Packet<Scalar> forward(const Packet<Scalar>& z, const Packet<Scalar>& residual) const {
    return relu{}.forward(z + residual);
  }
  /// The gradient of z, and of the residual: they are the same.
  template <class Scalar>
  Packet<Scalar> backward(const Packet<Scalar>& z, const Packet<Scalar>& residual, const Packet<Scalar>& dy) const {
    return relu{}.backward(z + residual, dy);
  }
  /// As errors and describe() print it.
  static std::string name() { return "add_relu"; }
};

}  // namespace activations

using activations::add_relu;
using activations::leaky_relu;
using activations::relu;
using activations::sigmoid;

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
