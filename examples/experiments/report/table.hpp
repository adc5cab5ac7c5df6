#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace report {

/// A table for the terminal: cells of text, the first column to the left, the others to the right.
///
///       step   without BN   with BN
///      1,000       0.3330    0.9140
///
/// A table that is wider than the terminal is printed in parts, each with the first column in front.
class Table {
 public:
  explicit Table(std::vector<std::string> header);

  /// Appends a row; missing cells are empty.
  void add(std::vector<std::string> row);

  friend std::ostream& operator<<(std::ostream& out, const Table& table);

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace report
