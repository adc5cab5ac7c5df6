#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "nn/matrix.hpp"

namespace nn {

/// The class of each sample of a batch.
using Labels = std::span<const std::uint8_t>;

/// The probabilities of the classes: exp(logit) / sum of exp(logits), for each sample.
///
/// The largest logit of a sample is subtracted first, so that no exponential overflows.
template <class Scalar>
Matrix<Scalar> softmax(const Matrix<Scalar>& logits) {
  Matrix<Scalar> result = (logits.colwise() - logits.rowwise().maxCoeff()).array().exp();
  result.array().colwise() /= result.rowwise().sum().array().eval();
  return result;
}

/// Softmax with cross-entropy: the mean over the batch of -log(softmax(logits)[label]), and its gradient with respect
/// to the logits, (softmax(logits) - onehot(label)) / samples.
///
/// Shapes: logits [samples, classes]; `gradient` is resized to the same.
/// The largest logit of a sample is subtracted first, so that no exponential overflows.
template <class Scalar>
Scalar softmax_cross_entropy(const Matrix<Scalar>& logits, Labels labels, Matrix<Scalar>& gradient) {
  assert(static_cast<Eigen::Index>(labels.size()) == logits.rows());
  const Scalar weight = Scalar(1) / static_cast<Scalar>(logits.rows());
  gradient.resizeLike(logits);
  Scalar loss = 0;
  for (Eigen::Index i = 0; i < logits.rows(); ++i) {
    const Eigen::Index label = labels[static_cast<std::size_t>(i)];
    auto row = gradient.row(i).array();
    row = logits.row(i).array() - logits.row(i).maxCoeff();
    const Scalar logit = row(label);
    row = row.exp();
    const Scalar sum = row.sum();
    loss += std::log(sum) - logit;
    row *= weight / sum;
    row(label) -= weight;
  }
  return loss * weight;
}

/// How many samples have their largest logit at their label.
template <class Scalar>
Eigen::Index count_correct(const Matrix<Scalar>& logits, Labels labels) {
  assert(static_cast<Eigen::Index>(labels.size()) == logits.rows());
  Eigen::Index correct = 0;
  for (Eigen::Index i = 0; i < logits.rows(); ++i) {
    Eigen::Index best = 0;
    logits.row(i).maxCoeff(&best);
    if (best == labels[static_cast<std::size_t>(i)]) ++correct;
  }
  return correct;
}

}  // namespace nn
