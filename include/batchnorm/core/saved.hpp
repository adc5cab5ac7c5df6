/// \file
/// What a forward pass leaves for its backward pass.
#pragma once

#include <batchnorm/core/fingerprint.hpp>
#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/options.hpp>

#include <concepts>
#include <cstring>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

namespace detail {

/// Whether two activations compute the same, as far as that can be told.
template <class Activation>
bool same_activation(const Activation& a, const Activation& b) {
  if constexpr (std::equality_comparable<Activation>) {
    return a == b;
  } else if constexpr (std::is_empty_v<Activation>) {
    return true;
  } else if constexpr (std::is_trivially_copyable_v<Activation>) {
    return std::memcmp(&a, &b, sizeof a) == 0;
  } else {
    return std::string(a.name()) == std::string(b.name());
  }
}

/// The activation of a forward pass, of whatever type. Copies share it: it never changes.
class SavedActivation {
 public:
  /// Allocates unless it has that one already.
  template <class Activation>
  void keep(const Activation& activation) {
    if (!is(activation)) held_ = std::make_shared<const Held<Activation>>(activation);
  }

  template <class Activation>
  bool is(const Activation& activation) const {
    return held_ && held_->type == &type_of<Activation> &&
           same_activation(static_cast<const Held<Activation>&>(*held_).value, activation);
  }

  std::string name() const { return held_ ? held_->name() : "none"; }

 private:
  /// One object for each type, whose address tells it from others.
  template <class Activation>
  static inline const char type_of = 0;

  struct Holder {
    explicit Holder(const char* type_) : type(type_) {}
    virtual ~Holder() = default;
    virtual std::string name() const = 0;

    const char* type;
  };

  template <class Activation>
  struct Held final : Holder {
    explicit Held(const Activation& activation) : Holder(&type_of<Activation>), value(activation) {}
    std::string name() const override { return value.name(); }

    Activation value;
  };

  std::shared_ptr<const Holder> held_;
};

}  // namespace detail

/// What backward needs of a forward pass: C numbers a few times over, nothing of x's size.
///
/// Filled by BatchNorm::forward; its storage is reused from call to call. A Saved outlives changes of the layer's mode
/// and running statistics.
///
/// Shapes   mean, inv_std: [C]; gamma, beta: [C] or empty, as in the layer
template <class Scalar>
struct Saved {
  /// Which statistics y was normalized with: under `running` backward takes them for constants.
  StatisticsSource statistics = StatisticsSource::batch;
  /// Whether backward accumulates dgamma and dbeta.
  bool parameter_gradients = false;
  /// What y went through last.
  detail::SavedActivation activation;
  /// Values per channel.
  Index count = 0;
  /// The mean in double: for float data the pair of the value the forward pass subtracted and what rounding it left
  /// over.
  Eigen::ArrayXd mean;
  /// 1 / sqrt(variance + epsilon).
  Eigen::ArrayXd inv_std;
  /// The parameters that forward ran with.
  ChannelArray<Scalar> gamma, beta;
  /// The extents of x; empty before the first forward pass.
  std::vector<Index> extents;
  /// The axis of its channels.
  int channel_axis = 0;
  /// Of x, of the residual if there was one, and of y.
  detail::Fingerprint fingerprint, residual_fingerprint, output_fingerprint;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
