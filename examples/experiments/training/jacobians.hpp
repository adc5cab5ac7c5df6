#pragma once

#include <Eigen/Core>
#include <array>
#include <batchnorm/core/statistics.hpp>
#include <cstddef>
#include <vector>

#include "nn/sequential.hpp"

namespace training {

/// The normalized vectors of a network's hidden layers for one batch, and their derivatives with respect to those of an
/// earlier layer. With x_hat of one layer and z_hat of the next,
///
///   a = scale x_hat + shift,  h = sigmoid(a),  u = h W + b,  z_hat = (u - mean(u)) inv_std(u)
///
/// where scale and shift are gamma and beta, mean and inv_std those of the batch. In a network without batch
/// normalization a = u, and the normalized vectors are how many standard deviations, over the batch, it is from its
/// mean: then scale is that standard deviation. Layers are counted from 0, and `from` is less than `to`.
///
/// Source: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3.3: z_hat = F(x_hat).
class NormalizedBatch {
 public:
  /// From the network's own values; all that is made of them is computed in double.
  ///
  /// Throws std::invalid_argument if there is anything but dense layers, batch normalization and sigmoids.
  template <class Scalar>
  NormalizedBatch(nn::Sequential<Scalar>& model, const nn::Matrix<Scalar>& images);

  /// The number of layers that end in a sigmoid.
  std::size_t layers() const { return layers_.size(); }

  /// The number of images.
  Eigen::Index samples() const { return samples_; }

  /// x_hat of a layer, [samples, units].
  Eigen::MatrixXd normalized(std::size_t layer) const;

  /// The Jacobian of one sample, d x_hat(to) / d x_hat(from), with the batch's statistics held: [units of to, of from].
  Eigen::MatrixXd jacobian(std::size_t from, std::size_t to, Eigen::Index sample) const;

  /// d u(to) / d a(from), likewise: of a network without batch normalization, between the inputs of its sigmoids as
  /// they are.
  Eigen::MatrixXd unnormalized_jacobian(std::size_t from, std::size_t to, Eigen::Index sample) const;

  /// The Jacobian of x_hat(to) of all samples with respect to x_hat(from) of one, gone through the batch's statistics:
  /// what a sample changes about itself and, by mean and variance, about the others. [samples * units of to, units of
  /// from], the samples of a unit one after the other. Those of all samples side by side are the Jacobian of the whole
  /// batch.
  Eigen::MatrixXd jacobian_of_batch(std::size_t from, std::size_t to, Eigen::Index sample) const;

 private:
  struct Layer {
    Eigen::MatrixXd weight, u;         ///< [units of the layer before, units], [samples, units]
    batchnorm::Statistics statistics;  ///< of u
    Eigen::ArrayXd scale;              ///< [units]
    Eigen::ArrayXXd slope;             ///< of the sigmoids, [samples, units]
  };

  std::vector<Layer> layers_;
  Eigen::Index samples_;
};

/// All singular values, in no order; NaN if an element is not finite.
std::vector<double> singular_values(const Eigen::MatrixXd& matrix);

/// How the singular values of many Jacobians are distributed.
struct Spectrum {
  std::array<double, 101> percentiles;  ///< from the smallest, 0, to the largest, 100
  double root_mean_square;              ///< what becomes of the length of a vector that favors no direction
  double near_one;                      ///< the share from 1/2 to 2
};

/// All NaN if a value is, or if there is none.
Spectrum spectrum_of(std::vector<double> values);

/// In how many dimensions vectors [samples, units] vary: trace(C)^2 / trace(C^2) of their covariance C. As many as
/// there are units if these are uncorrelated and of one variance, 1 if each is a multiple of the same.
double effective_dimension(const Eigen::MatrixXd& vectors);

}  // namespace training
