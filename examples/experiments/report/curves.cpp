#include "experiments/report/curves.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "experiments/report/text.hpp"

namespace report {
namespace {

std::vector<double> drawn_values(const std::vector<double>& values) {
  std::vector<double> drawn;
  std::ranges::copy_if(values, std::back_inserter(drawn), [](double value) { return std::isfinite(value); });
  return drawn;
}

/// A column of the file over its first one.
std::string over_first(const std::string& file, const std::string& columns) {
  return "'" + file + "' using 1:" + columns;
}

std::string curve_of(const std::string& file, const Curve& curve) {
  const auto count = drawn_values(curve.values).size();
  const bool has_bar = count == 1 && !drawn_values(curve.deviations).empty();
  std::string columns = std::to_string(curve.column);
  if (has_bar) columns += ":" + std::to_string(curve.deviation_column);
  return (count == 0 ? "NaN" : over_first(file, columns)) +
         (has_bar      ? " with yerrorbars pt 7 "
          : count == 1 ? " with points pt 7 "
                       : " with lines ") +
         curve.look.line + " lc '" + curve.look.color + "' title '" + curve.title + curve.ending + "'";
}

}  // namespace

Look look(std::size_t number, bool batch_norm) {
  static const std::vector<Look> with = {{"#1f4fbf", "lw 2"},
                                         {"#e08a1e", "lw 2"},
                                         {"#5b1a6e", "lw 2 dt (16,4,4,4)"},
                                         {"#2a9d8f", "lw 2 dt (16,4,4,4)"},
                                         {"#7fc4e8", "lw 2"}},
                                 without = {{"black", "lw 2 dt (12,6)"}, {"#808080", "lw 2 dt (4,6)"}};
  const auto& looks = batch_norm ? with : without;
  return looks[number % looks.size()];
}

std::string ending_of(const std::vector<double>& diverged_at) {
  const auto count = std::ranges::count_if(diverged_at, [](double step) { return std::isfinite(step); });
  if (count == 0) return "";
  if (diverged_at.size() == 1) return ", diverged at step " + grouped(std::lround(diverged_at.front()));
  return ", " + std::to_string(count) + " of " + std::to_string(diverged_at.size()) + " diverged";
}

std::string band_of(const std::string& file, int mean_column, int deviation_column, const std::string& color) {
  const std::string mean = "$" + std::to_string(mean_column), deviation = "$" + std::to_string(deviation_column);
  return over_first(file, "(" + mean + "-" + deviation + "):(" + mean + "+" + deviation + ")") +
         " with filledcurves fc '" + color + "' fs transparent solid 0.2 noborder notitle";
}

std::string plot_of(const std::string& file, const std::vector<Curve>& curves) {
  std::vector<std::string> parts;
  for (const Curve& curve : curves) {
    if (drawn_values(curve.deviations).size() > 1)
      parts.push_back(band_of(file, curve.column, curve.deviation_column, curve.look.color));
  }
  for (const Curve& curve : curves) {
    if (!drawn_values(curve.values).empty() || !curve.ending.empty()) parts.push_back(curve_of(file, curve));
  }
  return joined(parts, ", ");
}

std::string of_seeds(const std::vector<std::uint64_t>& seeds, const std::string& what) {
  constexpr std::size_t most_named = 10;
  if (seeds.size() > most_named) return what + " of " + std::to_string(seeds.size()) + " seeds";
  std::vector<std::string> numbers;
  for (const std::uint64_t seed : seeds) numbers.push_back(std::to_string(seed));
  return (seeds.size() > 1 ? what + " of seeds " : "seed ") + joined(numbers, ", ");
}

std::string axes_over_steps(std::int64_t last) {
  return plain_axes + "set xlabel 'training steps'\nset xrange [0:*]\nset format x '" +
         (last < 10'000 ? "%.0f" : "%.0s%c") + "'\n";
}

double accuracy_axis_begin(const std::vector<Curve>& curves, double preferred) {
  double begin = preferred;
  for (const Curve& curve : curves) {
    const std::vector<double> values = drawn_values(curve.values);
    if (values.empty()) continue;
    const double lowest = *std::min_element(values.begin() + std::ssize(values) / 2, values.end());
    if (lowest <= begin) begin = std::max(0.0, (std::ceil(10 * lowest) - 1) / 10);
  }
  return begin;
}

std::string accuracy_axis(double begin) {
  return "set ylabel 'test accuracy'\n" + key_below + "set yrange [" + shortest(begin) + ":1]\n";
}

}  // namespace report
