/// \file
/// Configuration of the whitening layer.
#pragma once

#include <batchnorm/core/options.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// How the inverse square root of a covariance is computed.
enum class WhiteningMethod {
  eigen,  ///< from its eigenvectors: exact
  newton  ///< by a fixed number of Newton-Schulz steps: products of matrices only; small eigenvalues are not whitened
          ///< wholly, which regularizes
};

inline std::ostream& operator<<(std::ostream& out, WhiteningMethod method) {
  return out << (method == WhiteningMethod::eigen ? "eigen" : "newton");
}

/// The settings of a WhiteningNorm; every field but `channels` has a default. Those that Options has too mean the same.
struct WhiteningOptions {
  Index channels = 0;
  /// Into how many groups of neighbors the channels are divided; each is whitened by itself.
  Index groups = 1;
  /// How the root is computed.
  WhiteningMethod method = WhiteningMethod::eigen;
  /// Newton-Schulz steps: IterNorm's five.
  int iterations = 5;
  /// Added to the covariance's diagonal; in units of x squared.
  double epsilon = 1e-5;
  Averaging averaging = exponential(0.1);
  /// Of the running covariance.
  RunningVariance running_variance = RunningVariance::unbiased;
  NonFinite non_finite = NonFinite::skip;
  bool scale = true;
  bool shift = true;
  Mode mode = Mode::training;
};

namespace detail {

template <class Scalar>
const WhiteningOptions& checked(const WhiteningOptions& options) {
  check_channels("WhiteningOptions", options.channels);
  if (options.groups < 1 || options.channels % options.groups != 0) {
    fail("WhiteningOptions: expected a number of groups that divides the ", options.channels, " channels, got ",
         options.groups);
  }
  if (options.iterations < 1) fail("WhiteningOptions: expected iterations >= 1, got ", options.iterations);
  check_epsilon("WhiteningOptions", options.epsilon);
  return options;
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
