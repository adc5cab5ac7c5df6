/// \file
/// Batch normalization over Eigen: everything but WhiteningNorm, which has a header of its own since it needs Eigen's
/// eigenvalues (layers/whitening_norm.hpp). Read it as a table of contents.
///
/// Source   Ioffe & Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal
/// Covariate Shift", arXiv:1502.03167.
#pragma once

#define BATCHNORM_VERSION_MAJOR 0
#define BATCHNORM_VERSION_MINOR 1
#define BATCHNORM_VERSION_PATCH 0

// The words: how tensors are seen, what can be chosen, what is learned, what is gathered.
#include <batchnorm/base/denormals.hpp>
#include <batchnorm/base/device.hpp>
#include <batchnorm/base/layout.hpp>
#include <batchnorm/core/activation.hpp>
#include <batchnorm/core/averaging.hpp>
#include <batchnorm/core/gradient_sums.hpp>
#include <batchnorm/core/moments.hpp>
#include <batchnorm/core/options.hpp>
#include <batchnorm/core/parameters.hpp>
#include <batchnorm/core/population_statistics.hpp>
#include <batchnorm/core/running_statistics.hpp>
#include <batchnorm/core/saved.hpp>

// Functions with explicit state: forward, backward, inference folded into scale and shift.
#include <batchnorm/functions/backward.hpp>
#include <batchnorm/functions/fold.hpp>
#include <batchnorm/functions/forward.hpp>

// Layers: owners of parameters and statistics.
#include <batchnorm/layers/batch_norm.hpp>
#include <batchnorm/layers/recalibrate.hpp>
