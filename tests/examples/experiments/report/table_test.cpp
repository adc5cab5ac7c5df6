#include "experiments/report/table.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "experiments/report/text.hpp"

namespace table_test {

std::string print(const report::Table& table) {
  std::ostringstream out;
  out << table;
  return out.str();
}

TEST(Table, AlignsTheFirstColumnLeftAndTheOthersRight) {
  report::Table table({"step", "without BN", "with BN"});
  table.add({"500", "0.2", "0.88"});
  table.add({"10,000", "-"});
  EXPECT_EQ(print(table),
            "step     without BN   with BN\n"
            "500             0.2      0.88\n"
            "10,000            -\n");
}

TEST(Table, FoldsWhatIsWiderThanTheTerminal) {
  std::vector<std::string> header = {"step"}, row = {"1,000"};
  for (int i = 0; i < 12; ++i) {
    header.push_back("seed " + std::to_string(i));
    row.push_back("0.9123 0.1");
  }
  report::Table table(header);
  table.add(row);
  std::istringstream lines(print(table));
  int parts = 0;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), report::terminal_width);
    if (line.rfind("1,000", 0) == 0) ++parts;
  }
  EXPECT_EQ(parts, 3);
}

TEST(Table, OneColumn) { EXPECT_EQ(print(report::Table({"alone"})), "alone\n"); }

}  // namespace table_test
