/// \file
/// The results of compare: tables for people, a CSV file for programs.
#pragma once

#include <fstream>
#include <iosfwd>
#include <string>
#include <vector>

#include "caches.hpp"
#include "candidates/candidate.hpp"
#include "candidates/problem.hpp"
#include "measuring/rounds.hpp"

namespace benchmarks {

/// What so many threads took for a task.
struct Measured {
  int threads;
  std::vector<Candidate> candidates;
  std::vector<Times> times;
  /// How often the limit reads.
  int readings;
};

/// One shape.
struct Row {
  struct Ratio {
    std::string title;
    double value;
  };

  std::string name, home;
  double microseconds;
  std::vector<Ratio> ratios;
};

/// Limit / ours, and others / ours.
Row beside_others(const Task& task, const Measured& measured);

/// Our time with the first number of threads / that with each other number; the same of the limit.
Row by_threads(const Task& task, const std::vector<Measured>& measured);

/// A table of these rows, with geometric means at the bottom: over all, and over those in L2, in a cache and in memory
/// where there are several of these.
void print(std::ostream& out, const std::vector<Row>& rows);

/// One line for each candidate, the parts of the limit included.
class CsvFile {
 public:
  /// Writes nothing if the path is empty. Throws std::runtime_error if the file cannot be written, as add() does.
  explicit CsvFile(const std::string& path);

  void add(const Task& task, const Measured& measured);

 private:
  void check() const;

  std::string path_;
  std::ofstream file_;
};

}  // namespace benchmarks
