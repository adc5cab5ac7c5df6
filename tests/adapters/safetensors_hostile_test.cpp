// Files are made by anybody: what is none is refused, and says why.
#include <gtest/gtest.h>
#include <batchnorm/adapters/safetensors.hpp>

#include <unsupported/Eigen/CXX11/Tensor>

#include "support/safetensors.hpp"
#include "support/throws.hpp"

namespace safetensors_hostile_test {

using batchnorm::safetensors::Reader;
using testing_support::file_of;
using testing_support::has_parts;
using testing_support::message_of;
using testing_support::reader_of;

/// What reading such a file throws.
std::string refusal_of(const std::string& bytes) {
  return message_of<std::runtime_error>([&] { reader_of(bytes); });
}
std::string refusal_of_header(const std::string& header, std::size_t data = 0) {
  return refusal_of(file_of(header, data));
}

TEST(SafetensorsFile, OtherTypesCanBeListed) {
  Reader reader = reader_of(file_of(
      R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"F4","shape":[8],"data_offsets":[3,7]},)"
      R"("__metadata__":{"format":"pt"}})",
      7));
  EXPECT_EQ(reader.tensors().at("a").shape, std::vector<std::uint64_t>{3});
  EXPECT_EQ(reader.tensors().at("b").type, "F4");
  EXPECT_EQ(reader.tensors().at("b").end - reader.tensors().at("b").begin, 4u);
  Eigen::VectorXf x;
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read("a", x); }), "\"a\"", "F64, F32", "U8"));
}

TEST(SafetensorsFile, FilesThatAreNoneAreRefused) {
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([] { Reader("no/such.safetensors"); }), "no/such.safetensors",
                        "can be read"));
  EXPECT_TRUE(has_parts(refusal_of(""), "a file", "8 bytes", "0 bytes in all"));
  EXPECT_TRUE(has_parts(refusal_of("1234567"), "7 bytes in all"));
  EXPECT_TRUE(has_parts(refusal_of(file_of("{}").substr(0, 9)), "header of 2 bytes", "got 1"));
  EXPECT_TRUE(has_parts(refusal_of(std::string(8, '\xff')), "at most 100000000", "18446744073709551615"));
  EXPECT_TRUE(has_parts(refusal_of(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8)), "at most 100000000", "100000001"));
  EXPECT_TRUE(has_parts(refusal_of(std::string("\0\xe1\xf5\x05\0\0\0\0", 8)), "header of 100000000 bytes", "got 0"));
  EXPECT_TRUE(has_parts(refusal_of_header(""), "begins with {"));
  EXPECT_TRUE(has_parts(refusal_of_header(" {}"), "begins with {"));
  EXPECT_TRUE(has_parts(refusal_of_header("[]"), "begins with {"));
  EXPECT_TRUE(has_parts(refusal_of_header("{"), "in JSON", "byte"));
  EXPECT_TRUE(has_parts(refusal_of_header("{} x"), "in JSON"));
  EXPECT_TRUE(has_parts(refusal_of_header("{\"\xff\":{}}"), "in JSON"));
  EXPECT_TRUE(reader_of(file_of("{}   ")).tensors().empty());
  EXPECT_TRUE(has_parts(refusal_of_header("{}", 1), "0 bytes of data", "got 1"));
}

TEST(SafetensorsFile, HeadersThatAreNoneAreRefused) {
  const auto with = [](const std::string& entry) { return refusal_of_header("{\"x\":" + entry + "}", 4); };
  const std::string good = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  EXPECT_NO_THROW(reader_of(file_of("{\"x\":" + good + "}", 4)));
  EXPECT_TRUE(has_parts(with("1"), "tensor \"x\"", "object", "number"));
  EXPECT_TRUE(has_parts(with("[]"), "tensor \"x\"", "object", "array"));
  EXPECT_TRUE(has_parts(with("null"), "tensor \"x\"", "object", "null"));
  EXPECT_TRUE(has_parts(with("{}"), "dtype, shape and data_offsets", "no dtype"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":[1]})"), "no data_offsets"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":1,"shape":[1],"data_offsets":[0,4]})"), "dtype", "number"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})"), "shape", "number"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":[[1]],"data_offsets":[0,4]})"), "whole numbers", "array"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), "whole numbers", "-1"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"), "whole numbers", "1.0"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":[1e99],"data_offsets":[0,4]})"), "whole numbers", "1e99"));
  EXPECT_TRUE(
      has_parts(with(R"({"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]})"), "whole numbers"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":[true],"data_offsets":[0,4]})"), "whole numbers", "boolean"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":[1],"data_offsets":[4]})"), "two data_offsets", "1"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})"), "two data_offsets", "3"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":{}})"), "fields", "more"));
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})"), "once", "dtype"));
  EXPECT_TRUE(has_parts(refusal_of_header("{\"x\":" + good + ",\"x\":" + good + "}", 4), "each name once", "\"x\""));
  EXPECT_TRUE(has_parts(refusal_of_header(R"({"__metadata__":{"a":1}})"), "__metadata__", "strings", "number"));
  EXPECT_TRUE(has_parts(refusal_of_header(R"({"__metadata__":{"a":{}}})"), "object"));
  EXPECT_TRUE(has_parts(refusal_of_header(R"({"__metadata__":{},"__metadata__":{}})"), "once", "__metadata__"));
  // As deep as a header has bytes: no parser of ours runs out of stack.
  EXPECT_TRUE(has_parts(with(R"({"dtype":"F32","shape":)" + std::string(1 << 20, '[')), "whole numbers", "array"));
}

TEST(SafetensorsFile, PlacesThatOverlapOrAreShortAreRefused) {
  const auto two = [](const std::string& a, const std::string& b, std::size_t data) {
    const auto entry = [](const std::string& text) { return "{\"dtype\":\"F32\"," + text + "}"; };
    return refusal_of_header("{\"a\":" + entry(a) + ",\"b\":" + entry(b) + "}", data);
  };
  const std::string first = R"("shape":[2],"data_offsets":[0,8])";
  EXPECT_TRUE(
      has_parts(two(first, R"("shape":[2],"data_offsets":[4,12])", 12), "tensor \"b\"", "begin at 8", "[4, 12]"));
  EXPECT_TRUE(has_parts(two(first, first, 8), "begin at 8", "[0, 8]"));
  EXPECT_TRUE(has_parts(two(first, R"("shape":[1],"data_offsets":[12,16])", 16), "tensor \"b\"", "begin at 8"));
  EXPECT_TRUE(has_parts(two(first, R"("shape":[1],"data_offsets":[8,12])", 11), "tensor \"b\"", "11 bytes of data"));
  EXPECT_TRUE(has_parts(two(first, R"("shape":[1],"data_offsets":[8,12])", 13), "12 bytes of data", "got 13"));
  EXPECT_TRUE(has_parts(two(first, R"("shape":[2],"data_offsets":[8,12])", 12), "tensor \"b\"", "8 bytes", "of 4"));
  EXPECT_TRUE(has_parts(two(first, R"("shape":[1],"data_offsets":[8,4])", 8), "tensor \"b\"", "[8, 4]"));
  EXPECT_TRUE(
      has_parts(two(first, R"("shape":[4611686018427387904,4],"data_offsets":[8,8])", 8), "tensor \"b\"", "64 bits"));
  EXPECT_TRUE(has_parts(two(first, R"("shape":[4294967296,4294967296],"data_offsets":[8,8])", 8), "64 bits"));
  EXPECT_TRUE(has_parts(two(first, R"("shape":[1],"data_offsets":[8,18446744073709551615])", 12), "tensor \"b\""));
  EXPECT_NO_THROW(reader_of(
      file_of(R"({"a":{"dtype":"F32","shape":[0,18446744073709551615,18446744073709551615],"data_offsets":[0,0]}})")));
}

TEST(SafetensorsFile, ExtentsBeyondAnIndexAreRefusedWhenRead) {
  Reader reader = reader_of(file_of(R"({"a":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]},)"
                                    R"("b":{"dtype":"F32","shape":[0,4294967296],"data_offsets":[0,0]}})"));
  Eigen::MatrixXf x;
  Eigen::Tensor<float, 2, Eigen::RowMajor, int> narrow;
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read("a", x); }), "\"a\"", "9223372036854775807",
                        "[0, 18446744073709551615]"));
  EXPECT_TRUE(has_parts(message_of<std::runtime_error>([&] { reader.read("b", narrow); }), "\"b\"", "2147483647"));
  EXPECT_EQ(x.cols(), 0);
  reader.read("b", x);
  EXPECT_EQ(x.cols(), Eigen::Index{1} << 32);
}

TEST(SafetensorsFile, NoStreamIsRefused) {
  EXPECT_TRUE(has_parts(message_of([] { Reader(nullptr, "nothing"); }), "Reader", "stream"));
}

}  // namespace safetensors_hostile_test
