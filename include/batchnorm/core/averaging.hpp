/// \file
/// How much a new batch counts in the running statistics: typed, since a bare `momentum` means opposite things in
/// different frameworks.
#pragma once

#include <batchnorm/core/error.hpp>

#include <cstdint>
#include <ostream>

namespace batchnorm::inline BATCHNORM_ABI {

/// The weight w of a new batch: running = (1 - w) * running + w * batch. Made by exponential(), exponential_decay(),
/// cumulative() or none().
class Averaging {
 public:
  /// The weight of the next batch after `batches` earlier ones.
  constexpr double weight(std::int64_t batches) const {
    switch (kind_) {
      case Kind::exponential: return new_batch_weight_;
      case Kind::cumulative: return 1.0 / (static_cast<double>(batches) + 1.0);
      case Kind::none: break;
    }
    return 0.0;
  }

  friend constexpr bool operator==(const Averaging&, const Averaging&) = default;

  /// Prints as it was made: `exponential(0.1)`, `cumulative()`, `none()`.
  friend std::ostream& operator<<(std::ostream& out, const Averaging& averaging) {
    switch (averaging.kind_) {
      case Kind::exponential: return out << "exponential(" << averaging.new_batch_weight_ << ")";
      case Kind::cumulative: return out << "cumulative()";
      case Kind::none: break;
    }
    return out << "none()";
  }

 private:
  enum class Kind { exponential, cumulative, none };

  constexpr Averaging(Kind kind, double new_batch_weight) : kind_(kind), new_batch_weight_(new_batch_weight) {}

  friend constexpr Averaging exponential(double);
  friend constexpr Averaging exponential_decay(double);
  friend constexpr Averaging cumulative();
  friend constexpr Averaging none();

  Kind kind_;
  double new_batch_weight_;
};

/// Exponential moving average in which a new batch has this weight; `momentum` in PyTorch and cuDNN.
///
///   running = (1 - new_batch_weight) * running + new_batch_weight * batch
///
/// Throws   std::invalid_argument unless 0 < new_batch_weight <= 1
constexpr Averaging exponential(double new_batch_weight) {
  if (!(new_batch_weight > 0.0 && new_batch_weight <= 1.0)) {
    detail::fail("exponential(new_batch_weight): expected a weight in (0, 1], got ", new_batch_weight);
  }
  return {Averaging::Kind::exponential, new_batch_weight};
}

/// The same average, given by what the old value keeps; `momentum` in Keras, ONNX and flax.
///
///   running = old_weight * running + (1 - old_weight) * batch
///
/// Throws   std::invalid_argument unless 0 <= old_weight < 1
constexpr Averaging exponential_decay(double old_weight) {
  if (!(old_weight >= 0.0 && old_weight < 1.0)) {
    detail::fail("exponential_decay(old_weight): expected a weight in [0, 1), got ", old_weight);
  }
  return {Averaging::Kind::exponential, 1.0 - old_weight};
}

/// The plain mean over all batches so far: the k-th batch has the weight 1 / k.
constexpr Averaging cumulative() { return {Averaging::Kind::cumulative, 0.0}; }

/// Running statistics stay as they are.
constexpr Averaging none() { return {Averaging::Kind::none, 0.0}; }

}  // namespace batchnorm::inline BATCHNORM_ABI
