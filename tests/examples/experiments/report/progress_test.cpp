#include "experiments/report/progress.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <thread>

#include "experiments/report/text.hpp"

namespace progress_test {

/// A file that is read back as text.
class Capture {
 public:
  Capture() : file_(std::tmpfile()) {}
  ~Capture() { std::fclose(file_); }
  std::FILE* file() { return file_; }
  std::string text() {
    std::rewind(file_);
    std::string result;
    for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) result += static_cast<char>(c);
    return result;
  }

 private:
  std::FILE* file_;
};

TEST(Progress, LineSaysStepAccuracyRateAndTimeLeft) {
  EXPECT_EQ(report::progress_line("with BN", 10'000, 50'000, 0.9712, 5),
            "with BN  10,000/50,000  accuracy 0.9712  2,000 steps/s  0:20 left");
  EXPECT_EQ(report::progress_line("with BN", 0, 50'000, std::numeric_limits<double>::quiet_NaN(), 0),
            "with BN  0/50,000  accuracy -");
  EXPECT_EQ(report::progress_line("with BN", 50'000, 50'000, 0.98, 20),
            "with BN  50,000/50,000  accuracy 0.9800  2,500 steps/s  in 0:20");
}

TEST(Progress, LineFitsTheTerminal) {
  const auto usual = report::progress_line("seed 12, without BN", 12'345, 50'000, 0.9712, 4);
  EXPECT_EQ(usual, "seed 12, without BN  12,345/50,000  accuracy 0.9712  3,086 steps/s  0:12 left");
  EXPECT_LT(report::progress_line("seed 12345678, without BN", 12'345'678, 50'000'000, 0.9712, 1).size(),
            report::terminal_width);
}

TEST(Progress, IsQuietWhereNobodyWatches) {
  Capture capture;
  report::Progress progress({{"a", 10}, {"b", 10}}, report::is_terminal(capture.file()), capture.file());
  progress.update(0, 10, 0.5);
  EXPECT_EQ(capture.text(), "");
}

TEST(Progress, RedrawsInPlace) {
  Capture capture;
  report::Progress progress({{"a", 10}, {"bcd", 10}}, true, capture.file());
  progress.update(0, 10, 0.5);
  progress.update(1, 10, 0.25);
  const std::string text = capture.text();
  EXPECT_NE(text.find("\r\x1b[2Ka    10/10  accuracy 0.5000"), std::string::npos) << text;
  EXPECT_NE(text.find("\x1b[2A\r\x1b[2Ka  "), std::string::npos) << text;
  EXPECT_NE(text.find("\r\x1b[2Kbcd  10/10  accuracy 0.2500"), std::string::npos) << text;
}

TEST(Progress, DrawsTenTimesASecondAtTheMost) {
  Capture capture;
  report::Progress progress({{"a", 1'000'000}}, true, capture.file());
  for (int i = 0; i < 1000; ++i) progress.update(0, i, 0.5);
  EXPECT_LT(capture.text().size(), 1000u);
}

TEST(Progress, TakesReportsFromSeveralThreads) {
  Capture capture;
  report::Progress progress({{"a", 1000}, {"b", 1000}}, true, capture.file());
  const auto work = [&](std::size_t network) {
    for (int i = 1; i <= 1000; ++i) progress.update(network, i, 0.5);
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  EXPECT_NE(capture.text().rfind("b  1,000/1,000"), std::string::npos);
}

TEST(Progress, LineOfANetworkThatDivergedSaysSoAndNoTimeLeft) {
  EXPECT_EQ(report::progress_line("with BN", 137, 50'000, report::diverged, 5), "with BN  137/50,000  diverged");
}

}  // namespace progress_test
