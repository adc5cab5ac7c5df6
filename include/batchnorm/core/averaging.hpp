/// \file
/// How much a new batch counts in the running statistics: typed, since a bare `momentum` means opposite things in
/// different frameworks.
#pragma once

#include <batchnorm/base/error.hpp>
#include <batchnorm/base/finite.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <ostream>
#include <string_view>
#include <type_traits>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// The weight w of a new batch: running = (1 - w) * running + w * batch. Made by exponential(), exponential_decay(),
/// debiased_decay(), cumulative() or none().
class Averaging {
 public:
  /// Refuses a bare number.
  template <class Number>
  requires std::is_arithmetic_v<Number>
  constexpr Averaging(Number) {
    static_assert(
        !std::is_arithmetic_v<Number>,
        "batchnorm: a bare number is no averaging, since it means opposite things in different frameworks: write "
        "exponential(0.1), the weight of the new batch (PyTorch's momentum), or exponential_decay(0.9), that of the "
        "old "
        "value (Keras')");
  }

  /// The weight of the next batch after `batches` earlier ones.
  constexpr double weight(std::int64_t batches) const {
    const double earlier = static_cast<double>(batches);
    switch (kind_) {
      case Kind::exponential: return written_;
      case Kind::exponential_decay: return 1.0 - written_;
      case Kind::debiased_decay: return (1.0 - written_) / (1.0 - std::pow(written_, earlier + 1.0));
      case Kind::cumulative: return 1.0 / (earlier + 1.0);
      case Kind::cumulative_window: return 1.0 / ((earlier < written_ ? earlier : written_) + 1.0);
      case Kind::none: break;
    }
    return 0.0;
  }

  /// Whether both give every batch the same weight, as exponential(0.25) and exponential_decay(0.75) do. The first two
  /// and the last tell all kinds apart.
  friend constexpr bool operator==(const Averaging& a, const Averaging& b) {
    constexpr std::int64_t last = std::numeric_limits<std::int64_t>::max();
    return a.weight(0) == b.weight(0) && a.weight(1) == b.weight(1) && a.weight(last) == b.weight(last);
  }

  /// Prints as it was made, all digits that tell it from another: `exponential(0.1)`, `exponential_decay(0.9)`,
  /// `debiased_decay(0.999)`, `cumulative()`, `cumulative(100)`, `none()`.
  friend std::ostream& operator<<(std::ostream& out, const Averaging& averaging) {
    char digits[32];
    const std::string_view written(
        digits, std::size_t(std::to_chars(digits, std::end(digits), averaging.written_).ptr - digits));
    switch (averaging.kind_) {
      case Kind::exponential: return out << "exponential(" << written << ")";
      case Kind::exponential_decay: return out << "exponential_decay(" << written << ")";
      case Kind::debiased_decay: return out << "debiased_decay(" << written << ")";
      case Kind::cumulative: return out << "cumulative()";
      case Kind::cumulative_window: return out << "cumulative(" << written << ")";
      case Kind::none: break;
    }
    return out << "none()";
  }

 private:
  enum class Kind { exponential, exponential_decay, debiased_decay, cumulative, cumulative_window, none };

  constexpr explicit Averaging(Kind kind, double written = 0) : kind_(kind), written_(written) {}

  friend constexpr Averaging exponential(double);
  friend constexpr Averaging exponential_decay(double);
  friend constexpr Averaging debiased_decay(double);
  friend constexpr Averaging cumulative();
  friend constexpr Averaging cumulative(std::int64_t);
  friend constexpr Averaging none();

  Kind kind_ = Kind::none;
  /// The argument that it was made with.
  double written_ = 0;
};

namespace detail {

/// The remedy where a weight leaves nothing to the new batch.
constexpr const char* or_none(bool keeps_old_values) {
  return keeps_old_values ? "; say none() for running statistics that stay as they are" : "";
}

constexpr void check_old_weight(const char* call, double old_weight) {
  if (is_finite(old_weight) && old_weight >= 0.0 && old_weight < 1.0) return;
  fail(call, "(old_weight): expected a weight in [0, 1), got ", old_weight, or_none(old_weight == 1.0));
}

}  // namespace detail

/// Exponential moving average in which a new batch has this weight; `momentum` in PyTorch and cuDNN.
///
///   running = (1 - new_batch_weight) * running + new_batch_weight * batch
///
/// Throws   std::invalid_argument unless 0 < new_batch_weight <= 1
constexpr Averaging exponential(double new_batch_weight) {
  if (!(detail::is_finite(new_batch_weight) && new_batch_weight > 0.0 && new_batch_weight <= 1.0)) {
    detail::fail("exponential(new_batch_weight): expected a weight in (0, 1], got ", new_batch_weight,
                 detail::or_none(new_batch_weight == 0.0));
  }
  return Averaging(Averaging::Kind::exponential, new_batch_weight);
}

/// The same average, given by what the old value keeps; `momentum` in Keras, ONNX and flax.
///
///   running = old_weight * running + (1 - old_weight) * batch
///
/// Throws   std::invalid_argument unless 0 <= old_weight < 1
constexpr Averaging exponential_decay(double old_weight) {
  detail::check_old_weight("exponential_decay", old_weight);
  return Averaging(Averaging::Kind::exponential_decay, old_weight);
}

/// The same average over the batches alone, without what it began with: after k batches their weights add up to 1,
/// where those of exponential_decay add up to 1 - old_weight^k. `moving_average_fraction` in Caffe, the bias correction
/// of Adam.
///
///   running = sum_j old_weight^(k - j) batch_j / sum_j old_weight^(k - j)        j = 1 ... k
///
/// so that the k-th batch has the weight (1 - old_weight) / (1 - old_weight^k).
///
/// Source   Kingma & Ba 2015, arXiv:1412.6980, section 3.
/// Throws   std::invalid_argument unless 0 <= old_weight < 1
constexpr Averaging debiased_decay(double old_weight) {
  detail::check_old_weight("debiased_decay", old_weight);
  return Averaging(Averaging::Kind::debiased_decay, old_weight);
}

/// The plain mean over all batches so far: the k-th batch has the weight 1 / k.
constexpr Averaging cumulative() { return Averaging(Averaging::Kind::cumulative); }

/// The same until `window` batches have been seen, and 1 / (window + 1) for each from then on;
/// `running_stats_window_size` in dlib.
///
/// Throws   std::invalid_argument unless window >= 1
constexpr Averaging cumulative(std::int64_t window) {
  if (window < 1) detail::fail("cumulative(window): expected a window of at least 1 batch, got ", window);
  return Averaging(Averaging::Kind::cumulative_window, static_cast<double>(window));
}

/// Running statistics stay as they are.
constexpr Averaging none() { return Averaging(Averaging::Kind::none); }

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
