#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace report {

/// A curve of a figure over the steps of training: a column of a CSV file that has the steps in its first one.
struct Curve {
  int column;                  ///< of the file, counted from 1
  std::string title, style;    ///< in the key; in gnuplot's words: "lw 2 lc 'black'"
  std::vector<double> values;  ///< of the column: `none` and `diverged` are gaps
  std::string ending = {};     ///< what became of the networks, for the key: see ending_of()
};

/// What the key says behind a network's name, given diverged_at() of the run of each seed: nothing if there was none,
/// ", diverged at step 3" or ", 1 of 3 diverged".
std::string ending_of(const std::vector<double>& diverged_at);

/// What follows gnuplot's word plot. The key names what is drawn, and the networks that diverged before their first test;
/// a single value is drawn as a point, for a line through it has no length. Empty if there is nothing to be shown.
std::string plot_of(const std::string& file, const std::vector<Curve>& curves);

/// What the figures over training steps have in common: gnuplot commands for plain axes, the steps to the right, up to
/// `last`.
std::string axes_over_steps(std::int64_t last);

/// Where an axis of accuracies begins: at `preferred`, to show where good networks differ, or at the next tenth below if
/// the later half of any curve would not be seen.
double accuracy_axis_begin(const std::vector<Curve>& curves, double preferred);

/// The gnuplot command for an axis of accuracies that begins there.
std::string accuracy_axis(double begin);

}  // namespace report
