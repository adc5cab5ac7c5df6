#pragma once

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
Matrix<Scalar> softmax(const Matrix<Scalar>& logits);

/// Softmax with cross-entropy: the mean over the batch of -log(softmax(logits)[label]), and its gradient with respect
/// to the logits, (softmax(logits) - onehot(label)) / samples.
///
/// Shapes: logits [samples, classes]; `gradient` is resized to the same.
/// The largest logit of a sample is subtracted first, so that no exponential overflows.
template <class Scalar>
Scalar softmax_cross_entropy(const Matrix<Scalar>& logits, Labels labels, Matrix<Scalar>& gradient);

/// How many samples have their largest logit at their label.
template <class Scalar>
Eigen::Index count_correct(const Matrix<Scalar>& logits, Labels labels);

}  // namespace nn
