#pragma once

#include <filesystem>

#include "nn/sequential.hpp"

namespace nn {

/// Writes all that inference computes with into a safetensors file: parameters as an optimizer sees them, each an array
/// of its own under the place of its layer, "0.weight", "1.gamma"; and running statistics, "1.running_mean",
/// "1.running_variance", "1.batches".
///
/// Throws std::runtime_error if the file cannot be written, std::invalid_argument if a layer has more than that.
template <class Scalar>
void save(Sequential<Scalar>& model, const std::filesystem::path& file);

/// Reads what save() wrote of a model of the same layers.
///
/// Throws std::runtime_error, naming file and tensor, if there is one too few or too many, or of another size, or with
/// numbers that are not finite; the model has not changed then.
template <class Scalar>
void load(Sequential<Scalar>& model, const std::filesystem::path& file);

}  // namespace nn
