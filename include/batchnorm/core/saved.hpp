/// \file
/// What a forward pass leaves for its backward pass.
#pragma once

#include <batchnorm/core/layout.hpp>
#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/options.hpp>

#include <cstring>
#include <vector>

namespace batchnorm::inline BATCHNORM_ABI {

namespace detail {

/// The bits of eight elements spread over a tensor: enough to notice that backward was handed another x, or x
/// overwritten.
class Fingerprint {
 public:
  template <class Element>
  static Fingerprint of(const ChannelView<const Element>& x) {
    Fingerprint result;
    if (x.size() == 0) return result;
    const Index last = static_cast<Index>(result.bits_.size()) - 1;
    for (Index k = 0; k <= last; ++k) {
      // Along each axis the eight go from the first element to the last, in another order for each.
      const Index o = (x.outer - 1) * k / last;
      const Index c = (x.channels - 1) * (last - k) / last;
      const Index i = (x.inner - 1) * (k * 3 % (last + 1)) / last;
      std::memcpy(&result.bits_[static_cast<std::size_t>(k)], x.plane(o, c) + i, sizeof(Element));
    }
    return result;
  }

  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;

 private:
  std::array<std::uint64_t, 8> bits_{};
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
  /// Which statistics y was normalised with: under `running` backward takes them for constants.
  StatisticsSource statistics = StatisticsSource::batch;
  /// Whether backward accumulates dgamma and dbeta.
  bool parameter_gradients = false;
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
  /// Of x, of the residual if there was one, and of y.
  detail::Fingerprint fingerprint, residual_fingerprint, output_fingerprint;
};

}  // namespace batchnorm::inline BATCHNORM_ABI
