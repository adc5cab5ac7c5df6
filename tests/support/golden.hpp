/// \file
/// Files of recorded values, tests/golden/*.txt: golden/make_golden.py says how they are written, golden/README.md
/// which of them it wrote.
#pragma once

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "values.hpp"

namespace testing_support {

/// tests/golden, with a slash.
std::string golden_folder();

/// One file: options by name, and tensors in row-major order.
struct Golden {
  struct Tensor {
    std::vector<Index> extents;
    std::vector<double> values;
  };
  std::map<std::string, std::string> options;
  std::map<std::string, Tensor> tensors;

  explicit Golden(const std::string& name);

  double number(const std::string& option) const { return std::stod(options.at(option)); }
  bool flag(const std::string& option) const { return options.at(option) == "1"; }

  template <class Scalar>
  Eigen::Array<Scalar, Eigen::Dynamic, 1> per_channel(const std::string& name) const {
    const auto& values = tensors.at(name).values;
    return Eigen::Map<const Eigen::ArrayXd>(values.data(), Index(values.size())).cast<Scalar>();
  }

  template <class T>
  T tensor(const std::string& name) const {
    const Tensor& stored = tensors.at(name);
    Extents<std::size_t(T::NumDimensions)> extents;
    if (stored.extents.size() != extents.size()) throw std::runtime_error(name + " has another rank");
    std::copy(stored.extents.begin(), stored.extents.end(), extents.begin());
    T result(extents);
    std::copy(stored.values.begin(), stored.values.end(), result.data());
    return result;
  }
};

}  // namespace testing_support
