#pragma once

#include <filesystem>

namespace process {

/// Makes a folder for results if there is none, and makes sure that files can be written into it. Throws
/// std::runtime_error that says why not: before an hour of training, not after it.
void prepare_output_folder(const std::filesystem::path& folder);

}  // namespace process
