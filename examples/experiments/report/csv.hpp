#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace report {

/// A file of comma-separated values, with the names of its columns in the first line. `none` and `diverged` are empty
/// cells.
class Csv {
 public:
  /// Throws std::runtime_error that names the file if it cannot be written, as do the other two.
  Csv(const std::filesystem::path& path, const std::vector<std::string>& columns);

  /// Appends a line of numbers.
  void add(const std::vector<double>& row);

  /// Appends a line that begins with text.
  void add(const std::vector<std::string>& labels, const std::vector<double>& row);

  /// Writes what is still in memory; the destructor does so too, but cannot tell of a failure.
  void close();

 private:
  void check() const;

  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace report
