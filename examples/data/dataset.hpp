#pragma once

#include <filesystem>
#include <string>

#include "data/digits.hpp"

namespace data {

/// Digits to train with and others to test with.
struct Dataset {
  Digits train, test;
  std::string description;  ///< for the terminal and the figures: what this is and how much of it
  std::string origin;       ///< for the terminal: where it is from
};

/// The folder that the target `download_mnist` fills.
std::filesystem::path download_folder();

/// Reads MNIST's four files from a folder: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
/// `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, each with or without `.gz`.
///
/// Throws FileError if one of them is missing or broken.
Dataset read_mnist(const std::filesystem::path& folder);

/// The embedded default, drawn by the program: 60,000 and 10,000 digits, unless other counts are asked for.
Dataset drawn_dataset(Eigen::Index train = 60000, Eigen::Index test = 10000);

/// Finds the digits: in the folder `choice` if there is one (the word "drawn" asks for the embedded ones), else in the
/// folder that the environment variable BATCHNORM_MNIST names, else in the `download` folder if it has any of the four
/// files, else the embedded ones.
///
/// Throws FileError if the first of these that applies has a missing or broken file: nothing is passed over silently.
Dataset load(const std::string& choice = {}, const std::filesystem::path& download = download_folder());

}  // namespace data
