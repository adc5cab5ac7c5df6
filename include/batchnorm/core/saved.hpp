/// \file
/// What a forward pass leaves for its backward pass.
#pragma once

#include <batchnorm/core/fingerprint.hpp>
#include <batchnorm/core/parameters.hpp>
#include <batchnorm/core/statistics.hpp>

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

/// What tells the tensors and weights of a forward pass from others: nothing of their size.
struct SavedTensors {
  /// Of x; empty before the first forward pass.
  std::vector<Index> extents;
  /// That of the channels.
  int channel_axis = 0;
  Fingerprint x, residual, y, weights;
  /// Of the values per channel that were there, on this rank, or the sum of their weights.
  double count = 0;
  /// How many ranks had a part of the batch; 0 where none were asked.
  int ranks = 0;

  /// Takes over what a pass saw in x and perhaps a residual, and what it wrote. The storage of the extents is kept.
  template <class Shape, std::size_t N, class View>
  void assign(const Shape& shape, int axis, const std::array<Fingerprint, N>& inputs, const View& output) {
    extents.assign(shape.extents.begin(), shape.extents.end());
    channel_axis = axis;
    x = inputs[0];
    residual = N > 1 ? inputs[N - 1] : Fingerprint();
    y = Fingerprint::of(output);
    weights = {};
    count = 0;
    ranks = 0;
  }
};

}  // namespace detail

/// What batch renormalization makes of x_hat: x_hat r + d, by channel. Empty where r is 1 and d is 0.
struct Correction {
  /// What the batch's x_hat was multiplied by.
  Eigen::ArrayXd r;
  /// What was added to that.
  Eigen::ArrayXd d;
};

/// What backward needs of a forward pass: a few arrays of C numbers, nothing of x's size.
///
/// Filled by BatchNorm::forward; its storage is reused from call to call. A Saved outlives changes of the layer's mode
/// and running statistics.
///
/// Shapes   statistics: [C]; gamma, beta: [C] or empty, as in the layer; correction: [C] or empty
template <class Scalar>
struct Saved {
  /// What y was normalized with; running statistics are constants, of count 0.
  Statistics statistics;
  /// The scale that forward ran with.
  ChannelArray<Scalar> gamma;
  /// The shift that forward ran with.
  ChannelArray<Scalar> beta;
  /// BatchRenorm's, with which gamma and beta are r gamma and beta + d gamma; empty of all other passes.
  Correction correction;
  /// Whether backward accumulates dgamma and dbeta.
  bool parameter_gradients = false;
  /// What y went through last.
  detail::SavedActivation activation;
  /// Of x, a residual and y: fingerprints, nothing of their size.
  detail::SavedTensors tensors;
};

}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
