/// \file
/// Files for the tests: a folder that cleans up after itself, and IDX contents.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace testing_support {

/// A new, empty folder, removed with all its contents at the end.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "batchnorm-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make the folder " + name);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// Writes a file, packed if its name ends in .gz.
  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    if (path.extension() == ".gz") {
      const gzFile file = gzopen(path.string().c_str(), "wb");
      EXPECT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
      EXPECT_EQ(gzclose(file), Z_OK);
    } else {
      write_plain(path, bytes);
    }
    return path;
  }

  /// Writes the bytes as they are, whatever the name.
  static void write_plain(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

 private:
  std::filesystem::path path_;
};

/// A header of the IDX format: values of type `type`, big-endian extents.
inline std::string idx_header(const std::vector<std::uint32_t>& extents, int type = 0x08) {
  std::string header = {0, 0, static_cast<char>(type), static_cast<char>(extents.size())};
  for (const std::uint32_t extent : extents) {
    for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(extent >> shift & 0xff);
  }
  return header;
}

/// A file of images whose pixels count up from `start`.
inline std::string idx_images(std::uint32_t count, unsigned start = 0) {
  std::string file = idx_header({count, 28, 28});
  for (unsigned i = 0; i < count * 784; ++i) file += static_cast<char>(start + i);
  return file;
}

/// A file of labels 0, 1, ..., 9, 0, ...
inline std::string idx_labels(std::uint32_t count) {
  std::string file = idx_header({count});
  for (std::uint32_t i = 0; i < count; ++i) file += static_cast<char>(i % 10);
  return file;
}

/// MNIST's four files, of so many images. Their pixels count up from how many there are: folders can be told apart.
inline void write_mnist(const Folder& folder, std::uint32_t train, std::uint32_t test, const std::string& ending = "") {
  folder.write("train-images-idx3-ubyte" + ending, idx_images(train, train));
  folder.write("train-labels-idx1-ubyte" + ending, idx_labels(train));
  folder.write("t10k-images-idx3-ubyte" + ending, idx_images(test, test));
  folder.write("t10k-labels-idx1-ubyte" + ending, idx_labels(test));
}

}  // namespace testing_support
