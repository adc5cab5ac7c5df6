#include "data/dataset.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

#include "data/drawn_digits.hpp"
#include "data/idx.hpp"

namespace data {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t drawn_seed = 1;

constexpr std::array mnist_files = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                    "t10k-labels-idx1-ubyte"};

// The file of this name in the folder, unpacked or packed.
std::optional<fs::path> find(const fs::path& folder, const std::string& name) {
  std::error_code ignored;
  for (const char* ending : {"", ".gz"}) {
    if (const fs::path path = folder / (name + ending); fs::exists(path, ignored)) return path;
  }
  return std::nullopt;
}

// 60000 -> "60,000"
std::string with_commas(Eigen::Index number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

Dataset describe(const std::string& name, std::string origin, Digits train, Digits test) {
  std::string line = name + ", " + with_commas(train.count()) + " + " + with_commas(test.count()) + " images";
  return {std::move(train), std::move(test), std::move(line), std::move(origin)};
}

}  // namespace

fs::path download_folder() { return EXAMPLE_DATA_DOWNLOAD_FOLDER; }

Dataset read_mnist(const fs::path& folder) {
  std::array<fs::path, 4> paths;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const auto path = find(folder, mnist_files[i]);
    if (!path) throw FileError(folder / mnist_files[i], 0, "no such file, nor one with .gz; MNIST is four files");
    paths[i] = *path;
  }
  Digits train = read_digits(paths[0], paths[1]);
  return describe("MNIST", folder.string(), std::move(train), read_digits(paths[2], paths[3]));
}

Dataset drawn_dataset(Eigen::Index train, Eigen::Index test) {
  return describe("drawn digits", "the program itself, seed " + std::to_string(drawn_seed),
                  draw_digits(drawn_seed, 0, train), draw_digits(drawn_seed, train, test));
}

Dataset load(const std::string& choice, const fs::path& download) {
  if (choice == "drawn") return drawn_dataset();
  if (!choice.empty()) return read_mnist(choice);
  if (const char* folder = std::getenv("BATCHNORM_MNIST"); folder && *folder) return read_mnist(folder);
  const auto there = [&](const char* name) { return find(download, name).has_value(); };
  if (std::any_of(mnist_files.begin(), mnist_files.end(), there)) return read_mnist(download);
  return drawn_dataset();
}

}  // namespace data
