/// \file
/// What a table of times must say about where they come from.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace benchmarks {

/// Names and values: processor, caches, compiler, flags, date.
std::vector<std::pair<std::string, std::string>> describe_machine();

}  // namespace benchmarks
