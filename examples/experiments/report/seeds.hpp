#pragma once

#include <string>
#include <vector>

namespace report {

// A value for each seed. If one is `none` so is what is made of them; of `diverged` ones see the functions.

/// The arithmetic mean; `diverged` if a value is.
double mean(const std::vector<double>& values);

/// The standard deviation, of a sample (n - 1); none of less than two values, and if a value is `diverged`.
double standard_deviation(const std::vector<double>& values);

/// The standard error of the mean: the standard deviation over the root of the count; none of less than two values.
double standard_error(const std::vector<double>& values);

/// Whether the mean differs from 0 by more than chance explains: by Student's t, at 95 %. Never of less than two
/// values.
bool is_beyond_noise(const std::vector<double>& values);

/// As text: the mean and its standard error. If some are `diverged`: how many.
std::string with_standard_error(const std::vector<double>& values, int decimals);

/// As text: the value, or mean and standard deviation. Without decimals, in groups of thousands. If some are
/// `diverged`: how many.
std::string over_seeds(const std::vector<double>& values, int decimals);

/// The same without the standard deviation.
std::string mean_over_seeds(const std::vector<double>& values, int decimals);

}  // namespace report
