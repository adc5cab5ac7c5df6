#include "data/batches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "data/drawn_digits.hpp"

namespace {

using Indices = std::vector<Eigen::Index>;

Indices epoch(data::Batches& batches, Eigen::Index count) {
  Indices all;
  while (all.size() < static_cast<std::size_t>(count)) {
    const auto batch = batches.next();
    all.insert(all.end(), batch.begin(), batch.end());
  }
  return all;
}

TEST(Batches, VisitEverySampleOnceAnEpochInAnotherOrder) {
  for (const Eigen::Index batch : {1, 7, 60, 120}) {
    data::Batches batches(120, batch, 0);
    Indices first = epoch(batches, 120), second = epoch(batches, 120);
    EXPECT_NE(first, second);
    for (Indices* indices : {&first, &second}) {
      ASSERT_EQ(indices->size(), 120U);
      std::sort(indices->begin(), indices->end());
      for (Eigen::Index i = 0; i < 120; ++i) EXPECT_EQ((*indices)[static_cast<std::size_t>(i)], i);
    }
  }
}

TEST(Batches, EndAnEpochWithWhatIsLeft) {
  data::Batches batches(10, 4, 0);
  for (const std::size_t size : {4U, 4U, 2U, 4U, 4U, 2U}) EXPECT_EQ(batches.next().size(), size);
}

TEST(Batches, DependOnTheSeedAlone) {
  data::Batches a(1000, 10, 3), b(1000, 10, 3), c(1000, 10, 4);
  const Indices first = epoch(a, 1000);
  EXPECT_EQ(epoch(b, 1000), first);
  EXPECT_NE(epoch(c, 1000), first);
  EXPECT_EQ(Indices(first.begin(), first.begin() + 5), (Indices{476, 371, 223, 829, 330}));
}

TEST(Batches, InAFixedOrderTheSameSamplesStayTogether) {
  data::Batches fixed(10, 4, 3, data::Order::fixed), reshuffled(10, 4, 3);
  const Indices first = epoch(fixed, 10);
  EXPECT_EQ(epoch(reshuffled, 10), first) << "the first epoch is the same";
  EXPECT_NE(epoch(reshuffled, 10), first);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(epoch(fixed, 10), first);
}

TEST(Batches, RefuseNonsense) {
  EXPECT_THROW(data::Batches(10, 0, 0), std::invalid_argument);
  EXPECT_THROW(data::Batches(10, -1, 0), std::invalid_argument);
  EXPECT_THROW(data::Batches(10, 11, 0), std::invalid_argument);
  EXPECT_THROW(data::Batches(0, 1, 0), std::invalid_argument);
}

// Every value of a pixel, in two images.
data::Digits all_values() {
  data::Digits digits;
  for (int i = 0; i < 2 * 784; ++i) digits.pixels.push_back(static_cast<std::uint8_t>(i));
  digits.labels = {0, 1};
  return digits;
}

TEST(ToFloat, ScalesOrBinarizes) {
  const data::Digits digits = all_values();
  const Indices indices = {1, 0, 1};
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> gray(3, 784), binary(3, 784);
  data::to_float(digits, indices, data::Input::gray, gray);
  data::to_float(digits, indices, data::Input::binary, binary);
  for (Eigen::Index row = 0; row < 3; ++row) {
    for (Eigen::Index i = 0; i < 784; ++i) {
      const float pixel = digits.images()(indices[static_cast<std::size_t>(row)], i);
      EXPECT_FLOAT_EQ(gray(row, i), pixel / 255);
      EXPECT_EQ(binary(row, i), pixel / 255 > 0.5f ? 1.0f : 0.0f);
    }
  }
  EXPECT_EQ(gray.minCoeff(), 0.0f);
  EXPECT_EQ(gray.maxCoeff(), 1.0f);
}

TEST(ToFloat, FillsColumnsOfAColumnMajorMatrix) {
  const data::Digits digits = all_values();
  const Indices indices = {1, 0};
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows(2, 784);
  Eigen::MatrixXf columns(784, 2);
  data::to_float(digits, indices, data::Input::gray, rows);
  data::to_float(digits, indices, data::Input::gray, columns.transpose());
  EXPECT_EQ(columns.transpose(), rows);
}

TEST(ToFloat, RefusesWrongExtentsAndIndices) {
  const data::Digits digits = all_values();
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> out(1, 784), wide(1, 785), tall(2, 784);
  const auto call = [&](Eigen::Index index, auto& matrix) {
    data::to_float(digits, Indices{index}, data::Input::gray, matrix);
  };
  EXPECT_NO_THROW(call(1, out));
  EXPECT_THROW(call(1, wide), std::invalid_argument);
  EXPECT_THROW(call(1, tall), std::invalid_argument);
  EXPECT_THROW(call(2, out), std::invalid_argument);
  EXPECT_THROW(call(-1, out), std::invalid_argument);
}

TEST(ToFloat, HalvedImagesAreMeansOfFourPixels) {
  data::Digits digits;
  digits.labels = {0, 0};
  digits.pixels.assign(2 * data::image_pixels, 0);
  std::uint8_t* second = &digits.pixels[data::image_pixels];
  second[0] = 255;                                                           // in the first square
  second[2] = second[3] = second[30] = second[31] = 51;                      // the second one
  second[27 * 28 + 27] = second[27 * 28 + 26] = second[26 * 28 + 27] = 255;  // the last one
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> out(1, data::input_pixels(data::Input::halved));
  const Eigen::Index index = 1;
  data::to_float(digits, {&index, 1}, data::Input::halved, out);
  EXPECT_EQ(out(0, 0), 0.25f);
  EXPECT_EQ(out(0, 1), 0.2f);
  EXPECT_EQ(out(0, 195), 0.75f);
  EXPECT_EQ(out.sum(), 1.2f);
}

}  // namespace
