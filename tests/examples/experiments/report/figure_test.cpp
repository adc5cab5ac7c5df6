#include "experiments/report/figure.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "support/environment.hpp"
#include "support/files.hpp"

namespace figure_test {

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

  std::string read(const char* name) const { return testing_support::contents_of(folder / name); }

  /// With no programs but those in the folder.
  report::Drawing draw_without_programs() const {
    const testing_support::Environment path("PATH", folder.string());
    return report::draw(folder, {figure});
  }
};

TEST_F(Figure, IsDrawnAsSvgAndPng) {
  const auto drawing = report::draw(folder, {figure});
  if (drawing.problem.find("not found") != std::string::npos) GTEST_SKIP() << "no gnuplot here";
  EXPECT_EQ(drawing.problem, "");
  ASSERT_GE(drawing.files.size(), 2u);
  EXPECT_EQ(drawing.files[0], (folder / "points.svg").string());
  EXPECT_EQ(drawing.files[1], (folder / "points.png").string());
  EXPECT_NE(read("points.svg").find("x_1"), std::string::npos);
  EXPECT_NE(read("points.svg").find("C:\\new"), std::string::npos) << "the title stands in the picture as it is";
  EXPECT_EQ(read("points.png").substr(1, 3), "PNG");
}

TEST_F(Figure, IsDrawnAsPdfTooIfGnuplotCan) {
  const std::string can = "gnuplot -e \"exit status strstrt(GPVAL_TERMINALS, 'pdfcairo') > 0 ? 0 : 3\" 2>/dev/null";
  if (std::system(can.c_str()) != 0) GTEST_SKIP() << "no gnuplot here, or none that draws PDF";
  const auto drawing = report::draw(folder, {figure});
  ASSERT_EQ(drawing.files.size(), 3u);
  EXPECT_EQ(drawing.files[2], (folder / "points.pdf").string());
  EXPECT_EQ(read("points.pdf").substr(0, 5), "%PDF-");
}

TEST_F(Figure, OfAGnuplotThatDrawsNoPdfIsThereWithoutIt) {
  report::draw(folder, {figure});  // leaves the script
  fs::remove(folder / "points.pdf");
  std::string script = read("points.gp");
  for (std::size_t at; (at = script.find("pdfcairo")) != std::string::npos;) script.replace(at, 8, "no_such");
  std::ofstream(folder / "points.gp") << script;
  const int status = std::system(("cd \"" + folder.string() + "\" && gnuplot points.gp 2>/dev/null").c_str());
  if (WEXITSTATUS(status) == 127) GTEST_SKIP() << "no gnuplot here";
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read("points.png").substr(1, 3), "PNG");
  EXPECT_FALSE(fs::exists(folder / "points.pdf"));
}

TEST_F(Figure, WithoutGnuplotTheScriptStaysAndThePackageIsNamed) {
  const auto drawing = draw_without_programs();
  EXPECT_TRUE(drawing.files.empty());
  EXPECT_NE(drawing.problem.find("gnuplot-nox"), std::string::npos) << drawing.problem;
  EXPECT_NE(read("points.gp").find("set title \"Data: \\\"x_1\\\"\\nC:\\\\new\""), std::string::npos);
}

TEST_F(Figure, TheFolderInAdviceIsQuotedForAShell) {
  const auto drawing = draw_without_programs();
  const std::string parent = folder.parent_path().parent_path().string(), name = folder.filename().string();
  EXPECT_TRUE(drawing.problem.ends_with("cd '" + parent + "/a folder'\\''s figures/" + name + "' && gnuplot *.gp"))
      << drawing.problem;
}

TEST_F(Figure, AnEmptyPictureIsAProblemAndNotCalledWritten) {
  std::ofstream(folder / "gnuplot") << "#!/bin/sh\n: >points.svg\necho picture >points.png\n";
  fs::permissions(folder / "gnuplot", fs::perms::owner_all);
  const auto drawing = draw_without_programs();
  EXPECT_EQ(drawing.files, std::vector<std::string>{(folder / "points.png").string()});
  EXPECT_NE(drawing.problem.find("gnuplot failed"), std::string::npos) << drawing.problem;
}

TEST_F(Figure, AFailureOfGnuplotIsReported) {
  figure.plot = "'no_such_file.csv'";
  const auto drawing = report::draw(folder, {figure});
  if (drawing.problem.find("not found") != std::string::npos) GTEST_SKIP() << "no gnuplot here";
  EXPECT_TRUE(drawing.files.empty());
  EXPECT_NE(drawing.problem.find("gnuplot failed"), std::string::npos);
}

TEST_F(Figure, ThatIsNotDrawnLeavesNoPictureOfAnEarlierRun) {
  for (const char* ending : {".svg", ".png", ".pdf"}) std::ofstream(folder / (std::string("points") + ending)) << "old";
  figure.plot = "'no_such_file.csv'";
  report::draw(folder, {figure});
  for (const char* ending : {".svg", ".png", ".pdf"}) EXPECT_NE(read((std::string("points") + ending).c_str()), "old");
}

TEST_F(Figure, SaysWhichScriptCannotBeWritten) {
  EXPECT_THROW(report::draw(folder / "missing", {figure}), std::runtime_error);
}

TEST_F(Figure, WithNothingToBeDrawnLeavesNoPictureOfAnEarlierRun) {
  for (const char* ending : {".gp", ".svg", ".png", ".pdf"})
    std::ofstream(folder / (std::string("points") + ending)) << "old";
  figure.plot.clear();
  const auto drawing = report::draw(folder, {figure});
  EXPECT_TRUE(drawing.files.empty());
  EXPECT_EQ(drawing.problem, "");
  for (const char* ending : {".gp", ".svg", ".png", ".pdf"})
    EXPECT_FALSE(fs::exists(folder / (std::string("points") + ending)));
  EXPECT_TRUE(fs::exists(folder / "points.csv"));
}

}  // namespace figure_test
