/// \file
/// The results of compare: tables for people, a CSV file for programs.
#pragma once

#include <fstream>
#include <iosfwd>
#include <string>
#include <vector>

#include "candidates/candidate.hpp"
#include "candidates/problem.hpp"
#include "measuring/rounds.hpp"

namespace benchmarks {

/// One shape.
struct Row {
  struct Ratio {
    std::string title;
    double value;
  };

  Shape shape;
  double microseconds;
  /// Limit / ours.
  double fraction_of_limit;
  /// Others / ours.
  std::vector<Ratio> times_faster;
};

Row summarize(const Shape& shape, const std::vector<Candidate>& candidates, const std::vector<Times>& times);

/// A table of these rows, with geometric means at the bottom: over all, and, where there are smaller ones too, over
/// those of 16 MiB and more.
void print(std::ostream& out, const std::vector<Row>& rows);

/// One line for each candidate, the parts of the limit included.
class CsvFile {
 public:
  /// Writes nothing if the path is empty. Throws std::runtime_error if the file cannot be written, as add() does.
  explicit CsvFile(const std::string& path);

  void add(const Task& task, const std::vector<Candidate>& candidates, const std::vector<Times>& times);

 private:
  void add_line(const Task& task, const std::string& library, const std::string& form, const Times& theirs,
                const Times& ours);
  void check() const;

  std::string path_;
  std::ofstream file_;
};

}  // namespace benchmarks
