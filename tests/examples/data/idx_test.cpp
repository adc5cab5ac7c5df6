#include "data/idx.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "examples/data/idx_files.hpp"
#include "support/files.hpp"

namespace idx_test {

using testing_support::Folder;
using testing_support::idx_header;
using testing_support::idx_images;
using testing_support::idx_labels;

using Read = std::vector<std::uint8_t> (*)(const std::filesystem::path&);

// Reading must throw a FileError that names the file, the byte and what is the matter.
void expect_error(Read read, const std::filesystem::path& path, std::uint64_t offset, const std::string& what) {
  try {
    read(path);
    ADD_FAILURE() << "expected a FileError: " << what;
  } catch (const data::FileError& error) {
    EXPECT_EQ(error.path(), path);
    EXPECT_EQ(error.offset(), offset) << error.what();
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with(path.string() + ": byte " + std::to_string(offset) + ": ")) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
  }
}

// The same contents, plain and packed, give the same error: offsets count unpacked bytes.
void expect_error_in(Read read, const std::string& contents, std::uint64_t offset, const std::string& what) {
  const Folder folder;
  expect_error(read, folder.write("plain", contents), offset, what);
  expect_error(read, folder.write("packed.gz", contents), offset, what);
}

TEST(Idx, ReadsPlainAndPackedFiles) {
  const Folder folder;
  const std::string images = idx_images(300), labels = idx_labels(300);  // more than one piece
  const data::Digits plain = data::read_digits(folder.write("i", images), folder.write("l", labels));
  EXPECT_EQ(plain.count(), 300);
  EXPECT_EQ(std::string(plain.pixels.begin(), plain.pixels.end()), images.substr(16));
  EXPECT_EQ(std::string(plain.labels.begin(), plain.labels.end()), labels.substr(8));
  EXPECT_EQ(plain.images()(1, 2), (784 + 2) % 256);

  const data::Digits packed = data::read_digits(folder.write("i.gz", images), folder.write("l.gz", labels));
  EXPECT_EQ(packed.pixels, plain.pixels);
  EXPECT_EQ(packed.labels, plain.labels);
}

TEST(Idx, RefusesWhatIsNotThere) {
  const Folder folder;
  expect_error(data::read_images, folder.path() / "absent", 0, "no such file");
  expect_error(data::read_images, folder.path(), 0, "expected a file, found a folder");
}

TEST(Idx, RefusesAWrongHeader) {
  expect_error_in(data::read_images, "", 0, "the file ends in its header");
  expect_error_in(data::read_images, "<html>not found</html>", 0, "expected the bytes 0x00 0x00, found 0x3c 0x68");
  expect_error_in(data::read_images, idx_header({1, 28, 28}, 0x0d), 2,
                  "expected values of type 0x08 (bytes), found type 0x0d");
  expect_error_in(data::read_images, idx_labels(5), 3, "expected 3 extents (images), found 1");
  expect_error_in(data::read_labels, idx_images(1), 3, "expected 1 extents (labels), found 3");
  expect_error_in(data::read_images, idx_header({0, 28, 28}), 4, "expected from 1 to 1048576 images, found 0");
  expect_error_in(data::read_images, idx_header({1, 32, 28}), 8, "expected an extent of 28, found 32");
  expect_error_in(data::read_images, idx_header({1, 28, 27}), 12, "expected an extent of 28, found 27");
  const std::string header = idx_header({1, 28, 28});
  for (std::size_t length = 0; length < header.size(); ++length) {
    expect_error_in(data::read_images, header.substr(0, length), length, "the file ends in its header");
  }
}

TEST(Idx, RefusesAWrongLength) {
  const std::string images = idx_images(100), labels = idx_labels(7);
  expect_error_in(data::read_images, images.substr(0, images.size() - 1), images.size() - 1, "ends in the images");
  expect_error_in(data::read_images, images.substr(0, 16), 16, "ends in the images");
  expect_error_in(data::read_images, images + '\0', images.size(), "expected the end of the file");
  expect_error_in(data::read_labels, labels.substr(0, 9), 9, "ends in the labels: expected 15 bytes in all");
  expect_error_in(data::read_labels, labels + labels, labels.size(), "expected the end of the file");
}

TEST(Idx, RefusesLabelsAboveNine) {
  std::string labels = idx_labels(20);
  labels[8 + 13] = 10;
  expect_error_in(data::read_labels, labels, 8 + 13, "expected a label from 0 to 9, found 10");
}

TEST(Idx, RefusesDifferentCounts) {
  const Folder folder;
  const auto images = folder.write("images", idx_images(3)), labels = folder.write("labels", idx_labels(2));
  try {
    data::read_digits(images, labels);
    ADD_FAILURE() << "expected a FileError";
  } catch (const data::FileError& error) {
    EXPECT_EQ(error.path(), labels);
    EXPECT_EQ(error.offset(), 4U);
    EXPECT_NE(
        std::string(error.what()).find("expected 3 labels, one for each image of " + images.string() + ", found 2"),
        std::string::npos)
        << error.what();
  }
}

TEST(Idx, RefusesDamagedPackedFiles) {
  const Folder folder;
  const std::string contents = idx_images(200);
  const auto path = folder.write("images.gz", contents);
  const std::string packed = testing_support::contents_of(path);

  std::string damaged = packed;
  damaged[packed.size() - 8] = static_cast<char>(damaged[packed.size() - 8] ^ 1);  // the check sum
  Folder::write_plain(path, damaged);
  EXPECT_THROW(data::read_images(path), data::FileError);

  Folder::write_plain(path, packed.substr(0, packed.size() - 4));  // the length after it
  EXPECT_THROW(data::read_images(path), data::FileError);

  for (std::size_t length = 0; length < packed.size(); length += 97) {
    Folder::write_plain(path, packed.substr(0, length));
    EXPECT_THROW(data::read_images(path), data::FileError) << length;
  }
  for (std::size_t i = 10; i < packed.size(); i += 41) {  // after gzip's header, of which not every bit matters
    damaged = packed;
    damaged[i] = static_cast<char>(~damaged[i]);
    Folder::write_plain(path, damaged);
    EXPECT_THROW(data::read_images(path), data::FileError) << i;
  }
}

TEST(Idx, TakesNoMemoryForPromises) {
  expect_error_in(data::read_images, idx_header({0xffffffff, 28, 28}), 4, "found 4294967295");
  expect_error_in(data::read_images, idx_header({0xffffffff, 0xffffffff, 0xffffffff}), 4, "found 4294967295");
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  expect_error_in(data::read_images, idx_header({1 << 20, 28, 28}) + std::string(1000, 'x'), 1016,
                  "ends in the images");
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 16 << 10) << "KiB more, of the 802,816 that the header promises";
}

}  // namespace idx_test
