#include "experiments/report/curves.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "experiments/report/text.hpp"

namespace report {
namespace {

std::vector<double> drawn_values(const Curve& curve) {
  std::vector<double> drawn;
  std::ranges::copy_if(curve.values, std::back_inserter(drawn), [](double value) { return std::isfinite(value); });
  return drawn;
}

}  // namespace

std::string ending_of(const std::vector<double>& diverged_at) {
  const auto count = std::ranges::count_if(diverged_at, [](double step) { return std::isfinite(step); });
  if (count == 0) return "";
  if (diverged_at.size() == 1) return ", diverged at step " + grouped(std::lround(diverged_at.front()));
  return ", " + std::to_string(count) + " of " + std::to_string(diverged_at.size()) + " diverged";
}

std::string plot_of(const std::string& file, const std::vector<Curve>& curves) {
  std::vector<std::string> parts;
  for (const Curve& curve : curves) {
    const auto count = drawn_values(curve).size();
    if (count == 0 && curve.ending.empty()) continue;
    const std::string data = count == 0 ? "NaN" : "'" + file + "' using 1:" + std::to_string(curve.column);
    parts.push_back(data + (count == 1 ? " with points pt 7 " : " with lines ") + curve.style + " title '" +
                    curve.title + curve.ending + "'");
  }
  return joined(parts, ", ");
}

std::string axes_over_steps(std::int64_t last) {
  return "set xlabel 'training steps'\nset xrange [0:*]\nset border 3\nset tics nomirror\nset grid lt 1 lw 0.5 lc rgb "
         "'#cccccc'\nset format x '" +
         std::string(last < 10'000 ? "%.0f" : "%.0s%c") + "'\n";
}

double accuracy_axis_begin(const std::vector<Curve>& curves, double preferred) {
  double begin = preferred;
  for (const Curve& curve : curves) {
    const std::vector<double> values = drawn_values(curve);
    if (values.empty()) continue;
    const double lowest = *std::min_element(values.begin() + std::ssize(values) / 2, values.end());
    if (lowest <= begin) begin = std::max(0.0, (std::ceil(10 * lowest) - 1) / 10);
  }
  return begin;
}

std::string accuracy_axis(double begin) {
  return "set ylabel 'test accuracy'\nset key bottom right\nset yrange [" + shortest(begin) + ":1]\n";
}

}  // namespace report
