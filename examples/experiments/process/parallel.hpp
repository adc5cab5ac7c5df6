#pragma once

#include <cstddef>
#include <functional>

namespace process {

/// Calls body(0), ..., body(count - 1) on as many threads as there are cores, each next one as soon as a thread is
/// free, and none after Ctrl-C. The threads take denormal numbers for 0: at large initial weights the gradients of
/// saturated sigmoids are such, and without batch normalization a step took three times as long. After an exception no
/// body is begun; when all threads have come to an end it is thrown again, one of them if there are several.
void for_each_in_parallel(std::size_t count, const std::function<void(std::size_t)>& body);

}  // namespace process
