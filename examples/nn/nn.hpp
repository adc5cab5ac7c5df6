#pragma once

/// A tiny harness around the library: enough to train a network, small enough to read and to copy.

#include "nn/activations.hpp"          // Sigmoid, Relu
#include "nn/batch_norm.hpp"           // BatchNorm, a thin wrapper of the library's
#include "nn/branches.hpp"             // Branches, put together by channels
#include "nn/checkpoint.hpp"           // save, load
#include "nn/convolution.hpp"          // Convolution
#include "nn/dense.hpp"                // Dense
#include "nn/dropout.hpp"              // Dropout
#include "nn/image_stack.hpp"          // ImageStack, which puts together a network for images
#include "nn/local_response_norm.hpp"  // LocalResponseNorm
#include "nn/loss.hpp"                 // softmax_cross_entropy, count_correct
#include "nn/matrix.hpp"               // Matrix, and why it is row-major
#include "nn/pooling.hpp"              // MaxPool, AveragePool, GlobalAveragePool
#include "nn/random.hpp"               // Normal, initialize_weights
#include "nn/sequential.hpp"           // Sequential, ModeScope
#include "nn/sgd.hpp"                  // Sgd, HalvingRate
#include "nn/shape.hpp"                // Shape, Window, and how images lie in a matrix
#include "nn/whitening_norm.hpp"       // WhiteningNorm, a thin wrapper of the library's
