/// \file
/// Options as other frameworks have them by default: for networks that come from there, and numbers that must agree.
///
/// A preset sets what decides the numbers: epsilon, the weight of a new batch, the estimate of the variance that is
/// kept, and what training does with one value per channel. Change what the network changed:
///
///   bn::Options options = bn::presets::pytorch(64);
///   options.epsilon = 1e-3;                    // torchvision's MobileNetV3
///   options.averaging = bn::exponential(0.01);
///
/// All of them normalize with the biased variance of the batch, and all begin with gamma 1, beta 0, mean 0 and variance
/// 1. This library's own in all of them: a batch that is not finite is left out, and so is one with a single value per
/// channel, where a framework that goes on then blends in a variance of 0. The names of the arrays that belong to these
/// layers stand in the README beside batchnorm.hpp.
#pragma once

#include <batchnorm/core/options.hpp>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// The defaults of other frameworks.
namespace presets {

/// torch.nn.BatchNorm1d, 2d and 3d: eps 1e-5, momentum 0.1 of the new batch, unbiased. One value per channel is an
/// error. momentum=None is cumulative().
///
/// Source   torch/nn/modules/batchnorm.py; the page of torch.nn.BatchNorm2d (both variances); F.batch_norm,
///          _verify_batch_size (one value).
constexpr Options pytorch(Index channels) {
  return {.channels = channels,
          .epsilon = 1e-5,
          .averaging = exponential(0.1),
          .running_variance = RunningVariance::unbiased,
          .single_value = SingleValue::error};
}

/// keras.layers.BatchNormalization of Keras 3: epsilon 1e-3, momentum 0.99 of the old value, biased. tf.keras of
/// TensorFlow 2 differs on images, where its `fused` kernel keeps the unbiased variance: set
/// RunningVariance::unbiased.
///
/// Source   keras/src/layers/normalization/batch_normalization.py, __init__ and call; ops.moments (biased).
constexpr Options keras(Index channels) {
  return {.channels = channels,
          .epsilon = 1e-3,
          .averaging = exponential_decay(0.99),
          .running_variance = RunningVariance::biased,
          .single_value = SingleValue::zero_variance};
}

/// TensorFlow's operation FusedBatchNorm (V1 to V3): epsilon 1e-4, exponential_avg_factor 1 of the new batch, unbiased,
/// or with one value biased. So by itself it gives the statistics of the last batch alone, and its callers say what
/// they average: tf.keras 2 has epsilon 1e-3 and exponential_decay(0.99), tf.compat.v1.nn.fused_batch_norm epsilon
/// 1e-3.
///
/// Source   tensorflow/core/ops/nn_ops.cc, FusedBatchNormV3 (attributes);
///          tensorflow/core/kernels/fused_batch_norm_op.cc (rest_size_adjust, n / (n - 1)).
constexpr Options tensorflow_fused(Index channels) {
  return {.channels = channels,
          .epsilon = 1e-4,
          .averaging = exponential(1.0),
          .running_variance = RunningVariance::unbiased,
          .single_value = SingleValue::zero_variance};
}

/// ONNX's BatchNormalization in training_mode, versions 14 and 15: epsilon 1e-5, momentum 0.9 of the old value, biased.
/// Its attributes are floats: 0.9f gives a new batch 2e-7 more than 0.1. Versions before 14 have no training_mode.
///
/// Source   onnx.ai/onnx/operators/onnx__BatchNormalization.html, version 15.
constexpr Options onnx(Index channels) {
  return {.channels = channels,
          .epsilon = 1e-5,
          .averaging = exponential_decay(0.9),
          .running_variance = RunningVariance::biased,
          .single_value = SingleValue::zero_variance};
}

/// flax.linen.BatchNorm: epsilon 1e-5, momentum 0.99 of the old value, biased.
///
/// Source   flax/linen/normalization.py, BatchNorm and _compute_stats.
constexpr Options flax(Index channels) {
  return {.channels = channels,
          .epsilon = 1e-5,
          .averaging = exponential_decay(0.99),
          .running_variance = RunningVariance::biased,
          .single_value = SingleValue::zero_variance};
}

/// Caffe's BatchNorm followed by Scale with bias_term: eps 1e-5, moving_average_fraction 0.999 of the old value,
/// unbiased. Caffe keeps sums over the batches and the sum of their weights, and divides when it infers:
///
///   blobs[0] = f blobs[0] + mean    blobs[1] = f blobs[1] + variance    blobs[2] = f blobs[2] + 1
///   running mean = blobs[0] / blobs[2]    running variance = blobs[1] / blobs[2]
///
/// which is debiased_decay(f): the first batch replaces what was there. Whoever reads a Caffe model divides, and to
/// train on sets running().batches = log(1 - (1 - f) blobs[2]) / log(f), or some 10000 where blobs[2] is 1 / (1 - f).
/// Before the first batch Caffe infers with variance 0, this library with variance 1.
///
/// Source   src/caffe/layers/batch_norm_layer.cpp, Forward_cpu; src/caffe/proto/caffe.proto, BatchNormParameter.
constexpr Options caffe(Index channels) {
  return {.channels = channels,
          .epsilon = 1e-5,
          .averaging = debiased_decay(0.999),
          .running_variance = RunningVariance::unbiased,
          .single_value = SingleValue::zero_variance};
}

/// MXNet's operator BatchNorm on the CPU: eps 1e-3, momentum 0.9 of the old value, biased; cuDNN keeps the unbiased
/// variance. gluon.nn.BatchNorm has epsilon 1e-5. fix_gamma, on by default in the operator and off in Gluon, holds
/// gamma at 1, whatever a file says: set `scale` to false there. MXNet updates in its backward pass, this library in
/// forward.
///
/// Source   src/operator/nn/batch_norm-inl.h, BatchNormParam; src/operator/nn/batch_norm.cc, BatchNormForwardImpl and
///          BatchNormBackwardImpl.
constexpr Options mxnet(Index channels) {
  return {.channels = channels,
          .epsilon = 1e-3,
          .averaging = exponential_decay(0.9),
          .running_variance = RunningVariance::biased,
          .single_value = SingleValue::zero_variance};
}

/// dlib's bn_con and bn_fc: eps 1e-4, a mean over all batches until running_stats_window_size, 100, and then 1 / 101 of
/// the new batch, unbiased. dlib takes a tensor of one sample for inference, even one of many positions; here that is
/// so with one value per channel, and a sample of many positions trains.
///
/// Source   dlib/dnn/layers.h, DEFAULT_BATCH_NORM_EPS and bn_; dlib/cuda/cpu_dlib.cpp, batch_normalize (n / (n - 1)).
constexpr Options dlib(Index channels) {
  return {.channels = channels,
          .epsilon = 1e-4,
          .averaging = cumulative(100),
          .running_variance = RunningVariance::unbiased,
          .single_value = SingleValue::running};
}

/// The paper: E[x] and Var[x] are means over batches, the variance times m / (m - 1), over many batches while the
/// parameters stand still. So train, reset running() and go on in Mode::training without a step, or call recalibrate(),
/// which does both. The paper says of epsilon only that it is there; this is the default of Options.
///
/// Source   Ioffe & Szegedy 2015, arXiv:1502.03167, Algorithm 1 (epsilon) and Algorithm 2, step 10.
constexpr Options paper(Index channels) {
  return {.channels = channels,
          .epsilon = 1e-5,
          .averaging = cumulative(),
          .running_variance = RunningVariance::unbiased,
          .single_value = SingleValue::error};
}

}  // namespace presets
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
