#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/digits.hpp"

namespace data {

/// A file that is missing or broken: the message names the file, the byte, what was expected and what was found.
class FileError : public std::runtime_error {
 public:
  FileError(const std::filesystem::path& path, std::uint64_t offset, const std::string& what);

  /// The file.
  const std::filesystem::path& path() const noexcept { return path_; }

  /// The byte at which it broke, counted in the unpacked contents.
  std::uint64_t offset() const noexcept { return offset_; }

 private:
  std::filesystem::path path_;
  std::uint64_t offset_;
};

/// The bytes of a file in the IDX format, plain or packed by gzip, that must hold images of 28 x 28: one image after
/// the other. Files are not trusted: no more memory is taken than three times what a file really holds, at most 2^20
/// images.
///
/// Throws FileError if the file cannot be read, if magic number, extents or length are wrong, or if gzip's check fails.
std::vector<std::uint8_t> read_images(const std::filesystem::path& path);

/// The bytes of a file in the IDX format, plain or packed by gzip, that must hold labels from 0 to 9.
///
/// Throws FileError as read_images does, and for a label above 9.
std::vector<std::uint8_t> read_labels(const std::filesystem::path& path);

/// Images and their labels. Throws FileError as read_images and read_labels do, and if the counts differ.
Digits read_digits(const std::filesystem::path& images, const std::filesystem::path& labels);

}  // namespace data
