/// \file
/// The passes of whitening over groups of channels, which are shared out among the threads.
#pragma once

#include <batchnorm/base/device.hpp>
#include <batchnorm/kernels/moments.hpp>
#include <batchnorm/whitening/covariance.hpp>
#include <batchnorm/whitening/inverse_square_root.hpp>
#include <batchnorm/whitening/samples.hpp>

#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// One group at work: its root and gradient, and buffers that are kept for their storage.
struct WhiteningGroup {
  using SquareMatrix = Eigen::MatrixXd;

  explicit WhiteningGroup(const WhiteningOptions& options) : root(options) {}

  InverseSquareRoot<SquareMatrix> root;
  SampleRows x, dy, product;
  SquareMatrix transform, cross, dsigma;
};

/// The affine transform in double: an absent gamma is 1, an absent beta 0.
struct WhiteningAffine {
  Eigen::VectorXd gamma, beta;

  template <class Scalar>
  void assign(const ChannelArray<Scalar>& gammas, const ChannelArray<Scalar>& betas, Index channels) {
    gamma.setOnes(channels);
    beta.setZero(channels);
    if (gammas.size() != 0) gamma = gammas.template cast<double>().matrix();
    if (betas.size() != 0) beta = betas.template cast<double>().matrix();
  }
};

/// Calls body(group, its channels) for each group, on as many threads as their products of matrices keep busy. A thread
/// does about two operations of a product in the time that it moves a byte.
template <class Matrix, class Body>
void for_each_group(const Device& device, const Matrix& grouped, Index samples, const Body& body) {
  const Index size = grouped.cols(), groups = grouped.rows() / size;
  device.for_each_block(groups, grouped.size() * (samples + 10 * size), [&](Index group) {
    body(group, ChannelRange{group * size, size});
  });
}

/// Calls body(first, samples) for some samples at a time: enough for the products' speed, few enough for the cache.
template <class Body>
void for_each_samples(Index count, const Body& body) {
  constexpr Index at_a_time = 256;
  for (Index first = 0; first < count; first += at_a_time) body(first, std::min(at_a_time, count - first));
}

/// The first rows of a buffer that grows but does not shrink. A new one is assigned: where there is no memory for it,
/// Eigen's resize() would leave a matrix of memory that was released.
inline auto buffer_rows(SampleRows& buffer, Index rows, Index channels) {
  if (buffer.rows() < rows || buffer.cols() != channels) buffer = SampleRows(rows, channels);
  return buffer.topRows(rows);
}

/// Mean and scatter of a batch, whose moments by channel are known: reads x once.
template <class Group>
void batch_covariance(const Device& device, const SampleReader& x, const Moments& by_channel,
                      std::vector<Group>& groups, CovarianceMoments& moments) {
  moments.count = by_channel.count;
  moments.mean = by_channel.mean.matrix();
  moments.scatter.resize(x.channels(), x.channels() / static_cast<Index>(groups.size()));
  for_each_group(device, moments.scatter, x.count(), [&](Index group, const ChannelRange& channels) {
    auto scatter = group_of(moments.scatter, group);
    const auto mean = moments.mean.segment(channels.first, channels.size);
    scatter.setZero();
    for_each_samples(x.count(), [&](Index first, Index samples) {
      auto rows = buffer_rows(groups[static_cast<std::size_t>(group)].x, samples, channels.size);
      x.read(channels, first, mean, rows);
      scatter.template selfadjointView<Eigen::Lower>().rankUpdate(rows.transpose());
    });
    mirror_lower(scatter);
  });
}

/// W = (covariance + epsilon I)^(-1/2) for each group.
template <class Group>
void inverse_square_roots(const Device& device, const GroupedMatrix& covariance, std::vector<Group>& groups,
                          GroupedMatrix& whitening) {
  whitening.resize(covariance.rows(), covariance.cols());
  for_each_group(device, whitening, 0, [&](Index group, const ChannelRange&) {
    groups[static_cast<std::size_t>(group)].root.compute(group_of(covariance, group), group_of(whitening, group));
  });
}

/// y = (x - mean) W diag(gamma) + beta: reads x and writes y once.
template <class Group>
void whiten(const Device& device, const SampleReader& x, const Eigen::VectorXd& mean, const GroupedMatrix& whitening,
            const WhiteningAffine& affine, std::vector<Group>& groups, const SampleWriter& y) {
  for_each_group(device, whitening, x.count(), [&](Index group, const ChannelRange& channels) {
    auto& at_work = groups[static_cast<std::size_t>(group)];
    const auto of_group = [&](const Eigen::VectorXd& values) { return values.segment(channels.first, channels.size); };
    at_work.transform = group_of(whitening, group) * of_group(affine.gamma).asDiagonal();
    for_each_samples(x.count(), [&](Index first, Index samples) {
      auto rows = buffer_rows(at_work.x, samples, channels.size);
      auto product = buffer_rows(at_work.product, samples, channels.size);
      x.read(channels, first, of_group(mean), rows);
      product.noalias() = rows * at_work.transform;
      product.rowwise() += of_group(affine.beta).transpose();
      y.write(product, channels, first);
    });
  });
}

/// What the backward pass is given of its forward pass.
struct WhiteningPass {
  StatisticsSource statistics;
  const Eigen::VectorXd& mean;
  const GroupedMatrix& whitening;
  const WhiteningAffine& affine;
};

/// All gradients, from two sums over the batch: the cross products D = (x - mean)^T dy and the sum of dy.
///
///   dgamma_c = sum_k W_kc D_kc        dbeta_c = sum_i dy_ic
///   dW       = D diag(gamma), its symmetric part        dSigma from dW by the root
///   dx       = (dy - dbeta / m) diag(gamma) W + (2/m) (x - mean) dSigma
///
/// With running statistics dx = dy diag(gamma) W. Reads x and dy twice (dy alone the second time, on running
/// statistics) and writes dx once.
template <class Group>
void whitening_backward(const Device& device, const SampleReader& x, const SampleReader& dy, const WhiteningPass& pass,
                        std::vector<Group>& groups, Eigen::VectorXd& dgamma, Eigen::VectorXd& dbeta,
                        const SampleWriter& dx) {
  const double count = static_cast<double>(x.count());
  dgamma.resize(x.channels());
  dbeta.setZero(x.channels());
  const auto backward = [&](Index group, const ChannelRange& channels) {
    auto& at_work = groups[static_cast<std::size_t>(group)];
    const auto of_group = [&](auto& values) { return values.segment(channels.first, channels.size); };
    const auto whitening = group_of(pass.whitening, group);
    const auto gamma = of_group(pass.affine.gamma).asDiagonal();
    const Eigen::VectorXd zero = Eigen::VectorXd::Zero(channels.size);
    auto& cross = at_work.cross;

    cross.setZero(channels.size, channels.size);
    for_each_samples(x.count(), [&](Index first, Index samples) {
      auto deviations = buffer_rows(at_work.x, samples, channels.size);
      auto gradients = buffer_rows(at_work.dy, samples, channels.size);
      x.read(channels, first, of_group(pass.mean), deviations);
      dy.read(channels, first, zero, gradients);
      cross.noalias() += deviations.transpose() * gradients;
      of_group(dbeta) += gradients.colwise().sum().transpose();
    });
    of_group(dgamma) = whitening.cwiseProduct(cross).colwise().sum().transpose();

    const bool of_batch = pass.statistics == StatisticsSource::batch;
    at_work.transform = gamma * whitening;
    Eigen::VectorXd mean_dy = zero;
    if (of_batch) {
      mean_dy = of_group(dbeta) / count;
      cross = (cross * gamma).eval();
      cross = (0.5 * (cross + cross.transpose())).eval();
      at_work.root.gradient(cross, at_work.dsigma);
      at_work.dsigma *= 2 / count;
    }
    for_each_samples(x.count(), [&](Index first, Index samples) {
      auto gradients = buffer_rows(at_work.dy, samples, channels.size);
      auto product = buffer_rows(at_work.product, samples, channels.size);
      dy.read(channels, first, mean_dy, gradients);
      product.noalias() = gradients * at_work.transform;
      if (of_batch) {
        auto deviations = buffer_rows(at_work.x, samples, channels.size);
        x.read(channels, first, of_group(pass.mean), deviations);
        product.noalias() += deviations * at_work.dsigma;
      }
      dx.write(product, channels, first);
    });
  };
  for_each_group(device, pass.whitening, x.count(), backward);
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
