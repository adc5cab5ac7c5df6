#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

namespace report {

/// Whether a person may be watching: the stream is a terminal, and one that can move its cursor.
bool is_terminal(std::FILE* stream);

/// Lines that show how far each of several networks has come, redrawn in place:
///
///     without BN  12,345/50,000  accuracy 0.9712  2,890 steps/s  0:13 left
///
/// Threads: update() may be called from any of them.
class Progress {
 public:
  /// What a line is about.
  struct Network {
    std::string label;
    std::int64_t steps;
  };

  /// One line for each network. With `visible` false nothing is ever written; the usual value is is_terminal(stderr).
  Progress(const std::vector<Network>& networks, bool visible, std::FILE* stream = stderr);

  /// Tells how many steps one network has made, and the last accuracy measured (`none` before the first, `diverged`
  /// where the last step was that). Draws ten times a second at the most, and once at the end.
  void update(std::size_t network, std::int64_t step, double accuracy);

 private:
  using Clock = std::chrono::steady_clock;

  struct Line {
    std::string label;
    std::int64_t steps;
    Clock::time_point start = {};  ///< when it was first heard of: not all networks begin at once
    std::int64_t step = 0;
    double accuracy = std::numeric_limits<double>::quiet_NaN(), seconds = 0;
  };

  void draw();

  const bool visible_;
  std::FILE* const stream_;

  std::mutex mutex_;
  std::vector<Line> lines_;
  Clock::time_point drawn_;
  bool first_ = true;
};

/// One line of it, at most 79 characters; `seconds` is the time since the first step.
std::string progress_line(const std::string& label, std::int64_t step, std::int64_t steps, double accuracy,
                          double seconds);

}  // namespace report
