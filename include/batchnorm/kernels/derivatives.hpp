/// \file
/// Derivatives of a pass in a direction, and of the backward pass: from sums that backward's own pass makes.
#pragma once

#include <batchnorm/kernels/backward.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// The constants of the tangent of z along v, and gamma', beta', of which either may be empty:
///
///   z' = gamma inv_std (v - V1 / count - x_hat V2 / count) + gamma' x_hat + beta'
template <class Scalar>
struct TangentOf {
  const Linear<Scalar>& forward;
  /// Of v; not looked at where statistics are constants.
  const GradientSums& sums;
  const ChannelArray<Scalar>& gammas;
  const ChannelArray<Scalar>& betas;

  InputGradient<Channels> operator()(Index c, auto lanes) const {
    const Channels zero = all_channels(0), mean = forward.mean(c, lanes), inv_std = forward.inv_std(c, lanes);
    const Channels scale = forward.gamma(c, lanes) * inv_std, v_mean = mean_of(sums.dy, c, lanes);
    Channels slope = -(mean_of(sums.dy_x, c, lanes) * inv_std * scale * inv_std), offset = zero;
    if (gammas.size() != 0) slope = slope + channels_of(gammas, c, lanes) * inv_std;
    if (betas.size() != 0) offset = channels_of(betas, c, lanes);
    return {mean,  scale, zero, slope, offset - residual<Scalar>(v_mean) * scale - slope * residual<Scalar>(mean),
            v_mean};
  }

  /// 0 where statistics are constants, through which nothing goes.
  Channels mean_of(const Eigen::ArrayXd& sum, Index c, auto lanes) const {
    const double count = forward.statistics.count;
    return count > 0 ? channels_of(sum, c, lanes) * all_channels(1 / count) : all_channels(0);
  }
};

/// Both gradients of a function of dx, dgamma and dbeta, linear in what is read:
///
///   dx2 = (x - center) dx_x + (v - v_center) dx_v + (dy - dy_center) dx_dy + dx_offset        ddy: a tangent
template <class V>
struct SecondGradients {
  V center, scale, forward_offset, slope, offset, v_center;  // of the tangent
  V dy_center, dx_x, dx_v, dx_dy, dx_offset;

  EIGEN_STRONG_INLINE InputGradient<V> tangent() const {
    return {center, scale, forward_offset, slope, offset, v_center};
  }

  EIGEN_STRONG_INLINE std::array<V, 2> operator()(const V& x, const V& dy, const V& v) const {
    const V dx = multiply_add(x - center, dx_x, dx_offset);
    return {multiply_add(dy - dy_center, dx_dy, multiply_add(v - v_center, dx_v, dx)), tangent()(x, v, NoWeight())};
  }
};

/// Their constants.
template <class Scalar>
struct SecondGradientsOf {
  TangentOf<Scalar> tangent;
  /// Of dy.
  const GradientSums& sums;
  /// sum v (dy - mean(dy)).
  const Eigen::ArrayXd& products;

  SecondGradients<Channels> operator()(Index c, auto lanes) const {
    const auto& forward = tangent.forward;
    const Channels zero = all_channels(0), mean = forward.mean(c, lanes), inv_std = forward.inv_std(c, lanes),
                   scale = forward.gamma(c, lanes) * inv_std;
    const Channels v_mean = tangent.mean_of(tangent.sums.dy, c, lanes), dy_mean = tangent.mean_of(sums.dy, c, lanes);
    const Channels v_x = tangent.mean_of(tangent.sums.dy_x, c, lanes) * inv_std,
                   dy_x = tangent.mean_of(sums.dy_x, c, lanes) * inv_std;
    const Channels of_gamma = tangent.gammas.size() == 0 ? zero : channels_of(tangent.gammas, c, lanes);
    const Channels by_v = -(scale * inv_std * dy_x), by_dy = (of_gamma - scale * v_x) * inv_std;
    const Channels b = tangent.mean_of(products, c, lanes) - v_x * dy_x;
    const bool constant = forward.statistics.count == 0;
    const Channels by_x = constant ? zero : -((scale * inv_std * b + by_v * v_x + by_dy * dy_x) * inv_std);
    const InputGradient<Channels> t = tangent(c, lanes);
    return {t.center,
            t.scale,
            t.forward_offset,
            t.slope,
            t.offset,
            t.dz_center,
            dy_mean,
            by_x,
            by_v,
            by_dy,
            -(residual<Scalar>(mean) * by_x + residual<Scalar>(v_mean) * by_v + residual<Scalar>(dy_mean) * by_dy)};
  }
};

/// The tangent of z. Inputs are x and v.
template <class Element, class Scalar>
void tangent(const Device& device, const Views<const Element, 2>& inputs, const Linear<Scalar>& forward,
             const ChannelArray<Scalar>& gammas, const ChannelArray<Scalar>& betas, const Views<Element, 1>& outputs) {
  GradientSums sums;
  if (forward.statistics.count > 0) gradient_sums(device, inputs, forward, sums);
  write_all<InputGradient>(
      device, Order::backwards, TangentOf<Scalar>{forward, sums, gammas, betas},
      []<class V>(const InputGradient<V>& constants, const V& x, const V& v) {
        return std::array{constants(x, v, NoWeight())};
      },
      inputs, outputs);
}

/// The gradients of a function of dx, dgamma and dbeta. Inputs are x, dy and v, outputs dx2 and ddy; dgamma2 is added
/// to unless it is empty.
template <class Element, class Scalar>
void backward_twice(const Device& device, const Views<const Element, 3>& inputs, const Linear<Scalar>& forward,
                    const ChannelArray<Scalar>& gammas, const ChannelArray<Scalar>& betas,
                    ChannelArray<Scalar>& dgamma2, const Views<Element, 2>& outputs) {
  const auto& [x, dy, v] = inputs;
  const Index channels = x.channels;
  const double count = forward.statistics.count;
  GradientSums dy_sums(channels), v_sums(channels), products(channels);
  if (count > 0) {
    gradient_sums(device, Views<const Element, 2>{x, dy}, forward, dy_sums);
    gradient_sums(device, Views<const Element, 2>{x, v}, forward, v_sums);
  }
  // dy stands where x does: sum v (dy - mean(dy)).
  if (count > 0 || dgamma2.size() != 0) {
    Statistics of_dy{Eigen::ArrayXd::Zero(channels), Eigen::ArrayXd::Ones(channels), count};
    if (count > 0) of_dy.mean = dy_sums.dy / count;
    const AffineParameters<Scalar> none;
    gradient_sums(device, Views<const Element, 2>{dy, v}, Linear<Scalar>{of_dy, none, {}}, products);
  }
  write_all<SecondGradients>(
      device, Order::backwards, SecondGradientsOf<Scalar>{{forward, v_sums, gammas, betas}, dy_sums, products.dy_x},
      []<class V>(const SecondGradients<V>& constants, const V& x_, const V& dy_, const V& v_) {
        return constants(x_, dy_, v_);
      },
      inputs, outputs);
  for_each_packet<double>(0, dgamma2.size(), [&](Index c, auto lanes) {
    const Channels inv_std = forward.inv_std(c, lanes);
    Channels b = channels_of(products.dy_x, c, lanes);
    if (count > 0) {
      b = b - channels_of(v_sums.dy_x, c, lanes) * inv_std * channels_of(dy_sums.dy_x, c, lanes) * inv_std *
                  all_channels(1 / count);
    }
    lanes.store(dgamma2.data() + c, channels_of(dgamma2, c, lanes) + inv_std * b);
  });
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
