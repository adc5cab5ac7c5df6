#include "data/dataset.hpp"

#include <gtest/gtest.h>

#include <string>

#include "data/drawn_digits.hpp"
#include "data/idx.hpp"
#include "examples/data/idx_files.hpp"
#include "support/environment.hpp"
#include "support/throws.hpp"

namespace dataset_test {

using testing_support::Folder;
using testing_support::idx_labels;
using testing_support::message_of;
using testing_support::write_mnist;

// A test that sets BATCHNORM_MNIST as it likes.
struct Load : testing::Test {
  const testing_support::Environment mnist{"BATCHNORM_MNIST"};
};

TEST_F(Load, TakesTheFirstOfChoiceEnvironmentAndDownload) {
  const Folder choice, environment, download, empty;
  write_mnist(choice, 3, 2);
  write_mnist(environment, 4, 2, ".gz");
  write_mnist(download, 1234, 2);
  mnist.set(environment.path().c_str());

  const data::Dataset first = data::load(choice.path().string(), download.path());
  EXPECT_EQ(first.description, "MNIST, 3 + 2 images");
  EXPECT_EQ(first.origin, choice.path().string());
  EXPECT_EQ(first.train.count(), 3);
  EXPECT_EQ(first.train.images()(0, 0), 3);
  EXPECT_EQ(first.test.count(), 2);
  EXPECT_EQ(data::load({}, download.path()).train.count(), 4);
  mnist.set("");
  EXPECT_EQ(data::load({}, download.path()).description, "MNIST, 1,234 + 2 images");
}

TEST_F(Load, PassesNothingOverThatIsBroken) {
  const Folder good, empty;
  write_mnist(good, 3, 2);
  const std::string absent = (empty.path() / "absent").string();
  EXPECT_NE(message_of<data::FileError>([&] {
              data::load(absent, good.path());
            }).find(absent + "/train-images-idx3-ubyte: byte 0: no such file"),
            std::string::npos);
  mnist.set(empty.path().c_str());
  EXPECT_NE(message_of<data::FileError>([&] { data::load({}, good.path()); }).find(empty.path().string()),
            std::string::npos);
  EXPECT_NO_THROW(data::load(good.path().string(), empty.path()));
  mnist.set({});

  const Folder half;
  const auto labels = half.write("train-labels-idx1-ubyte", idx_labels(3));
  EXPECT_NE(message_of<data::FileError>([&] { data::load({}, half.path()); }).find("train-images-idx3-ubyte"),
            std::string::npos);
  write_mnist(half, 3, 2);
  Folder::write_plain(labels, idx_labels(3).substr(0, 9));
  EXPECT_NE(message_of<data::FileError>([&] { data::load({}, half.path()); }).find(labels.string() + ": byte 9: "),
            std::string::npos);
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
  mnist.set("/nowhere");
  EXPECT_EQ(data::load("drawn").description, "drawn digits, 60,000 + 10,000 images");
}

}  // namespace dataset_test
