#include "experiments/report/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "experiments/report/text.hpp"

namespace report {

bool is_terminal(std::FILE* stream) {
  const char* kind = std::getenv("TERM");
  return isatty(fileno(stream)) == 1 && kind && std::string_view(kind) != "dumb";
}

std::string progress_line(const std::string& label, std::int64_t step, std::int64_t steps, double accuracy,
                          double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(step) / seconds : 0;
  std::string line = label + "  " + grouped(step) + '/' + grouped(steps);
  if (accuracy == diverged && step < steps) return (line + "  diverged").substr(0, terminal_width - 1);
  line += "  accuracy " + fixed(accuracy, 4);
  if (rate > 0) {
    line += "  " + grouped(static_cast<std::int64_t>(rate)) + " steps/s";
    line += step < steps ? "  " + duration(static_cast<double>(steps - step) / rate) + " left"
                         : "  in " + duration(seconds);
  }
  return line.substr(0, terminal_width - 1);
}

Progress::Progress(const std::vector<Network>& networks, bool visible, std::FILE* stream)
    : visible_(visible), stream_(stream) {
  std::size_t width = 0;
  for (const Network& network : networks) width = std::max(width, network.label.size());
  for (const auto& [label, steps] : networks)
    lines_.push_back({.label = label + std::string(width - label.size(), ' '), .steps = steps});
}

void Progress::update(std::size_t network, std::int64_t step, double accuracy) {
  if (!visible_) return;
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  Line& line = lines_[network];
  if (line.step == 0) line.start = now;
  line.step = step;
  line.accuracy = accuracy;
  line.seconds = std::chrono::duration<double>(now - line.start).count();
  if (step < line.steps && accuracy != diverged && now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw();
}

void Progress::draw() {
  std::string text;
  if (!first_) text = "\x1b[" + std::to_string(lines_.size()) + "A";  // up to the first line
  first_ = false;
  for (const Line& line : lines_) {
    text += "\r\x1b[2K" + progress_line(line.label, line.step, line.steps, line.accuracy, line.seconds) + "\n";
  }
  std::fputs(text.c_str(), stream_);
  std::fflush(stream_);
}

}  // namespace report
