#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace report {

/// One picture: a gnuplot script that reads CSV files in its own folder.
struct Figure {
  std::string name;      ///< the files are called name.gp, name.svg and name.png
  std::string title;     ///< above the picture; may have several lines, and says which data were used
  std::string settings;  ///< gnuplot commands, one a line: axes and key
  std::string plot;      ///< what follows the word plot; empty: there is nothing to be drawn
};

/// What became of figures.
struct Drawing {
  std::vector<std::string> files;  ///< the pictures that there are now
  std::string problem;             ///< why some are missing and what to do about it; empty when none are
};

/// Writes the scripts and has gnuplot make an SVG and a PNG of each. Without gnuplot the scripts stay, and `problem`
/// says which package has it. Of a figure without anything to be drawn an earlier script and pictures are removed. Throws std::runtime_error when a script cannot be written.
Drawing draw(const std::filesystem::path& folder, const std::vector<Figure>& figures);

}  // namespace report
