/// \file
/// Layers and plain arrays in safetensors files, the format that PyTorch's and JAX's tools read and write. Links
/// batchnorm::safetensors, which needs nlohmann-json.
///
/// A file is 8 bytes of a length, little-endian; a header of that length in JSON, which says for each tensor its name,
/// element type, extents and place; and the elements, row-major and little-endian, without gaps.
///
/// Source   https://github.com/huggingface/safetensors, "Format"
#pragma once

#include <batchnorm/base/error.hpp>
#include <batchnorm/base/finite.hpp>
#include <batchnorm/base/tensor.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <istream>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// Layers and arrays in safetensors files.
namespace safetensors {

static_assert(std::endian::native == std::endian::little, "batchnorm: safetensors are little-endian");

/// What a file calls the state of a layer, behind the layer's prefix. An empty name: the file has no such tensor.
struct Names {
  /// The scale.
  std::string gamma;
  /// The shift.
  std::string beta;
  /// RunningStatistics::mean.
  std::string running_mean;
  /// RunningStatistics::variance.
  std::string running_variance;
  /// RunningStatistics::batches.
  std::string batches;
};

/// As torch.nn.BatchNorm2d's state_dict; a prefix ends in a point: "layer1.0.bn1.".
inline const Names pytorch_names{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"};
/// As keras.layers.BatchNormalization's variables; a prefix ends in a slash: "batch_normalization/".
inline const Names keras_names{"gamma", "beta", "moving_mean", "moving_variance", ""};

/// What the header of a file says of a tensor.
struct TensorInfo {
  /// "F64", "F32", "F16", "BF16", "I64", or another type, which can be listed and not read.
  std::string type;
  /// Extents, none for a single number.
  std::vector<std::uint64_t> shape;
  /// Where its elements begin, in bytes from the start of the file.
  std::uint64_t begin = 0;
  /// Where they end: the first byte behind them.
  std::uint64_t end = 0;
};

/// How Reader::load reads a layer; new fields come at the end.
struct LoadOptions {
  /// What the file calls the layer's state.
  Names names = pytorch_names;
  /// Whether state that the file lacks keeps its value. Otherwise that is an error, but for the number of batches.
  bool partial = false;
};

}  // namespace safetensors

namespace detail {

using safetensors::TensorInfo;

/// The largest header there may be, as in the format's own library.
inline constexpr std::uint64_t max_header_bytes = 100'000'000;

/// Bytes per element, 0 of types that are not known here.
inline std::uint64_t bytes_of_type(std::string_view type) {
  for (const auto one : {"BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"}) {
    if (type == one) return 1;
  }
  for (const auto two : {"I16", "U16", "F16", "BF16"}) {
    if (type == two) return 2;
  }
  for (const auto four : {"I32", "U32", "F32"}) {
    if (type == four) return 4;
  }
  for (const auto eight : {"I64", "U64", "F64"}) {
    if (type == eight) return 8;
  }
  return 0;
}

/// What the format calls T.
template <class T>
consteval const char* type_name() {
  if constexpr (std::same_as<T, double>) {
    return "F64";
  } else if constexpr (std::same_as<T, float>) {
    return "F32";
  } else if constexpr (std::same_as<T, Eigen::half>) {
    return "F16";
  } else if constexpr (std::same_as<T, Eigen::bfloat16>) {
    return "BF16";
  } else if constexpr (std::same_as<T, std::int64_t>) {
    return "I64";
  } else {
    return nullptr;
  }
}

/// A number as files have them.
template <class T>
concept Stored = type_name<T>()
!= nullptr;

/// Prints as [8, 3]; of no extents as [].
struct FileShapeText {
  const std::vector<std::uint64_t>& shape;

  friend std::ostream& operator<<(std::ostream& out, const FileShapeText& text) {
    out << '[';
    for (std::size_t axis = 0; axis < text.shape.size(); ++axis) out << (axis ? ", " : "") << text.shape[axis];
    return out << ']';
  }
};

/// Takes a header in from the events of a parser: the first thing that no header has ends it, so that a hostile one
/// costs memory in proportion to its bytes, and no stack however deep it is nested.
class HeaderReader {
 public:
  explicit HeaderReader(const std::string& file) : file_(file) {}

  std::map<std::string, TensorInfo> tensors;

  bool start_object(std::size_t) {
    if (at_ == At::start) {
      at_ = At::header;
    } else if (at_ == At::entry) {
      at_ = is_metadata_ ? At::metadata : At::tensor;
      seen_ = {};
      info_ = {};
    } else {
      refuse("an object");
    }
    return true;
  }
  bool key(std::string& key) {
    if (at_ == At::header) {
      name_ = key;
      is_metadata_ = key == "__metadata__";
      const bool is_new = is_metadata_ ? !std::exchange(has_metadata_, true) : !tensors.contains(key);
      if (!is_new) fail("expected each name once, got \"", key, "\" again");
      at_ = At::entry;
    } else if (at_ == At::tensor) {
      const std::size_t field = std::size_t(std::find(fields.begin(), fields.end(), key) - fields.begin());
      if (field == fields.size()) fail_in_tensor("expected the fields dtype, shape and data_offsets, got ", key);
      if (std::exchange(seen_[field], true)) fail_in_tensor("expected each field once, got ", key, " again");
      at_ = std::array{At::type, At::shape, At::offsets}[field];
    }
    return true;
  }
  bool end_object() {
    if (at_ == At::tensor) {
      for (std::size_t field = 0; field < fields.size(); ++field) {
        if (!seen_[field]) fail_in_tensor("expected the fields dtype, shape and data_offsets, got no ", fields[field]);
      }
      if (offsets_ != 2) fail_in_tensor("expected two data_offsets, got ", offsets_);
      tensors.emplace(name_, std::move(info_));
    }
    at_ = at_ == At::header ? At::end : At::header;
    return true;
  }

  bool string(std::string& value) {
    if (at_ == At::type) {
      info_.type = value;
      at_ = At::tensor;
    } else if (at_ != At::metadata) {
      refuse("a string");
    }
    return true;
  }
  bool number_unsigned(std::uint64_t value) {
    if (at_ == At::extents) {
      info_.shape.push_back(value);
    } else if (at_ == At::places) {
      (offsets_++ == 0 ? info_.begin : info_.end) = value;
    } else {
      refuse("a number");
    }
    return true;
  }
  bool start_array(std::size_t) {
    if (at_ == At::shape) {
      at_ = At::extents;
    } else if (at_ == At::offsets) {
      at_ = At::places;
      offsets_ = 0;
    } else {
      refuse("an array");
    }
    return true;
  }
  bool end_array() {
    at_ = At::tensor;
    return true;
  }

  bool null() { return refuse("null"); }
  bool boolean(bool) { return refuse("a boolean"); }
  bool number_integer(std::int64_t value) { return refuse(value); }
  bool number_float(double, const std::string& text) { return refuse(text); }
  bool binary(nlohmann::json::binary_t&) { return refuse("binary data"); }
  bool parse_error(std::size_t position, const std::string& last, const nlohmann::json::exception&) {
    fail("expected a header in JSON, got an error at byte ", 8 + position, ", near ", last.substr(0, 40));
    return false;
  }

 private:
  enum class At { start, header, entry, metadata, tensor, type, shape, extents, offsets, places, end };
  static constexpr std::array<std::string_view, 3> fields{"dtype", "shape", "data_offsets"};

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    fail_as<std::runtime_error>(file_, ": ", parts...);
  }
  template <class... Parts>
  [[noreturn]] void fail_in_tensor(const Parts&... parts) const {
    fail("tensor \"", name_, "\": ", parts...);
  }
  template <class Value>
  [[noreturn]] bool refuse(const Value& value) const {
    if (at_ == At::start) fail("expected an object as header, got ", value);
    fail_in_tensor("expected ", expected(), ", got ", value);
  }
  const char* expected() const {
    switch (at_) {
      case At::entry: return "an object";
      case At::metadata: return "strings";
      case At::type: return "a string as dtype";
      case At::shape: return "an array as shape";
      case At::offsets: return "an array as data_offsets";
      default: return "whole numbers >= 0";
    }
  }

  const std::string& file_;
  At at_ = At::start;
  std::string name_;
  TensorInfo info_;
  std::array<bool, 3> seen_{};
  int offsets_ = 0;
  bool is_metadata_ = false, has_metadata_ = false;
};

/// Calls visit(element) for all elements, the last axis fastest.
template <class T, class Visit>
void for_each_row_major(T& t, const Visit& visit) {
  constexpr std::size_t rank = rank_of<T>();
  const Extents<rank> extents = extents_of(t);
  std::array<Index, rank> strides;
  if constexpr (Dense<T>) {
    strides = {t.rowStride(), t.colStride()};
  } else {
    Index stride = 1;
    for (std::size_t k = 0; k < rank; ++k) {
      const std::size_t axis = is_row_major<T>() ? rank - 1 - k : k;
      strides[axis] = std::exchange(stride, stride * extents[axis]);
    }
  }
  for (const Index extent : extents) {
    if (extent == 0) return;
  }
  std::array<Index, rank> at{};
  auto* element = t.data();
  for (;;) {
    visit(*element);
    std::size_t axis = rank;
    do {
      if (axis-- == 0) return;
      element += strides[axis];
      if (++at[axis] < extents[axis]) break;
      element -= extents[axis] * strides[axis];
      at[axis] = 0;
    } while (true);
  }
}

/// The extents that a T has in a file: of a vector one.
template <class T>
std::vector<std::uint64_t> file_shape_of(const T& t) {
  std::vector<std::uint64_t> shape;
  for (const Index extent : extents_of(t)) shape.push_back(static_cast<std::uint64_t>(extent));
  if constexpr (Dense<T>) {
    if (T::IsVectorAtCompileTime) shape = {static_cast<std::uint64_t>(t.size())};
  }
  return shape;
}

/// A layer with state to save.
template <class Layer>
concept HasState = requires(Layer& layer) {
  layer.for_each_state([](const char*, auto&) {});
};

/// An array, matrix or tensor of such numbers.
template <class T>
concept StoredArray = InMemory<T> && Stored<scalar_t<T>>;

/// One that may be written to.
template <class T>
concept Fillable = StoredArray<T> && !std::is_const_v<element_t<T>>;

/// What a file calls one of the states that for_each_state names.
inline const std::string& file_name_of(std::string_view state, const safetensors::Names& names) {
  if (state == "gamma") return names.gamma;
  if (state == "beta") return names.beta;
  if (state == "running_mean") return names.running_mean;
  if (state == "running_variance") return names.running_variance;
  return names.batches;
}

}  // namespace detail

namespace safetensors {

/// A file that is open for reading. Its header has been checked, whoever made it: all extents and places agree with
/// each other and with the size of the file. Elements are read when they are asked for.
///
/// Threads  one call at a time
class Reader {
 public:
  /// Opens a file and reads its header.
  ///
  /// Throws   std::runtime_error, naming the file and what is wrong with it
  explicit Reader(const std::filesystem::path& path)
      : Reader(std::make_unique<std::ifstream>(path, std::ios::binary), path.string()) {}
  /// Reads from a stream that can seek; `name` is what errors call it.
  Reader(std::unique_ptr<std::istream> in, std::string name) : in_(std::move(in)), file_(std::move(name)) {
    read_header();
  }

  /// All tensors, by name.
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  /// Whether there is a tensor of this name.
  bool contains(const std::string& name) const { return tensors_.contains(name); }

  /// Reads a tensor into a Matrix, Array or Tensor of double, float, half, bfloat16 or std::int64_t. Floating-point
  /// types are converted.
  ///
  /// Shapes   out: the extents in the file, or none: it takes them then. Of a vector, the one extent
  /// Throws   std::runtime_error if there is no such tensor, if its extents or type do not fit, or if a finite element
  ///          is beyond the largest number of out's type; out has not changed then
  template <detail::Fillable T>
  void read(const std::string& name, T&& out) {
    using Scalar = detail::scalar_t<T>;
    const TensorInfo& tensor = find(name);
    const std::vector<Scalar> values = elements<Scalar>(name, tensor);
    if (out.size() == 0) detail::resize_if_empty(out, extents_for<T>(name, tensor));
    if (detail::file_shape_of(out) != tensor.shape) {
      fail_in_tensor(name, "expected the extents ", detail::FileShapeText{detail::file_shape_of(out)},
                     " of what it is read into, got ", detail::FileShapeText{tensor.shape});
    }
    auto value = values.begin();
    detail::for_each_row_major(out, [&](Scalar& element) { element = *value++; });
  }

  /// Reads a single number.
  ///
  /// Throws   as for an array
  template <detail::Stored T>
  T read(const std::string& name) {
    const TensorInfo& tensor = find(name);
    const std::vector<T> values = elements<T>(name, tensor);
    if (values.size() != 1)
      fail_in_tensor(name, "expected one number, got the extents ", detail::FileShapeText{tensor.shape});
    return values[0];
  }

  /// Reads the state of a layer: the tensors whose names are the prefix and one of options.names.
  ///
  /// State    gamma, beta and running(); where the file has no number of batches, that is kept
  /// Throws   std::runtime_error if a tensor is missing, unless options.partial; if one of the layer's prefix is none
  ///          of its state (where the prefix is not empty); if extents or types do not fit; if gamma, beta or the
  ///          running mean is not finite, or the running variance not or negative; the layer has not changed then
  template <detail::HasState Layer>
  void load(const std::string& prefix, Layer& layer, const LoadOptions& options = {}) {
    check_names(prefix, layer, options.names);
    std::map<std::string, std::vector<double>> arrays;
    std::optional<std::int64_t> batches;
    layer.for_each_state([&](const std::string state, auto& value) {
      const std::string& name = detail::file_name_of(state, options.names);
      const bool is_there = !name.empty() && contains(prefix + name);
      if constexpr (std::same_as<decltype(value), std::int64_t&>) {
        if (is_there) batches = read_count(prefix + name);
      } else {
        if (is_there) {
          arrays[state] = read_state(prefix + name, state, value);
        } else if (!options.partial) {
          fail_in_tensor(prefix + name, "expected it for the layer's ", state,
                         ", got none; LoadOptions::partial keeps what the layer has");
        }
      }
    });
    layer.for_each_state([&](const std::string state, auto& value) {
      if constexpr (std::same_as<decltype(value), std::int64_t&>) {
        value = batches.value_or(value);
      } else if (const auto values = arrays.find(state); values != arrays.end()) {
        using Scalar = typename std::remove_reference_t<decltype(value)>::Scalar;
        value = Eigen::Map<const Eigen::ArrayXd>(values->second.data(), value.size()).template cast<Scalar>();
      }
    });
  }

 private:
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    detail::fail_as<std::runtime_error>(file_, ": ", parts...);
  }
  template <class... Parts>
  [[noreturn]] void fail_in_tensor(const std::string& tensor, const Parts&... parts) const {
    fail("tensor \"", tensor, "\": ", parts...);
  }

  void read_header() {
    if (in_ == nullptr) detail::fail("safetensors::Reader: expected a stream, got none");
    in_->seekg(0, std::ios::end);
    const auto position = in_->tellg();
    if (!*in_ || position < 0) fail("expected a file that can be read");
    const auto size = static_cast<std::uint64_t>(position);
    std::uint64_t length = 0;
    if (size < sizeof(length)) fail("expected a length of 8 bytes and a header, got ", size, " bytes in all");
    read_bytes(0, &length, sizeof(length));
    if (length > detail::max_header_bytes) fail("expected a header of at most 100000000 bytes, got one of ", length);
    if (length > size - sizeof(length)) {
      fail("expected a header of ", length, " bytes behind the first 8, got ", size - sizeof(length));
    }
    std::string header(static_cast<std::size_t>(length), ' ');
    read_bytes(sizeof(length), header.data(), length);
    if (header.empty() || header[0] != '{') fail("expected a header that begins with {");
    detail::HeaderReader parsed(file_);
    nlohmann::json::sax_parse(header, &parsed);
    tensors_ = std::move(parsed.tensors);
    check_places(sizeof(length) + length, size);
  }

  /// That tensors have the sizes that their extents say, and follow each other from the end of the header to the end of
  /// the file.
  void check_places(std::uint64_t data, std::uint64_t size) {
    std::vector<std::pair<const std::string, TensorInfo>*> in_order;
    for (auto& entry : tensors_) in_order.push_back(&entry);
    std::sort(in_order.begin(), in_order.end(), [](const auto* a, const auto* b) {
      return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
    });
    std::uint64_t expected = 0;
    for (auto* entry : in_order) {
      auto& [name, tensor] = *entry;
      if (tensor.begin != expected || tensor.end < tensor.begin || tensor.end > size - data) {
        fail_in_tensor(name, "expected data_offsets that begin at ", expected,
                       ", where the tensor before it ends, and end in a file with ", size - data,
                       " bytes of data, got [", tensor.begin, ", ", tensor.end, "]");
      }
      if (const auto bytes = detail::bytes_of_type(tensor.type); bytes > 0) {
        check_size(name, tensor, bytes);
      }
      expected = tensor.end;
      tensor.begin += data;
      tensor.end += data;
    }
    if (expected != size - data) {
      fail("expected ", expected, " bytes of data, as the header says, got ", size - data);
    }
  }

  void check_size(const std::string& name, const TensorInfo& tensor, std::uint64_t bytes) const {
    const bool is_empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0u) != tensor.shape.end();
    for (const std::uint64_t extent : tensor.shape) {
      if (!is_empty && bytes > std::numeric_limits<std::uint64_t>::max() / extent) {
        fail_in_tensor(name, "expected extents whose product is a number of 64 bits, got ",
                       detail::FileShapeText{tensor.shape});
      }
      bytes *= extent;
    }
    if (bytes != tensor.end - tensor.begin) {
      fail_in_tensor(name, "expected ", bytes, " bytes for ", tensor.type, " of the extents ",
                     detail::FileShapeText{tensor.shape}, ", got data_offsets of ", tensor.end - tensor.begin);
    }
  }

  void read_bytes(std::uint64_t from, void* to, std::uint64_t bytes) {
    in_->seekg(static_cast<std::streamoff>(from));
    in_->read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
    if (!*in_) fail("expected ", bytes, " bytes at byte ", from, ", got an error");
  }

  const TensorInfo& find(const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
      fail_in_tensor(name, "expected it among the ", tensors_.size(), " tensors, got none of this name");
    return found->second;
  }

  /// The extents that a T takes from the file.
  template <class T>
  detail::Extents<detail::rank_of<T>()> extents_for(const std::string& name, const TensorInfo& tensor) const {
    using Plain = std::remove_cvref_t<T>;
    constexpr std::size_t rank = detail::rank_of<T>();
    std::vector<std::uint64_t> shape = tensor.shape;
    constexpr bool is_vector = detail::DenseVector<T>;
    if (shape.size() != (is_vector ? 1 : rank)) {
      fail_in_tensor(name, "expected ", is_vector ? 1 : rank, " extents, got ", detail::FileShapeText{tensor.shape});
    }
    if constexpr (is_vector) shape.insert(Plain::ColsAtCompileTime == 1 ? shape.end() : shape.begin(), 1);
    detail::Extents<rank> extents;
    for (std::size_t axis = 0; axis < rank; ++axis) {
      constexpr auto most = std::numeric_limits<typename Plain::Index>::max();
      if (shape[axis] > static_cast<std::uint64_t>(most)) {
        fail_in_tensor(name, "expected extents of at most ", most, ", got ", detail::FileShapeText{tensor.shape});
      }
      extents[axis] = static_cast<Index>(shape[axis]);
    }
    return extents;
  }

  template <class Scalar>
  std::vector<Scalar> elements(const std::string& name, const TensorInfo& tensor) {
    if constexpr (std::same_as<Scalar, std::int64_t>) {
      if (tensor.type == "I64") return stored<std::int64_t>(tensor);
      fail_in_tensor(name, "expected the type I64, got ", tensor.type);
    } else {
      if (tensor.type == detail::type_name<Scalar>()) return stored<Scalar>(tensor);
      if (tensor.type == "F64") return converted<Scalar, double>(name, tensor);
      if (tensor.type == "F32") return converted<Scalar, float>(name, tensor);
      if (tensor.type == "F16") return converted<Scalar, Eigen::half>(name, tensor);
      if (tensor.type == "BF16") return converted<Scalar, Eigen::bfloat16>(name, tensor);
      fail_in_tensor(name, "expected the type F64, F32, F16 or BF16, got ", tensor.type);
    }
  }

  template <class T>
  std::vector<T> stored(const TensorInfo& tensor) {
    std::vector<T> values(static_cast<std::size_t>((tensor.end - tensor.begin) / sizeof(T)));
    if (!values.empty()) read_bytes(tensor.begin, values.data(), tensor.end - tensor.begin);
    return values;
  }

  template <class Scalar, class InFile>
  std::vector<Scalar> converted(const std::string& name, const TensorInfo& tensor) {
    const std::vector<InFile> values = stored<InFile>(tensor);
    std::vector<Scalar> result(values.size());
    for (std::size_t k = 0; k < values.size(); ++k) {
      const double value = static_cast<double>(values[k]);
      result[k] = static_cast<Scalar>(value);
      if (detail::is_finite(value) && !detail::is_finite(static_cast<double>(result[k]))) {
        fail_in_tensor(name, "expected numbers that ", detail::type_name<Scalar>(), " has, got ", value, " at byte ",
                       tensor.begin + k * sizeof(InFile));
      }
    }
    return result;
  }

  /// That all tensors of the prefix are state of the layer, and that there is no other state.
  template <class Layer>
  void check_names(const std::string& prefix, const Layer& layer, const Names& names) const {
    if (prefix.empty()) return;
    std::vector<std::string> known;
    layer.for_each_state([&](const char* state, const auto&) {
      if (const std::string& name = detail::file_name_of(state, names); !name.empty()) known.push_back(name);
    });
    for (auto entry = tensors_.lower_bound(prefix); entry != tensors_.end(); ++entry) {
      if (!entry->first.starts_with(prefix)) return;
      if (std::find(known.begin(), known.end(), entry->first.substr(prefix.size())) == known.end()) {
        std::string list;
        for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
        fail_in_tensor(entry->first, "expected behind \"", prefix, "\" what the layer has, ", list,
                       ", got another name");
      }
    }
  }

  std::int64_t read_count(const std::string& name) {
    const auto count = read<std::int64_t>(name);
    if (count < 0) fail_in_tensor(name, "expected a number of batches, got ", count);
    return count;
  }

  /// One value for each channel, as the state's own type has it.
  template <class State>
  std::vector<double> read_state(const std::string& name, const std::string& state, const State& like) {
    using Scalar = typename State::Scalar;
    const TensorInfo& tensor = find(name);
    if (detail::file_shape_of(like) != tensor.shape) {
      fail_in_tensor(name, "expected the extents ", detail::FileShapeText{detail::file_shape_of(like)},
                     " of the layer's ", state, ", got ", detail::FileShapeText{tensor.shape});
    }
    const std::vector<Scalar> values = elements<Scalar>(name, tensor);
    const std::uint64_t stride = values.empty() ? 0 : (tensor.end - tensor.begin) / values.size();
    for (std::size_t c = 0; c < values.size(); ++c) {
      const double value = static_cast<double>(values[c]);
      const bool is_variance = state == "running_variance";
      if (is_variance ? detail::is_variance(value) : detail::is_finite(value)) continue;
      fail_in_tensor(name, "expected ", is_variance ? "finite variances >= 0" : "finite numbers", ", got ", value,
                     " in channel ", c, ", at byte ", tensor.begin + c * stride);
    }
    return {values.begin(), values.end()};
  }

  std::unique_ptr<std::istream> in_;
  std::string file_;
  std::map<std::string, TensorInfo> tensors_;
};

/// A file to be: keeps copies of what is added until it is written.
class Writer {
 public:
  /// Adds a Matrix, Array or Tensor of double, float, half, bfloat16 or std::int64_t, as it is. A vector has one
  /// extent.
  ///
  /// Throws   std::invalid_argument if there is a tensor of this name already
  template <detail::StoredArray T>
  Writer& add(const std::string& name, const T& values) {
    Entry entry = begin(name, detail::type_name<detail::scalar_t<T>>(), detail::file_shape_of(values));
    detail::for_each_row_major(values, [&](const auto& element) { append(entry, element); });
    entries_.push_back(std::move(entry));
    return *this;
  }
  /// Adds a single number.
  template <detail::Stored T>
  Writer& add(const std::string& name, T value) {
    Entry entry = begin(name, detail::type_name<T>(), {});
    append(entry, value);
    entries_.push_back(std::move(entry));
    return *this;
  }
  /// Adds the state of a layer, each under the prefix and its name; running statistics as the doubles that they are, so
  /// that a layer which reads them has the same bits.
  ///
  /// Throws   as for an array
  template <detail::HasState Layer>
  Writer& add(const std::string& prefix, const Layer& layer, const Names& names = pytorch_names) {
    layer.for_each_state([&](const char* state, const auto& value) {
      const std::string& name = detail::file_name_of(state, names);
      if (!name.empty()) add(prefix + name, value);
    });
    return *this;
  }

  /// Writes the file: beside it first, so that a failure leaves what was there before.
  ///
  /// Throws   std::runtime_error if that cannot be done
  void write(const std::filesystem::path& path) const {
    std::filesystem::path beside = path;
    beside += ".part";
    std::ofstream out(beside, std::ios::binary);
    const bool is_open = out.is_open();
    write(out);
    out.close();
    std::error_code error;
    if (out) std::filesystem::rename(beside, path, error);
    if (out && !error) return;
    std::error_code ignored;  // what could not be written, it may be, cannot be removed
    if (is_open) std::filesystem::remove(beside, ignored);
    detail::fail_as<std::runtime_error>(path.string(), ": expected to write it, got ",
                                        error ? error.message() : "an error");
  }
  /// Writes to a stream; whether that took everything is the stream's to say.
  void write(std::ostream& out) const {
    // Large elements first: so each lies at a multiple of its size.
    std::vector<const Entry*> in_order;
    for (const Entry& entry : entries_) in_order.push_back(&entry);
    std::stable_sort(in_order.begin(), in_order.end(), [](const Entry* a, const Entry* b) {
      return detail::bytes_of_type(a->type) > detail::bytes_of_type(b->type);
    });
    nlohmann::ordered_json header = nlohmann::ordered_json::object();
    std::uint64_t at = 0;
    for (const Entry* entry : in_order) {
      const std::uint64_t end = at + entry->bytes.size();
      header[entry->name] = {{"dtype", entry->type}, {"shape", entry->shape}, {"data_offsets", {at, end}}};
      at = end;
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t length = text.size();
    out.write(reinterpret_cast<const char*>(&length), sizeof(length));
    out << text;
    for (const Entry* entry : in_order)
      out.write(entry->bytes.data(), static_cast<std::streamsize>(entry->bytes.size()));
  }

 private:
  struct Entry {
    std::string name, type;
    std::vector<std::uint64_t> shape;
    std::vector<char> bytes;
  };

  Entry begin(const std::string& name, const char* type, std::vector<std::uint64_t> shape) const {
    const bool is_taken = std::any_of(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
    if (is_taken || name == "__metadata__") {
      detail::fail("safetensors::Writer::add: expected a name that is free, got \"", name, "\"");
    }
    const nlohmann::json text = name;
    const auto with = [&](auto on_error) { return text.dump(-1, ' ', false, on_error); };
    if (with(nlohmann::json::error_handler_t::ignore) != with(nlohmann::json::error_handler_t::replace)) {
      detail::fail("safetensors::Writer::add: expected a name in UTF-8, got \"", name, "\"");
    }
    return {name, type, std::move(shape), {}};
  }

  template <class T>
  static void append(Entry& entry, const T& element) {
    const auto* const bytes = reinterpret_cast<const char*>(&element);
    entry.bytes.insert(entry.bytes.end(), bytes, bytes + sizeof(T));
  }

  std::vector<Entry> entries_;
};

}  // namespace safetensors
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
