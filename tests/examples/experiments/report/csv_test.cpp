#include "experiments/report/csv.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "experiments/report/text.hpp"
#include "support/files.hpp"
#include "support/throws.hpp"

namespace csv_test {

using testing_support::contents_of;

TEST(Csv, WritesNumbersAndLeavesOutNaNsAndWhatDiverged) {
  const auto path = std::filesystem::path(testing::TempDir()) / "csv_test.csv";
  report::Csv csv(path, {"network", "step", "accuracy"});
  csv.add({"with_bn"}, {1000, 0.97125});
  csv.add({"without_bn"}, {50000, std::numeric_limits<double>::quiet_NaN()});
  csv.add({"with_bn"}, {60, report::diverged});
  csv.close();
  EXPECT_EQ(contents_of(path), "network,step,accuracy\nwith_bn,1000,0.97125\nwithout_bn,50000,\nwith_bn,60,\n");
  std::filesystem::remove(path);
}

TEST(Csv, WritesWholeNumbersWithAllTheirDigits) {
  const auto path = std::filesystem::path(testing::TempDir()) / "csv_test_whole.csv";
  report::Csv csv(path, {"seed", "step", "rest"});
  csv.add({20231128, 123456789012345, 12345678.5});
  csv.add({-20231128, 0, 1e300});
  csv.close();
  EXPECT_EQ(contents_of(path), "seed,step,rest\n20231128,123456789012345,1.234568e+07\n-20231128,0,1e+300\n");
  std::filesystem::remove(path);
}

TEST(Csv, SaysWhichFileCannotBeWritten) {
  const auto path = std::filesystem::path(testing::TempDir()) / "no_such_folder" / "figure.csv";
  EXPECT_EQ(testing_support::message_of<std::runtime_error>([&] { report::Csv(path, {"step"}); }),
            "cannot write " + path.string() + ": No such file or directory");
}

TEST(Csv, AFullDiskIsAnError) {
  const std::filesystem::path full = "/dev/full";
  if (!std::filesystem::exists(full)) GTEST_SKIP() << "no /dev/full here";
  report::Csv csv(full, {"step"});
  EXPECT_THROW(csv.close(), std::runtime_error);
}

}  // namespace csv_test
