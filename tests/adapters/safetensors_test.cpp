#include <gtest/gtest.h>
#include <batchnorm/adapters/safetensors.hpp>
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>
#include <batchnorm/layers/batch_renorm.hpp>
#include <batchnorm/layers/ghost_batch_norm.hpp>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

#include "support/kernels.hpp"
#include "support/safetensors.hpp"
#include "support/throws.hpp"

namespace safetensors_test {

namespace bn = batchnorm;
using bn::safetensors::Reader;
using bn::safetensors::Writer;
using testing_support::file_of;
using testing_support::has_parts;
using testing_support::message_of;
using testing_support::reader_of;

std::string written(const Writer& writer) {
  std::ostringstream out;
  writer.write(out);
  return out.str();
}

/// A reader from the format's description alone: the header as JSON, and the data.
struct PlainReader {
  nlohmann::json header;
  std::string data;

  explicit PlainReader(const std::string& bytes) {
    std::size_t length = 0;
    for (std::size_t k = 0; k < 8; ++k) length |= std::size_t(static_cast<unsigned char>(bytes[k])) << (8 * k);
    header = nlohmann::json::parse(bytes.substr(8, length));
    data = bytes.substr(8 + length);
  }
  template <class T>
  std::vector<T> values(const std::string& name) const {
    const std::size_t begin = header[name]["data_offsets"][0], end = header[name]["data_offsets"][1];
    std::vector<T> result((end - begin) / sizeof(T));
    std::memcpy(result.data(), data.data() + begin, end - begin);
    return result;
  }
};

bn::BatchNorm<float> trained_layer() {
  bn::BatchNorm<float> layer({.channels = 3});
  layer.affine().gamma << 1.5F, -2, 0.1F;
  layer.affine().beta << 0, 3, -1;
  Eigen::MatrixXf y;
  for (int step = 0; step < 3; ++step) layer.forward(Eigen::MatrixXf::Random(8, 3).eval(), y);
  return layer;
}

template <class Layer>
void expect_same_state(const Layer& a, const Layer& b) {
  EXPECT_TRUE((a.affine().gamma == b.affine().gamma).all());
  EXPECT_TRUE((a.affine().beta == b.affine().beta).all());
  EXPECT_TRUE((a.running().mean == b.running().mean).all());
  EXPECT_TRUE((a.running().variance == b.running().variance).all());
  EXPECT_EQ(a.running().batches, b.running().batches);
}

TEST(Safetensors, ALayerComesBackBitForBit) {
  const bn::BatchNorm<float> layer = trained_layer();
  Reader reader = reader_of(written(Writer().add("norm.", layer)));
  bn::BatchNorm<float> other({.channels = 3});
  reader.load("norm.", other);
  expect_same_state(layer, other);
}

TEST(Safetensors, LayersOfOtherKindsGoOnWhereTheyWere) {
  const auto read_again = [](const auto& fresh) {
    auto layer = fresh, other = fresh;
    layer.affine().gamma << 1.5F, -2, 0.1F;
    layer.affine().beta << 0, 3, -1;
    const Eigen::MatrixXf x = Eigen::MatrixXf::Random(8, 3);
    Eigen::MatrixXf y, other_y;
    for (int step = 0; step < 4; ++step) layer.forward(Eigen::MatrixXf::Random(8, 3).eval(), y);
    reader_of(written(Writer().add("norm.", layer))).load("norm.", other);
    expect_same_state(layer, other);
    const auto read = other;
    layer.forward(x, y);
    other.forward(x, other_y);
    EXPECT_EQ(y, other_y);
    return read;
  };
  const auto renorm = read_again(
      bn::BatchRenorm<float>({.channels = 3}, {.plain_steps = 2, .r_max = 3, .r_steps = 4, .d_max = 1, .d_steps = 4}));
  EXPECT_EQ(renorm.limits().r_max, 2);
  EXPECT_EQ(renorm.limits().d_max, 0.5);
  const auto ghosts = read_again(bn::GhostBatchNorm<float>({.channels = 3}, {.samples = 3}));
  EXPECT_EQ(ghosts.running().batches, 4 * 3);
}

TEST(Safetensors, ANetworkGoesThroughOneFile) {
  const bn::BatchNorm<float> first = trained_layer();
  bn::BatchNorm<double, bn::channel_first> second({.channels = 2, .scale = false});
  second.affine().beta << 0.1, 0.2;
  const Eigen::MatrixXf weights = Eigen::MatrixXf::Random(4, 3);
  Eigen::Tensor<double, 3> kernel(2, 3, 4);
  kernel.setRandom();
  const auto path = std::filesystem::path(testing::TempDir()) / "network.safetensors";
  Writer()
      .add("fc.weight", weights)
      .add("fc.norm.", first)
      .add("conv", kernel)
      .add("conv.norm.", second)
      .add("step", std::int64_t{12})
      .write(path);

  Reader reader(path);
  EXPECT_EQ(reader.tensors().size(), 3u + 5u + 4u);
  bn::BatchNorm<float> first_read({.channels = 3});
  bn::BatchNorm<double, bn::channel_first> second_read({.channels = 2, .scale = false});
  Eigen::MatrixXf weights_read;
  Eigen::Tensor<double, 3> kernel_read;
  reader.load("fc.norm.", first_read);
  reader.load("conv.norm.", second_read);
  reader.read("fc.weight", weights_read);
  reader.read("conv", kernel_read);
  expect_same_state(first, first_read);
  expect_same_state(second, second_read);
  EXPECT_EQ(weights, weights_read);
  for (int k = 0; k < kernel.size(); ++k) EXPECT_EQ(kernel.data()[k], kernel_read.data()[k]);
  EXPECT_EQ(reader.read<std::int64_t>("step"), 12);
  std::filesystem::remove(path);
}

TEST(Safetensors, AreWhatTheFormatSays) {
  const Eigen::Matrix<float, 2, 3> matrix{{1, 2, 3}, {4, 5, 6}};
  const Eigen::Matrix<float, 2, 3, Eigen::RowMajor> row_major = matrix;
  Eigen::Tensor<float, 2> tensor(2, 3);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j) tensor(i, j) = matrix(i, j);
  const Eigen::Array3d vector(7, 8, 9);
  const std::string bytes = written(Writer()
                                        .add("half", Eigen::half(0.5F))
                                        .add("m", matrix)
                                        .add("r", row_major)
                                        .add("block", matrix.rightCols(2))
                                        .add("t", tensor)
                                        .add("v", vector)
                                        .add("count", std::int64_t{-3}));
  const PlainReader file(bytes);
  EXPECT_EQ((bytes.size() - file.data.size()) % 8, 0u);
  for (const char* name : {"m", "r", "t"}) {
    EXPECT_EQ(file.values<float>(name), (std::vector<float>{1, 2, 3, 4, 5, 6})) << name;
    EXPECT_EQ(file.header[name]["shape"], (nlohmann::json{2, 3}));
    EXPECT_EQ(file.header[name]["dtype"], "F32");
  }
  EXPECT_EQ(file.values<float>("block"), (std::vector<float>{2, 3, 5, 6}));
  EXPECT_EQ(file.values<double>("v"), (std::vector<double>{7, 8, 9}));
  EXPECT_EQ(file.header["v"]["shape"], nlohmann::json{3});
  EXPECT_EQ(file.values<std::int64_t>("count"), std::vector<std::int64_t>{-3});
  EXPECT_EQ(file.header["count"]["shape"], nlohmann::json::array());
  EXPECT_EQ(file.values<std::uint16_t>("half"), std::vector<std::uint16_t>{0x3800});
  EXPECT_EQ(file.header["half"]["dtype"], "F16");
  // No gaps, and every tensor at a multiple of the size of its elements.
  std::size_t data = 0;
  for (const auto& [name, entry] : file.header.items()) {
    const std::size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    EXPECT_EQ(begin % (entry["dtype"] == "F32" ? 4 : entry["dtype"] == "F16" ? 2 : 8), 0u) << name;
    data += end - begin;
  }
  EXPECT_EQ(data, file.data.size());
}

TEST(Safetensors, AreReadInEveryStorageOrder) {
  const Eigen::Matrix<float, 2, 3> matrix{{1, 2, 3}, {4, 5, 6}};
  Reader reader = reader_of(written(Writer().add("m", matrix).add("v", Eigen::Array2f(1, 2))));
  Eigen::MatrixXf columns;
  Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows;
  Eigen::Array<Eigen::bfloat16, 2, 3> fixed;
  Eigen::Tensor<float, 2> tensor;
  Eigen::Tensor<double, 2, Eigen::RowMajor> row_major;
  Eigen::MatrixXf large = Eigen::MatrixXf::Zero(4, 5);
  reader.read("m", columns);
  reader.read("m", rows);
  reader.read("m", fixed);
  reader.read("m", tensor);
  reader.read("m", row_major);
  reader.read("m", large.block(1, 2, 2, 3));
  EXPECT_EQ(columns, matrix);
  EXPECT_EQ(rows, matrix.cast<double>());
  EXPECT_EQ(fixed.cast<float>().matrix(), matrix);
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 3; ++j) {
      EXPECT_EQ(tensor(i, j), matrix(i, j));
      EXPECT_EQ(row_major(i, j), matrix(i, j));
    }
  }
  EXPECT_EQ(large.block(1, 2, 2, 3), matrix);
  EXPECT_EQ(large.sum(), matrix.sum());
  Eigen::VectorXf column;
  Eigen::RowVectorXf row;
  reader.read("v", column);
  reader.read("v", row);
  EXPECT_EQ(column, Eigen::Vector2f(1, 2));
  EXPECT_EQ(row, Eigen::RowVector2f(1, 2));
}

TEST(Safetensors, OfTwoExtentsAreNoVectors) {
  Reader reader = reader_of(written(Writer().add("m", Eigen::MatrixXf(Eigen::MatrixXf::Ones(5, 1)))));
  Eigen::VectorXf column;
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, 0, 3, 3> bounded;
  EXPECT_TRUE(
      has_parts(message_of<std::runtime_error>([&] { reader.read("m", column); }), "expected 1 extents, got [5, 1]"));
  EXPECT_EQ(column.size(), 0);
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read("m", bounded); }),
                        "expected the extents [0, 0]", "got [5, 1]"));
  EXPECT_EQ(bounded.size(), 0);
}

TEST(Safetensors, HaveNamesInUtf8) {
  Writer writer;
  EXPECT_TRUE(has_parts(message_of([&] { writer.add("caf\xe9", 1.0F); }), "expected a name in UTF-8, got \"caf"));
  EXPECT_EQ(reader_of(written(writer.add("caf\xc3\xa9", 1.0F))).read<float>("caf\xc3\xa9"), 1);
}

TEST(Safetensors, OfNoElementsAreThere) {
  const std::string bytes = written(Writer().add("none", Eigen::MatrixXf(0, 3)).add("one", 1.0F));
  Reader reader = reader_of(bytes);
  Eigen::MatrixXf none;
  reader.read("none", none);
  EXPECT_EQ(none.rows(), 0);
  EXPECT_EQ(none.cols(), 3);
  EXPECT_EQ(reader.read<float>("one"), 1);
  EXPECT_TRUE(reader_of(file_of("{}")).tensors().empty());
  EXPECT_TRUE(reader_of(written(Writer())).tensors().empty());
}

template <class Stored>
class SafetensorsConversion : public testing::Test {};
using Types = testing::Types<double, float, Eigen::half, Eigen::bfloat16>;
TYPED_TEST_SUITE(SafetensorsConversion, Types);

TYPED_TEST(SafetensorsConversion, IsARoundingToTheNearest) {
  const Eigen::Array<TypeParam, 4, 1> values(TypeParam(1.0F / 3), TypeParam(-0.0F), TypeParam(240.F), TypeParam(1e-3F));
  Reader reader = reader_of(written(Writer().add("x", values)));
  const auto expect_read_as = [&](auto one) {
    using Read = decltype(one);
    Eigen::Array<Read, Eigen::Dynamic, 1> read;
    reader.read("x", read);
    for (int k = 0; k < 4; ++k) {
      EXPECT_EQ(static_cast<double>(read[k]), static_cast<double>(static_cast<Read>(static_cast<float>(values[k]))));
    }
    EXPECT_TRUE(std::signbit(static_cast<double>(read[1])));
  };
  if constexpr (!std::same_as<TypeParam, double>) expect_read_as(double());
  expect_read_as(float());
  expect_read_as(Eigen::half());
  expect_read_as(Eigen::bfloat16());
}

TEST(Safetensors, NumbersThatATypeDoesNotHaveAreRefused) {
  const double infinity = std::numeric_limits<double>::infinity();
  Reader reader = reader_of(written(Writer().add("x", Eigen::Array3d(1, infinity, -1e39))));
  Eigen::ArrayXf x = Eigen::ArrayXf::Ones(3);
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read("x", x); }), "a file", "tensor \"x\"", "F32",
                        "-1e+39", "at byte"));
  EXPECT_TRUE((x == 1).all());
  Eigen::ArrayXd y;
  reader.read("x", y);
  EXPECT_EQ(y[1], infinity);
}

TEST(Safetensors, NamesOfKerasAndOnesOwn) {
  const bn::BatchNorm<float> layer = trained_layer();
  const std::string bytes = written(Writer().add("bn/", layer, bn::safetensors::keras_names));
  EXPECT_FALSE(PlainReader(bytes).header.contains("bn/"));
  Reader reader = reader_of(bytes);
  EXPECT_EQ(reader.tensors().size(), 4u);
  EXPECT_TRUE(reader.contains("bn/moving_variance"));
  bn::BatchNorm<float> other({.channels = 3});
  other.running().batches = 7;
  reader.load("bn/", other, {.names = bn::safetensors::keras_names});
  EXPECT_EQ(other.running().batches, 7);
  EXPECT_TRUE((other.running().variance == layer.running().variance).all());
}

TEST(Safetensors, TheNumberOfBatchesMayBeMissing) {
  Reader reader = reader_of(written(Writer()
                                        .add("weight", Eigen::Array2f(1, 2))
                                        .add("bias", Eigen::Array2f(3, 4))
                                        .add("running_mean", Eigen::Array2f(5, 6))
                                        .add("running_var", Eigen::Array2f(7, 8))));
  bn::BatchNorm<double> layer({.channels = 2});
  layer.running().batches = 5;
  reader.load("", layer);
  EXPECT_EQ(layer.running().batches, 5);
  EXPECT_EQ(layer.affine().gamma[1], 2);
  EXPECT_EQ(layer.running().variance[0], 7);
}

TEST(Safetensors, OtherStateMayBeMissingIfThatIsSaid) {
  Reader reader = reader_of(written(Writer().add("n.weight", Eigen::Array3f(1, 2, 3))));
  bn::BatchNorm<float> layer = trained_layer();
  const bn::BatchNorm<float> before = layer;
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.load("n.", layer); }), "a file",
                        "tensor \"n.bias\"", "the layer's beta", "LoadOptions::partial"));
  expect_same_state(layer, before);
  reader.load("n.", layer, {.partial = true});
  EXPECT_EQ(layer.affine().gamma[2], 3);
  EXPECT_TRUE((layer.affine().beta == before.affine().beta).all());
  EXPECT_TRUE((layer.running().mean == before.running().mean).all());
}

/// What is wrong with the state of a layer is refused, and nothing of it taken.
TEST(Safetensors, StateThatIsNoneIsRefused) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto refusal = [&](const std::string& name, const auto& value) {
    Writer writer;
    for (const char* state : {"n.weight", "n.bias", "n.running_mean", "n.running_var"}) {
      if (state != name) writer.add(state, Eigen::Array3f(4, 5, 6));
    }
    writer.add(name, value);
    Reader reader = reader_of(written(writer));
    bn::BatchNorm<float> layer = trained_layer();
    const bn::BatchNorm<float> before = layer;
    const std::string message = message_of<std::runtime_error>([&] { reader.load("n.", layer); });
    expect_same_state(layer, before);
    return message;
  };
  EXPECT_TRUE(has_parts(refusal("n.weight", Eigen::Array3f(1, nan, 1)), "a file", "tensor \"n.weight\"", "finite",
                        "nan", "channel 1", "at byte"));
  EXPECT_TRUE(has_parts(refusal("n.bias", Eigen::Array3f(1, 1, INFINITY)), "\"n.bias\"", "inf", "channel 2"));
  EXPECT_TRUE(has_parts(refusal("n.running_mean", Eigen::Array3d(nan, 1, 1)), "\"n.running_mean\"", "channel 0"));
  EXPECT_TRUE(
      has_parts(refusal("n.running_var", Eigen::Array3f(1, 1, -1)), "\"n.running_var\"", ">= 0", "-1", "channel 2"));
  EXPECT_TRUE(has_parts(refusal("n.running_var", Eigen::Array4f(1, 1, 1, 1)), "\"n.running_var\"", "[3]",
                        "running_variance", "[4]"));
  EXPECT_TRUE(has_parts(refusal("n.bias", Eigen::MatrixXf(3, 1)), "\"n.bias\"", "[3]", "[3, 1]"));
  EXPECT_TRUE(has_parts(refusal("n.weight", Eigen::Array<std::int64_t, 3, 1>(1, 2, 3)), "\"n.weight\"", "F32", "I64"));
  EXPECT_TRUE(has_parts(refusal("n.num_batches_tracked", std::int64_t{-1}), "\"n.num_batches_tracked\"", "-1"));
  EXPECT_TRUE(has_parts(refusal("n.num_batches_tracked", 2.0F), "\"n.num_batches_tracked\"", "I64", "F32"));
  EXPECT_TRUE(has_parts(refusal("n.gamma", Eigen::Array3f(1, 1, 1)), "\"n.gamma\"", "weight, bias", "another name"));
}

TEST(Safetensors, AScaleThatTheLayerLacksIsRefused) {
  Reader reader = reader_of(written(Writer().add("n.", trained_layer())));
  bn::BatchNorm<float> layer({.channels = 3, .scale = false});
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.load("n.", layer); }), "tensor \"n.weight\"",
                        "bias, running_mean"));
}

TEST(Safetensors, AnArrayThatDoesNotFitIsRefusedAndKept) {
  Reader reader = reader_of(written(Writer().add("x", Eigen::MatrixXf(2, 3)).add("n", std::int64_t{1})));
  Eigen::MatrixXf x = Eigen::MatrixXf::Zero(3, 2);
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read("x", x); }), "\"x\"", "[3, 2]", "[2, 3]"));
  EXPECT_TRUE(x.isZero());
  Eigen::Tensor<float, 3> cube;
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read("x", cube); }), "3 extents", "[2, 3]"));
  Eigen::VectorXf vector;
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read("x", vector); }), "\"x\"", "[2, 3]"));
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read("y", x); }), "\"y\"", "among the 2 tensors"));
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read<float>("n"); }), "\"n\"", "I64"));
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read<float>("x"); }), "one number", "[2, 3]"));
}

TEST(Safetensors, NamesAreWrittenOnce) {
  Writer writer;
  writer.add("x", 1.0F);
  EXPECT_TRUE(has_parts(message_of([&] { writer.add("x", 2.0F); }), "Writer::add", "\"x\""));
  EXPECT_TRUE(has_parts(message_of([&] { writer.add("__metadata__", 2.0F); }), "Writer::add", "__metadata__"));
  EXPECT_EQ(reader_of(written(writer)).read<float>("x"), 1);
}

TEST(Safetensors, AFailureToWriteLeavesWhatWasThere) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "safetensors_folder";
  std::filesystem::create_directories(folder / "inside");
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { Writer().add("x", 1.0F).write(folder); }),
                        "safetensors_folder", "expected to write it"));
  EXPECT_TRUE(std::filesystem::is_directory(folder / "inside"));
  EXPECT_FALSE(std::filesystem::exists(folder.string() + ".part"));
  EXPECT_THROW(Writer().write(folder / "none" / "x.safetensors"), std::runtime_error);
  std::filesystem::remove_all(folder);
}

}  // namespace safetensors_test
