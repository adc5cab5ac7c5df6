// Any bytes are either read or refused by a std::runtime_error; what was read is the same when it was written and is
// read again.
#include <batchnorm/adapters/safetensors.hpp>
#include <batchnorm/batchnorm.hpp>

#include <cstdlib>
#include <sstream>

namespace bn = batchnorm;
using bn::safetensors::Reader;
using bn::safetensors::Writer;

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

/// Whether call() did what it was asked for.
template <class Call>
bool succeeds(const Call& call) {
  try {
    call();
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

template <class Array>
void read_again(Reader& reader, const std::string& name) {
  Array values, again;
  if (!succeeds([&] { reader.read(name, values); })) return;
  auto file = std::make_unique<std::stringstream>();
  Writer().add("x", values).write(*file);
  Reader(std::move(file), "again").read("x", again);
  const std::size_t bytes = std::size_t(values.size()) * sizeof(typename Array::Scalar);
  expect(values.rows() == again.rows() && values.cols() == again.cols());
  expect(bytes == 0 || std::memcmp(values.data(), again.data(), bytes) == 0);
}

template <class Layer>
void load(Reader& reader, const std::string& prefix, bool partial) {
  Layer layer({.channels = 2});
  const bool is_loaded = succeeds([&] { reader.load(prefix, layer, {.partial = partial}); });
  layer.running().check_usable("load");
  expect(is_loaded || (layer.running().batches == 0 && (layer.affine().gamma == 1).all()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::optional<Reader> reader;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  if (!succeeds([&] { reader.emplace(std::make_unique<std::istringstream>(bytes), "bytes"); })) return 0;
  for (const auto& [name, tensor] : reader->tensors()) {
    read_again<Eigen::MatrixXf>(*reader, name);
    read_again<Eigen::ArrayXd>(*reader, name);
    read_again<Eigen::Array<Eigen::half, 1, Eigen::Dynamic>>(*reader, name);
    read_again<Eigen::Array<std::int64_t, Eigen::Dynamic, 1>>(*reader, name);
    succeeds([&, &name = name] { reader->read<float>(name); });
  }
  for (const char* prefix : {"", "n."}) {
    load<bn::BatchNorm<float>>(*reader, prefix, false);
    load<bn::BatchNorm<double>>(*reader, prefix, true);
  }
  return 0;
}
