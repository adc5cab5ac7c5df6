#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace report {

/// One picture: a gnuplot script that reads CSV files in its own folder.
struct Figure {
  std::string name;      ///< the files are called name.gp, name.svg, name.png and name.pdf
  std::string title;     ///< above the picture; may have several lines, and says which data were used
  std::string settings;  ///< gnuplot commands, one a line: axes and key
  std::string plot;      ///< what follows the word plot; empty: there is nothing to be drawn
};

/// What became of figures.
struct Drawing {
  std::vector<std::string> files;  ///< the pictures that there are now
  std::string problem;             ///< why some are missing and what to do about it; empty when none are
};

/// Writes the scripts and has gnuplot make an SVG and a PNG of each, and a PDF if it can. Without gnuplot the scripts
/// stay, and `problem` says which package has it. What an earlier run has left of a figure is removed first: of one
/// without anything to be drawn nothing remains. Throws std::runtime_error when a script cannot be written.
Drawing draw(const std::filesystem::path& folder, const std::vector<Figure>& figures);

}  // namespace report
