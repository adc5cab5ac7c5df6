#include "data/idx.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>

namespace data {
namespace fs = std::filesystem;
namespace {

constexpr std::uint32_t most_items = 1 << 20;  // seventeen times MNIST

// A file read from its beginning to its end. zlib reads packed and plain files alike.
class File {
 public:
  explicit File(const fs::path& path) : path_(path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) fail("no such file");
    if (!fs::is_regular_file(status)) fail("expected a file, found a folder or a device");
    errno = 0;
    file_.reset(gzopen(path.string().c_str(), "rb"));
    if (!file_) fail(std::string("cannot be opened: ") + std::strerror(errno));
  }

  // How much was read, in unpacked bytes.
  std::uint64_t offset() const { return offset_; }

  // Fills as much of `bytes` as the file has left.
  std::size_t read_some(std::span<std::uint8_t> bytes) {
    const int got = gzread(file_.get(), bytes.data(), static_cast<unsigned>(bytes.size()));
    if (got > 0) offset_ += static_cast<std::uint64_t>(got);
    int code = Z_OK;
    const char* message = gzerror(file_.get(), &code);
    if (code == Z_ERRNO) fail(std::string("cannot be read: ") + std::strerror(errno));
    if (code == Z_BUF_ERROR) fail("the packed file ends too early");
    if (got < 0 || code != Z_OK) fail(std::string("the packed file is corrupt: ") + message);
    return static_cast<std::size_t>(got);
  }

  // A big-endian number of the header.
  std::uint32_t read_number() {
    std::array<std::uint8_t, 4> b;
    if (read_some(b) < b.size()) fail("the file ends in its header");
    return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
  }

  [[noreturn]] void fail(const std::string& what) const { fail_at(offset_, what); }
  [[noreturn]] void fail_at(std::uint64_t offset, const std::string& what) const {
    throw FileError(path_, offset, what);
  }

 private:
  struct Close {
    void operator()(gzFile file) const { gzclose(file); }
  };

  fs::path path_;
  std::unique_ptr<gzFile_s, Close> file_;
  std::uint64_t offset_ = 0;
};

// The header of an IDX file: two zeros, the type of a value, the number of extents, the extents.
std::uint32_t read_header(File& file, const char* items, std::span<const std::uint32_t> item_extents) {
  const auto hexadecimal = [](std::uint32_t byte) {
    constexpr const char* digits = "0123456789abcdef";
    return std::string("0x") + digits[byte >> 4 & 15] + digits[byte & 15];
  };
  const std::uint32_t magic = file.read_number();
  if (magic >> 16 != 0) {
    file.fail_at(0, "not an IDX file: expected the bytes 0x00 0x00, found " + hexadecimal(magic >> 24) + ' ' +
                        hexadecimal(magic >> 16 & 0xff));
  }
  if ((magic >> 8 & 0xff) != 0x08) {
    file.fail_at(2, "expected values of type 0x08 (bytes), found type " + hexadecimal(magic >> 8 & 0xff));
  }
  if ((magic & 0xff) != 1 + item_extents.size()) {
    file.fail_at(3, "expected " + std::to_string(1 + item_extents.size()) + " extents (" + items + "), found " +
                        std::to_string(magic & 0xff));
  }
  const std::uint32_t count = file.read_number();
  if (count < 1 || count > most_items) {
    file.fail_at(4,
                 "expected from 1 to " + std::to_string(most_items) + ' ' + items + ", found " + std::to_string(count));
  }
  for (std::uint64_t offset = 8; const std::uint32_t expected : item_extents) {
    const std::uint32_t found = file.read_number();
    if (found != expected) {
      file.fail_at(offset, "expected an extent of " + std::to_string(expected) + ", found " + std::to_string(found));
    }
    offset += 4;
  }
  return count;
}

// The rest of the file, which must be `size` bytes. Storage grows with what the file gives, not with what it promises.
std::vector<std::uint8_t> read_body(File& file, const char* items, std::size_t size) {
  const std::uint64_t end = file.offset() + size;
  std::vector<std::uint8_t> values;
  // One byte more is asked for: it must not come, and only then does zlib check the sum at the end of a packed file.
  for (std::size_t filled = 0; filled == values.size() && filled <= size;) {
    values.resize(std::min(size + 1, std::max<std::size_t>(2 * filled, 1 << 16)));
    filled += file.read_some(std::span(values).subspan(filled));
  }
  if (file.offset() < end) {
    file.fail("the file ends in the " + std::string(items) + ": expected " + std::to_string(end) + " bytes in all");
  }
  if (file.offset() > end) file.fail_at(end, "expected the end of the file, found more bytes");
  values.resize(size);
  return values;
}

}  // namespace

FileError::FileError(const fs::path& path, std::uint64_t offset, const std::string& what)
    : std::runtime_error(path.string() + ": byte " + std::to_string(offset) + ": " + what),
      path_(path),
      offset_(offset) {}

std::vector<std::uint8_t> read_images(const fs::path& path) {
  File file(path);
  const std::uint32_t count = read_header(file, "images", std::array<std::uint32_t, 2>{image_rows, image_columns});
  return read_body(file, "images", count * std::size_t{image_pixels});
}

std::vector<std::uint8_t> read_labels(const fs::path& path) {
  File file(path);
  const std::uint32_t count = read_header(file, "labels", {});
  const std::uint64_t start = file.offset();
  std::vector<std::uint8_t> labels = read_body(file, "labels", count);
  const auto bad = std::find_if(labels.begin(), labels.end(), [](std::uint8_t label) { return label > 9; });
  if (bad != labels.end()) {
    file.fail_at(start + static_cast<std::uint64_t>(bad - labels.begin()),
                 "expected a label from 0 to 9, found " + std::to_string(*bad));
  }
  return labels;
}

Digits read_digits(const fs::path& images, const fs::path& labels) {
  Digits digits{read_images(images), read_labels(labels)};
  const std::size_t count = digits.pixels.size() / image_pixels;
  if (digits.labels.size() != count) {
    throw FileError(labels, 4,
                    "expected " + std::to_string(count) + " labels, one for each image of " + images.string() +
                        ", found " + std::to_string(digits.labels.size()));
  }
  return digits;
}

}  // namespace data
