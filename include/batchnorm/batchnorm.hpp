/// \file
/// Batch normalization over Eigen. Read it as a table of contents: each header with the names that it brings.
///
/// Not here: WhiteningNorm, in whitening/whitening_norm.hpp, since it needs Eigen's eigenvalues; diagnose, in
/// layers/diagnose.hpp, as its table takes a tenth of a second to compile; fold_into, in functions/fold_into.hpp, since
/// few units export a network; GhostBatchNorm and BatchRenorm, in layers/ghost_batch_norm.hpp and
/// layers/batch_renorm.hpp, since few networks have them; jvp and backward_twice, in functions/derivatives.hpp,
/// likewise; adapters/, which need other libraries. The mathematics and the rooms: README.md beside this file.
///
/// Source   Ioffe & Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
///          Covariate Shift", arXiv:1502.03167.
#pragma once

/// 0: interfaces still change.
#define BATCHNORM_VERSION_MAJOR 0
/// Changes with the interface.
#define BATCHNORM_VERSION_MINOR 2
/// Changes with anything else.
#define BATCHNORM_VERSION_PATCH 0

// Tensors, and where and how a call runs.
#include <batchnorm/base/denormals.hpp>  // FlushDenormals
#include <batchnorm/base/device.hpp>     // Device, CallOptions
#include <batchnorm/base/layout.hpp>     // samples_in_rows, ..., channel_axis, channel_view, channel_slice
#include <batchnorm/base/packet.hpp>     // Packet, statistics_t

// What can be chosen. The options of calls: core/arguments.hpp.
#include <batchnorm/core/activation.hpp>  // relu, leaky_relu, sigmoid, add_relu, activations::identity, activations::tanh
#include <batchnorm/core/averaging.hpp>  // exponential, exponential_decay, debiased_decay, cumulative, none
#include <batchnorm/core/options.hpp>    // Options, Mode, RunningVariance, NonFinite, SingleValue
#include <batchnorm/core/presets.hpp>  // presets::pytorch, keras, tensorflow_fused, onnx, flax, caffe, mxnet, dlib, paper
#include <batchnorm/core/reducer.hpp>  // Reducer, all_reduce
#include <batchnorm/core/weights.hpp>  // Weights

// What is learned, and what is gathered.
#include <batchnorm/core/gradient_sums.hpp>          // GradientSums
#include <batchnorm/core/moments.hpp>                // Moments
#include <batchnorm/core/parameters.hpp>             // AffineParameters, Gradients, Parameter
#include <batchnorm/core/population_statistics.hpp>  // PopulationStatistics
#include <batchnorm/core/running_statistics.hpp>     // RunningStatistics
#include <batchnorm/core/saved.hpp>                  // Saved
#include <batchnorm/core/statistics.hpp>             // Statistics

// Functions with explicit state.
#include <batchnorm/functions/backward.hpp>  // backward, backward_from_output, gradient_sums, input_gradient, parameter_gradients
#include <batchnorm/functions/fold.hpp>        // fold, scale_shift, ScaleShift
#include <batchnorm/functions/forward.hpp>     // train_forward, batch_moments, normalize
#include <batchnorm/functions/statistics.hpp>  // statistics

// Layers: owners of parameters and statistics.
#include <batchnorm/layers/batch_norm.hpp>   // BatchNorm
#include <batchnorm/layers/recalibrate.hpp>  // recalibrate
