#pragma once

/// A tiny harness around the library: enough to train a network, small enough to read and to copy.

#include "nn/activations.hpp"  // Sigmoid, Relu
#include "nn/batch_norm.hpp"   // BatchNorm, a thin wrapper of the library's
#include "nn/dense.hpp"        // Dense
#include "nn/loss.hpp"         // softmax_cross_entropy, count_correct
#include "nn/matrix.hpp"       // Matrix, and why it is row-major
#include "nn/random.hpp"       // initialise_weights
#include "nn/sequential.hpp"   // Sequential, ModeScope
#include "nn/sgd.hpp"          // Sgd
