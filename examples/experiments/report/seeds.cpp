#include "experiments/report/seeds.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "experiments/report/text.hpp"

namespace report {
namespace {

std::string mean_and_error(const std::vector<double>& values, double error, int decimals) {
  const auto text = [&](double value) {
    return decimals > 0 || !std::isfinite(value) ? fixed(value, decimals) : grouped(std::lround(value));
  };
  const auto count = std::ranges::count(values, diverged);
  if (count > 0 && count < std::ssize(values))
    return std::to_string(count) + " of " + std::to_string(values.size()) + " diverged";
  return text(mean(values)) + (std::isnan(error) ? "" : " +-" + text(error));
}

}  // namespace

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_deviation(const std::vector<double>& values) {
  if (values.size() < 2) return none;
  const double middle = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double standard_error(const std::vector<double>& values) {
  return standard_deviation(values) / std::sqrt(static_cast<double>(values.size()));
}

bool is_beyond_noise(const std::vector<double>& values) {
  // What |mean| / standard error exceeds by chance once in twenty times, for 2, 3, ... values.
  constexpr double student[] = {12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26};
  if (values.size() < 2) return false;
  const double limit = student[std::min(values.size() - 2, std::size(student) - 1)];
  return std::abs(mean(values)) > limit * standard_error(values);
}

std::string with_standard_error(const std::vector<double>& values, int decimals) {
  return mean_and_error(values, standard_error(values), decimals);
}

std::string over_seeds(const std::vector<double>& values, int decimals) {
  return mean_and_error(values, standard_deviation(values), decimals);
}

std::string mean_over_seeds(const std::vector<double>& values, int decimals) {
  return mean_and_error(values, none, decimals);
}

}  // namespace report
