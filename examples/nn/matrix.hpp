#pragma once

#include <Eigen/Core>

namespace nn {

/// A batch of activations, [samples, features], row-major: one sample after the other in memory, as samples in columns
/// of a column-major matrix would lie. Weights, [inputs, outputs], are column-major: the weights of one unit together.
///
/// The order is worth a tenth of the step: Eigen cuts a product into blocks of 48 along one axis (with AVX-512), and
/// copies the factors into the order in which its kernel reads them. Microseconds for a batch of 60 through 784 inputs
/// and 100 outputs, x W and the weights' gradient transpose(x) dy; Eigen 3.4, g++ 12 -O3 -march=native, one core, best
/// of many:
///
///   samples              weights        x W    gradient    together
///   row-major            column-major   111    86          197
///   row-major            row-major      105    105         210
///   column-major         column-major   129    92          221
///   column-major         row-major      136    105         241
///
/// Row-major weights have a cliff besides: x W takes 260 when Eigen believes in a first cache of 64 KB or more.
template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Some rows of such a matrix, or all of them, without a copy.
template <class Scalar>
using Rows = Eigen::Ref<Matrix<Scalar>>;
template <class Scalar>
using ConstRows = Eigen::Ref<const Matrix<Scalar>>;

}  // namespace nn
