#include "golden.hpp"

#include <fstream>
#include <sstream>

namespace testing_support {

std::string golden_folder() { return BATCHNORM_GOLDEN_DIR "/"; }

Golden::Golden(const std::string& name) {
  std::ifstream file(golden_folder() + name + ".txt");
  if (!file) throw std::runtime_error("cannot read " + name + ".txt in " + golden_folder());
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string kind, key;
    words >> kind >> key;
    if (kind == "option") {
      words >> options[key];
    } else if (kind == "tensor") {
      Tensor tensor;
      Index extent, size = 1;
      while (words >> extent) {
        tensor.extents.push_back(extent);
        size *= extent;
      }
      tensor.values.resize(std::size_t(size));
      for (double& value : tensor.values) file >> value;
      file.ignore();
      if (!file) throw std::runtime_error(name + ".txt: tensor " + key + " is cut short");
      tensors[key] = std::move(tensor);
    }
  }
}

}  // namespace testing_support
