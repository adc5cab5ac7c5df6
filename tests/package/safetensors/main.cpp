#include <batchnorm/adapters/safetensors.hpp>

int main() {
  batchnorm::safetensors::Writer().add("x", Eigen::ArrayXf(3)).write("x.safetensors");
  return batchnorm::safetensors::Reader("x.safetensors").contains("x") ? 0 : 1;
}
