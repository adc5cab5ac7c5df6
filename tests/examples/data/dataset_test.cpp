#include "data/dataset.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "data/drawn_digits.hpp"
#include "data/idx.hpp"
#include "examples/data/idx_files.hpp"

namespace dataset_test {

using testing_support::Folder;
using testing_support::idx_images;
using testing_support::idx_labels;

// A test that sets BATCHNORM_MNIST as it likes.
class Load : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* value = std::getenv("BATCHNORM_MNIST")) before_ = value;
    unsetenv("BATCHNORM_MNIST");
  }
  void TearDown() override {
    if (before_) {
      setenv("BATCHNORM_MNIST", before_->c_str(), 1);
    } else {
      unsetenv("BATCHNORM_MNIST");
    }
  }

 private:
  std::optional<std::string> before_;
};

// A folder with `train` and 2 images, its pixels counting from `train`: folders can be told apart.
void fill(const Folder& folder, std::uint32_t train, const std::string& ending = "") {
  folder.write("train-images-idx3-ubyte" + ending, idx_images(train, train));
  folder.write("train-labels-idx1-ubyte" + ending, idx_labels(train));
  folder.write("t10k-images-idx3-ubyte" + ending, idx_images(2));
  folder.write("t10k-labels-idx1-ubyte" + ending, idx_labels(2));
}

template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const data::FileError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST_F(Load, TakesTheFirstOfChoiceEnvironmentAndDownload) {
  const Folder choice, environment, download, empty;
  fill(choice, 3);
  fill(environment, 4, ".gz");
  fill(download, 1234);
  setenv("BATCHNORM_MNIST", environment.path().c_str(), 1);

  const data::Dataset first = data::load(choice.path().string(), download.path());
  EXPECT_EQ(first.description, "MNIST, 3 + 2 images");
  EXPECT_EQ(first.origin, choice.path().string());
  EXPECT_EQ(first.train.count(), 3);
  EXPECT_EQ(first.train.images()(0, 0), 3);
  EXPECT_EQ(first.test.count(), 2);
  EXPECT_EQ(data::load({}, download.path()).train.count(), 4);
  setenv("BATCHNORM_MNIST", "", 1);
  EXPECT_EQ(data::load({}, download.path()).description, "MNIST, 1,234 + 2 images");
}

TEST_F(Load, PassesNothingOverThatIsBroken) {
  const Folder good, empty;
  fill(good, 3);
  const std::string absent = (empty.path() / "absent").string();
  EXPECT_NE(error_of([&] {
              data::load(absent, good.path());
            }).find(absent + "/train-images-idx3-ubyte: byte 0: no such file"),
            std::string::npos);
  setenv("BATCHNORM_MNIST", empty.path().c_str(), 1);
  EXPECT_NE(error_of([&] { data::load({}, good.path()); }).find(empty.path().string()), std::string::npos);
  EXPECT_NO_THROW(data::load(good.path().string(), empty.path()));
  unsetenv("BATCHNORM_MNIST");

  const Folder half;
  const auto labels = half.write("train-labels-idx1-ubyte", idx_labels(3));
  EXPECT_NE(error_of([&] { data::load({}, half.path()); }).find("train-images-idx3-ubyte"), std::string::npos);
  fill(half, 3);
  Folder::write_plain(labels, idx_labels(3).substr(0, 9));
  EXPECT_NE(error_of([&] { data::load({}, half.path()); }).find(labels.string() + ": byte 9: "), std::string::npos);
}

TEST_F(Load, DrawsWhenThereIsNothingElse) {
  const data::Dataset few = data::drawn_dataset(50, 20);
  EXPECT_EQ(few.description, "drawn digits, 50 + 20 images");
  EXPECT_EQ(few.train.pixels, data::draw_digits(1, 0, 50).pixels);
  EXPECT_EQ(few.test.pixels, data::draw_digits(1, 50, 20).pixels);

  const Folder empty;
  const data::Dataset all = data::load({}, empty.path() / "absent");
  EXPECT_EQ(all.description, "drawn digits, 60,000 + 10,000 images");
  EXPECT_EQ(all.train.count(), 60000);
  EXPECT_EQ(all.test.count(), 10000);
}

TEST_F(Load, DrawsWhenAsked) {
  setenv("BATCHNORM_MNIST", "/nowhere", 1);
  EXPECT_EQ(data::load("drawn").description, "drawn digits, 60,000 + 10,000 images");
}

}  // namespace dataset_test
