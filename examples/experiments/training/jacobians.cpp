#include "experiments/training/jacobians.hpp"

#include <Eigen/QR>
#include <Eigen/SVD>
#include <algorithm>
#include <batchnorm/functions/derivatives.hpp>
#include <batchnorm/functions/forward.hpp>
#include <cmath>
#include <stdexcept>
#include <string>

#include "experiments/report/text.hpp"
#include "experiments/training/percentiles.hpp"
#include "nn/activations.hpp"
#include "nn/batch_norm.hpp"
#include "nn/dense.hpp"

namespace training {

namespace bn = batchnorm;

namespace {

/// Adds nothing to a variance, but keeps a unit that is constant from a division by 0.
constexpr double no_epsilon = 1e-300;

bn::Statistics statistics_of(const Eigen::MatrixXd& u, double epsilon) {
  bn::Moments moments;
  bn::batch_moments(u, moments);
  return bn::statistics(moments, epsilon);
}

}  // namespace

template <class Scalar>
NormalizedBatch::NormalizedBatch(nn::Sequential<Scalar>& model, const nn::Matrix<Scalar>& images)
    : samples_(images.rows()) {
  const nn::ModeScope<Scalar> probe(model, bn::Mode::probe);
  nn::Activations<Scalar> outputs;
  model.forward(images, outputs);
  Layer layer;
  std::size_t number = 0;
  model.for_each_layer([&](const std::string& place, nn::Layer<Scalar>& any) {
    const bool is_in_a_row = place == std::to_string(number);
    if (const auto* dense = dynamic_cast<const nn::Dense<Scalar>*>(&any); dense && is_in_a_row) {
      layer.weight = dense->weight().template cast<double>();
      layer.u = outputs[number].template cast<double>();
      layer.statistics = statistics_of(layer.u, no_epsilon);
      layer.scale = layer.statistics.inv_std.inverse();
    } else if (auto* norm = dynamic_cast<nn::BatchNorm<Scalar>*>(&any); norm && is_in_a_row) {
      const auto& gamma = norm->norm().affine().gamma;
      layer.statistics = statistics_of(layer.u, norm->norm().options().epsilon);
      layer.scale = Eigen::ArrayXd::Ones(layer.u.cols());
      if (gamma.size() > 0) layer.scale = gamma.template cast<double>();
    } else if (dynamic_cast<const nn::Sigmoid<Scalar>*>(&any) && is_in_a_row) {
      const Eigen::ArrayXXd h = outputs[number - 1].template cast<double>().array().logistic();
      layer.slope = h * (1 - h);
      layers_.push_back(layer);
    } else {
      throw std::invalid_argument("NormalizedBatch: layer " + place +
                                  ": expected dense layers, batch normalization and sigmoids in a row");
    }
    ++number;
  });
}

Eigen::MatrixXd NormalizedBatch::normalized(std::size_t layer) const {
  Eigen::MatrixXd x_hat;
  bn::normalize(layers_[layer].u, bn::AffineParameters<double>(), layers_[layer].statistics, x_hat);
  return x_hat;
}

Eigen::MatrixXd NormalizedBatch::unnormalized_jacobian(std::size_t from, std::size_t to, Eigen::Index sample) const {
  Eigen::MatrixXd result;
  for (std::size_t i = from; i < to; ++i) {
    const Layer& layer = layers_[i];
    const Eigen::VectorXd slope = layer.slope.row(sample).transpose();
    if (i == from) {
      result = slope.asDiagonal();
    } else {
      const Eigen::VectorXd normalization = layer.statistics.inv_std * layer.scale;
      result = slope.cwiseProduct(normalization).asDiagonal() * result;
    }
    result = layers_[i + 1].weight.transpose() * result;
  }
  return result;
}

Eigen::MatrixXd NormalizedBatch::jacobian(std::size_t from, std::size_t to, Eigen::Index sample) const {
  return layers_[to].statistics.inv_std.matrix().asDiagonal() * unnormalized_jacobian(from, to, sample) *
         layers_[from].scale.matrix().asDiagonal();
}

Eigen::MatrixXd NormalizedBatch::jacobian_of_batch(std::size_t from, std::size_t to, Eigen::Index sample) const {
  const Eigen::Index units = layers_[from].u.cols();
  Eigen::MatrixXd result(samples_ * layers_[to].u.cols(), units);
  for (Eigen::Index unit = 0; unit < units; ++unit) {
    Eigen::MatrixXd tangent = Eigen::MatrixXd::Zero(samples_, units);
    tangent(sample, unit) = 1;
    for (std::size_t i = from; i < to; ++i) {
      const Layer &layer = layers_[i], &next = layers_[i + 1];
      tangent = (tangent.array() * layer.slope).matrix() * layer.scale.matrix().asDiagonal() * next.weight;
      bn::jvp(next.u, tangent, bn::AffineParameters<double>(), next.statistics, tangent);
    }
    result.col(unit) = tangent.reshaped();
  }
  return result;
}

std::vector<double> singular_values(const Eigen::MatrixXd& matrix) {
  using Eigen::MatrixXd;
  if (!matrix.allFinite())
    return std::vector<double>(static_cast<std::size_t>(std::min(matrix.rows(), matrix.cols())), report::none);
  // R of Q R has the same ones, and of a batch's column it is a sixtieth.
  const MatrixXd tall = matrix.rows() < matrix.cols() ? MatrixXd(matrix.transpose()) : matrix;
  const Eigen::HouseholderQR<MatrixXd> qr(tall);
  const MatrixXd r = qr.matrixQR().topRows(tall.cols()).triangularView<Eigen::Upper>();
  // BDCSVD would do as well, and take half a minute to compile.
  const Eigen::VectorXd values = Eigen::JacobiSVD<MatrixXd, Eigen::NoQRPreconditioner>(r).singularValues();
  return {values.begin(), values.end()};
}

Spectrum spectrum_of(std::vector<double> values) {
  Spectrum spectrum;
  for (std::size_t i = 0; i < spectrum.percentiles.size(); ++i)
    spectrum.percentiles[i] = percentile(values, static_cast<double>(i));
  const Eigen::Map<const Eigen::ArrayXd> all(values.data(), static_cast<Eigen::Index>(values.size()));
  const bool is_known = !std::isnan(spectrum.percentiles.front());
  spectrum.root_mean_square = is_known ? std::sqrt(all.square().mean()) : report::none;
  spectrum.near_one = is_known ? (all >= 0.5 && all <= 2).cast<double>().mean() : report::none;
  return spectrum;
}

double effective_dimension(const Eigen::MatrixXd& vectors) {
  const Eigen::MatrixXd centered = vectors.rowwise() - vectors.colwise().mean();
  const Eigen::MatrixXd covariance = centered.transpose() * centered;  // but for a factor that cancels
  return covariance.trace() * covariance.trace() / covariance.squaredNorm();
}

template NormalizedBatch::NormalizedBatch(nn::Sequential<float>&, const nn::Matrix<float>&);
template NormalizedBatch::NormalizedBatch(nn::Sequential<double>&, const nn::Matrix<double>&);

}  // namespace training
