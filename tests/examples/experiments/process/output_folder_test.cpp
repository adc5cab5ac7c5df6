#include "experiments/process/output_folder.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "support/throws.hpp"

namespace output_folder_test {

namespace fs = std::filesystem;
using testing_support::message_of;

TEST(OutputFolder, IsMadeAndLeftEmpty) {
  const fs::path top = fs::path(testing::TempDir()) / "output_folder_test";
  EXPECT_NO_THROW(process::prepare_output_folder(top / "a" / "b"));
  EXPECT_TRUE(fs::is_empty(top / "a" / "b"));
  EXPECT_NO_THROW(process::prepare_output_folder(top / "a" / "b")) << "once more, now that it is there";
  fs::remove_all(top);
}

TEST(OutputFolder, WhatLiesThereStaysAsItIs) {
  const fs::path folder = fs::path(testing::TempDir()) / "output_folder_test_full";
  fs::create_directories(folder);
  std::ofstream(folder / ".writable") << "mine";
  EXPECT_NO_THROW(process::prepare_output_folder(folder));
  EXPECT_EQ(fs::file_size(folder / ".writable"), 4u);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
  fs::remove_all(folder);
}

TEST(OutputFolder, AFileIsRefused) {
  const fs::path file = fs::path(testing::TempDir()) / "output_folder_test.txt";
  std::ofstream(file) << "text";
  EXPECT_EQ(message_of<std::runtime_error>([&] { process::prepare_output_folder(file); }),
            "cannot write into the folder '" + file.string() + "': Not a directory");
  fs::remove(file);
}

TEST(OutputFolder, AFolderThatTakesNoFilesIsRefused) {
  if (!fs::exists("/proc/self")) GTEST_SKIP() << "no /proc here";
  EXPECT_THROW(process::prepare_output_folder("/proc/self"), std::runtime_error);  // not writable for root either
}

}  // namespace output_folder_test
