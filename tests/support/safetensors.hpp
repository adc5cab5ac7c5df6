/// \file
/// Files made by hand.
#pragma once

#include <batchnorm/adapters/safetensors.hpp>

#include <memory>
#include <sstream>
#include <string>

namespace testing_support {

/// A file's bytes: the header as given, and so many bytes of data, 0, 1, 2, ...
inline std::string file_of(const std::string& header, std::size_t data = 0) {
  std::string bytes;
  for (int k = 0; k < 8; ++k) bytes += static_cast<char>(header.size() >> (8 * k) & 0xff);
  bytes += header;
  for (std::size_t k = 0; k < data; ++k) bytes += static_cast<char>(k);
  return bytes;
}

inline batchnorm::safetensors::Reader reader_of(const std::string& bytes) {
  return batchnorm::safetensors::Reader(std::make_unique<std::istringstream>(bytes), "a file");
}

}  // namespace testing_support
