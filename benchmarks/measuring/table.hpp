/// \file
/// Tables for the terminal that are Markdown as well, to be pasted as they are.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace benchmarks {

/// Cells of text, the first column to the left, the others to the right.
class Table {
 public:
  explicit Table(std::vector<std::string> header);

  /// Appends a row, with a cell for each column.
  void add(std::vector<std::string> row);

  friend std::ostream& operator<<(std::ostream& out, const Table& table);

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// Three digits and more: 0.0123, 1.23, 12.3, 123, 1234; "-" for NaN.
std::string three_digits(double value);

/// 1.2e-07; "-" for NaN.
std::string scientific(double value);

}  // namespace benchmarks
