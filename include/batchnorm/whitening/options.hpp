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

/// Prints `eigen` or `newton`.
inline std::ostream& operator<<(std::ostream& out, WhiteningMethod method) {
  return out << (method == WhiteningMethod::eigen ? "eigen" : "newton");
}

/// The settings of a WhiteningNorm; every field but `channels` has a default.
struct WhiteningOptions {
  /// How many channels x has: at least 1.
  Index channels = 0;
  /// Into how many groups of neighbors the channels are divided; each is whitened by itself.
  Index groups = 1;
  /// How the root is computed.
  WhiteningMethod method = WhiteningMethod::eigen;
  /// Newton-Schulz steps: IterNorm's five.
  int iterations = 5;
  /// Added to the covariance's diagonal; in units of x squared. At least 1e-205, in a layer of floats 8.7e-78.
  double epsilon = 1e-5;
  /// How much a new batch counts in the running statistics.
  Averaging averaging = exponential(0.1);
  /// Which estimate of the covariance they keep.
  RunningVariance running_variance = RunningVariance::unbiased;
  /// What they do with a batch that is not finite.
  NonFinite non_finite = NonFinite::skip;
  /// Whether there is a gamma.
  bool scale = true;
  /// Whether there is a beta.
  bool shift = true;
  /// The mode that the layer begins in.
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
  check_epsilon<Scalar>("WhiteningOptions", options.epsilon);
  constexpr double least = 1e-205;  // its power 3/2 is divided by
  if (options.epsilon < least) {
    fail("WhiteningOptions: expected an epsilon of at least ", least, ", got ", options.epsilon, "; scale the data");
  }
  return options;
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
