#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace report {

/// How a curve is drawn: a gnuplot color, and the words for its line.
struct Look {
  std::string color = "black", line = "lw 2";
};

/// Looks that can be told apart in gray, too, by their lightness or their dashes: five for networks with batch
/// normalization, and two more, with longer gaps, for those without. Further numbers begin again.
Look look(std::size_t number, bool batch_norm);

/// A curve of a figure over the steps of training: a column of a CSV file that has the steps in its first one. If there
/// are several seeds it is their mean, and another column has their standard deviation.
struct Curve {
  int column;                           ///< of the file, counted from 1
  std::string title;                    ///< in the key
  Look look;                            ///< of the line; the band has its color
  std::vector<double> values;           ///< of the column: `none` and `diverged` are gaps
  std::string ending = {};              ///< what became of the networks, for the key: see ending_of()
  int deviation_column = 0;             ///< 0: there is none
  std::vector<double> deviations = {};  ///< of that column: as many as values
};

/// What the key says behind a network's name, given diverged_at() of the run of each seed: nothing if there was none,
/// ", diverged at step 3" or ", 1 of 3 diverged".
std::string ending_of(const std::vector<double>& diverged_at);

/// A translucent band from the mean less the deviation to the mean plus the deviation: a part of what follows gnuplot's
/// word plot. The key leaves it out.
std::string band_of(const std::string& file, int mean_column, int deviation_column, const std::string& color);

/// What follows gnuplot's word plot: bands, and the curves upon them. The key names what is drawn, and the networks
/// that diverged before their first test; a single value is drawn as a point, with a bar for its deviation, for a line
/// through it has no length. Empty if there is nothing to be shown.
std::string plot_of(const std::string& file, const std::vector<Curve>& curves);

/// What titles say of the seeds: "seed 0", or what is made of several, "mean and standard deviation of seeds 0, 1, 2",
/// and of many, "mean and standard deviation of 20 seeds".
std::string of_seeds(const std::vector<std::uint64_t>& seeds, const std::string& what = "mean and standard deviation");

/// The gnuplot commands for axes without a box, and a light grid.
inline const std::string plain_axes = "set border 3\nset tics nomirror\nset grid lt 1 lw 0.5 lc rgb '#cccccc'\n";

/// What the figures over training steps have in common: gnuplot commands for plain axes, the steps to the right, up
/// to `last`.
std::string axes_over_steps(std::int64_t last);

/// Where an axis of accuracies begins: at `preferred`, to show where good networks differ, or at the next tenth below
/// if the later half of any curve would not be seen.
double accuracy_axis_begin(const std::vector<Curve>& curves, double preferred);

/// The gnuplot command for a key below the axes, where it hides no curve.
inline const std::string key_below = "set key below height 0.6\n";

/// The gnuplot commands for an axis of accuracies that begins there.
std::string accuracy_axis(double begin);

}  // namespace report
