#include "experiments/report/figure.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace {

namespace fs = std::filesystem;

struct Figure : testing::Test {
  // A folder for each test: ctest runs them at the same time.
  fs::path folder = fs::path(testing::TempDir()) / "a folder's figures" /
                    testing::UnitTest::GetInstance()->current_test_info()->name();
  report::Figure figure{"points", "Data: \"x_1\"\nC:\\new", "set key off\n", "'points.csv' using 1:2 with lines"};

  Figure() {
    fs::create_directories(folder);
    std::ofstream(folder / "points.csv") << "step,value\n0,1\n1,2\n2,\n3,4\n";
  }
  ~Figure() override { fs::remove_all(folder); }

  std::string read(const char* name) const {
    std::ifstream file(folder / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(Figure, IsDrawnAsSvgAndPng) {
  const auto drawing = report::draw(folder, {figure});
  if (drawing.problem.find("not found") != std::string::npos) GTEST_SKIP() << "no gnuplot here";
  EXPECT_EQ(drawing.problem, "");
  ASSERT_EQ(drawing.files.size(), 2u);
  EXPECT_NE(read("points.svg").find("x_1"), std::string::npos);
  EXPECT_NE(read("points.svg").find("C:\\new"), std::string::npos) << "the title stands in the picture as it is";
  EXPECT_EQ(read("points.png").substr(1, 3), "PNG");
}

TEST_F(Figure, WithoutGnuplotTheScriptStaysAndThePackageIsNamed) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", folder.c_str(), 1);
  const auto drawing = report::draw(folder, {figure});
  setenv("PATH", path.c_str(), 1);
  EXPECT_TRUE(drawing.files.empty());
  EXPECT_NE(drawing.problem.find("gnuplot-nox"), std::string::npos) << drawing.problem;
  EXPECT_NE(read("points.gp").find("set title \"Data: \\\"x_1\\\"\\nC:\\\\new\""), std::string::npos);
}

TEST_F(Figure, AFailureOfGnuplotIsReported) {
  figure.plot = "'no_such_file.csv'";
  const auto drawing = report::draw(folder, {figure});
  if (drawing.problem.find("not found") != std::string::npos) GTEST_SKIP() << "no gnuplot here";
  EXPECT_TRUE(drawing.files.empty());
  EXPECT_NE(drawing.problem.find("gnuplot failed"), std::string::npos);
}

TEST_F(Figure, SaysWhichScriptCannotBeWritten) {
  EXPECT_THROW(report::draw(folder / "missing", {figure}), std::runtime_error);
}

TEST_F(Figure, WithNothingToBeDrawnLeavesNoPictureOfAnEarlierRun) {
  for (const char* ending : {".gp", ".svg", ".png"}) std::ofstream(folder / (std::string("points") + ending)) << "old";
  figure.plot.clear();
  const auto drawing = report::draw(folder, {figure});
  EXPECT_TRUE(drawing.files.empty());
  EXPECT_EQ(drawing.problem, "");
  for (const char* ending : {".gp", ".svg", ".png"})
    EXPECT_FALSE(fs::exists(folder / (std::string("points") + ending)));
  EXPECT_TRUE(fs::exists(folder / "points.csv"));
}

}  // namespace
