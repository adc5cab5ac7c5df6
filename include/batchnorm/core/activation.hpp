/// \file
/// Activations that are fused into the normalisation: values with the function and its derivative, written on SIMD
/// packets.
#pragma once

#include <batchnorm/core/packet.hpp>

namespace batchnorm::inline BATCHNORM_ABI {

/// No activation: y = z.
struct identity {
  template <class Scalar>
  Packet<Scalar> forward(const Packet<Scalar>& z) const {
    return z;
  }
  template <class Scalar>
  Packet<Scalar> backward(const Packet<Scalar>&, const Packet<Scalar>& dy) const {
    return dy;
  }
  static const char* name() { return "identity"; }
};

/// y = max(z, 0), with gradient 0 at z = 0. NaN stays NaN.
struct relu {
  template <class Scalar>
  Packet<Scalar> forward(const Packet<Scalar>& z) const {
    return max(z, Packet<Scalar>::broadcast(0));
  }
  template <class Scalar>
  Packet<Scalar> backward(const Packet<Scalar>& z, const Packet<Scalar>& dy) const {
    const auto zero = Packet<Scalar>::broadcast(0);
    return select_less_equal(z, zero, zero, dy);
  }
  static const char* name() { return "relu"; }
};

}  // namespace batchnorm::inline BATCHNORM_ABI
