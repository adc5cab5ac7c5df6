/// \file
/// Layer configuration: modes, policies, and the options they are given in.
#pragma once

#include <batchnorm/base/finite.hpp>
#include <batchnorm/base/tensor.hpp>
#include <batchnorm/core/averaging.hpp>

#include <cmath>
#include <limits>
#include <type_traits>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// Which mean and variance a forward pass normalizes with.
enum class StatisticsSource { batch, running };

/// What a forward pass does beyond writing y: three switches, and names for the usual settings.
///
/// | name      | statistics | update_running | parameter_gradients | for                                          |
/// |-----------|------------|----------------|---------------------|----------------------------------------------|
/// | training  | batch      | yes            | yes                 | the paper's Algorithm 1                      |
/// | inference | running    | no             | no                  | a trained network                            |
/// | frozen    | running    | no             | yes                 | fine-tuning with the statistics as constants |
/// | probe     | batch      | no             | no                  | looking at a batch; the paper's Algorithm 2  |
/// | recompute | batch      | no             | yes                 | forward once more, for checkpointing         |
struct Mode {
  /// Which statistics forward normalizes with.
  StatisticsSource statistics;
  /// Whether forward blends the batch into the running statistics, after y was computed.
  bool update_running;
  /// Whether backward accumulates dgamma and dbeta.
  bool parameter_gradients;

  static const Mode training;   ///< The paper's Algorithm 1.
  static const Mode inference;  ///< A trained network.
  static const Mode frozen;     ///< Fine-tuning with the statistics as constants.
  static const Mode probe;      ///< Looking at a batch.
  static const Mode recompute;  ///< Forward once more, for checkpointing.

  /// Whether all three switches are alike.
  friend constexpr bool operator==(const Mode&, const Mode&) = default;
  /// Prints the name or, where there is none, the three switches.
  friend std::ostream& operator<<(std::ostream& out, const Mode& mode);
};

inline constexpr Mode Mode::training{StatisticsSource::batch, true, true};
inline constexpr Mode Mode::inference{StatisticsSource::running, false, false};
inline constexpr Mode Mode::frozen{StatisticsSource::running, false, true};
inline constexpr Mode Mode::probe{StatisticsSource::batch, false, false};
inline constexpr Mode Mode::recompute{StatisticsSource::batch, false, true};

/// Prints the name or, where there is none, the three switches.
inline std::ostream& operator<<(std::ostream& out, const Mode& mode) {
  if (mode == Mode::training) return out << "training";
  if (mode == Mode::inference) return out << "inference";
  if (mode == Mode::frozen) return out << "frozen";
  if (mode == Mode::probe) return out << "probe";
  if (mode == Mode::recompute) return out << "recompute";
  return out << "{" << (mode.statistics == StatisticsSource::batch ? "batch" : "running") << " statistics, "
             << (mode.update_running ? "updates" : "keeps") << " running, "
             << (mode.parameter_gradients ? "with" : "without") << " parameter gradients}";
}

/// Which estimate of the variance the running statistics keep: m2 / (count - 1), the paper's, or m2 / count.
enum class RunningVariance { unbiased, biased };

/// What running statistics do with a batch whose mean or variance is NaN or infinite. Running statistics that are not
/// finite cannot be normalized with: infer() and the like refuse them.
enum class NonFinite {
  skip,       ///< leave the whole update out and count it in `skipped`
  propagate,  ///< blend it in: from then on its channels are refused wherever running statistics normalize
  error       ///< throw before anything is written
};

/// What training does with one value per channel, of which no variance can be estimated. Running statistics leave it
/// out and count it in `skipped`.
enum class SingleValue {
  error,          ///< throw
  zero_variance,  ///< normalize with the variance that there is: 0 of one value, so y = beta
  running         ///< normalize with the running statistics
};

/// The settings of a layer; every field but `channels` has a default.
struct Options {
  /// How many channels x has: at least 1.
  Index channels = 0;
  /// Added to the variance; in units of x squared. In a layer of floats at least 8.7e-78, so that 1 / sqrt(epsilon) is
  /// a float.
  double epsilon = 1e-5;
  /// How much a new batch counts in the running statistics.
  Averaging averaging = exponential(0.1);
  /// Which estimate of the variance they keep.
  RunningVariance running_variance = RunningVariance::unbiased;
  /// What they do with a batch that is not finite.
  NonFinite non_finite = NonFinite::skip;
  /// What training does with one value per channel.
  SingleValue single_value = SingleValue::error;
  /// Whether there is a gamma.
  bool scale = true;
  /// Whether there is a beta.
  bool shift = true;
  /// The mode that the layer begins in.
  Mode mode = Mode::training;
};

namespace detail {

/// Whether a forward pass takes statistics of its batch.
constexpr bool reads_batch(const Mode& mode) {
  return mode.statistics == StatisticsSource::batch || mode.update_running;
}

inline void check_epsilon(const char* call, double epsilon) {
  if (!(is_finite(epsilon) && epsilon > 0.0)) {
    fail(call, ": expected a finite epsilon > 0, got ", epsilon);
  }
}

/// And that 1 / sqrt(epsilon), by which a constant channel is multiplied, is a Scalar.
template <class Scalar>
void check_epsilon(const char* call, double epsilon) {
  check_epsilon(call, epsilon);
  constexpr double most = static_cast<double>(std::numeric_limits<Scalar>::max());
  if (1 / std::sqrt(epsilon) <= most) return;
  fail(call, ": expected an epsilon of which 1 / sqrt(epsilon) is a ",
       std::is_same_v<Scalar, float> ? "float" : "double", ", so at least ", 1 / most / most, ", got ", epsilon,
       "; use a larger one, or scale the data");
}

inline void check_channels(const char* call, Index channels) {
  check_program(call);
  if (channels < 1) fail(call, ": expected channels >= 1, got ", channels, "; write for example {.channels = 64}");
}

template <class Scalar>
const Options& checked(const Options& options) {
  check_channels("Options", options.channels);
  check_epsilon<Scalar>("Options", options.epsilon);
  return options;
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
