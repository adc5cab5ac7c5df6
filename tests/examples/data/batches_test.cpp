#include "data/batches.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "data/drawn_digits.hpp"

namespace batches_test {

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

// --- Distorted

using Images = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr data::Distortion strong = {
    .shift = 2.1, .rotation = 20, .stretch = 0.25, .shear = 0.3, .contrast = 0.5, .noise = 0.15};

Images distorted(const data::Digits& digits, const Indices& indices, const data::Distortion& most, data::Random& random,
                 data::Input input = data::Input::halved) {
  Images out(static_cast<Eigen::Index>(indices.size()), data::input_pixels(input));
  data::to_float(digits, indices, input, most, random, out);
  return out;
}

TEST(ToFloatDistorted, WithNothingToDistortIsTheSameAndDrawsNothing) {
  const data::Digits digits = all_values();
  for (const data::Input input : {data::Input::gray, data::Input::binary, data::Input::halved}) {
    Images plain(2, data::input_pixels(input));
    data::to_float(digits, Indices{1, 0}, input, plain);
    data::Random random(1), untouched(1);
    EXPECT_EQ(distorted(digits, {1, 0}, {}, random, input), plain);
    EXPECT_EQ(random.bits(), untouched.bits());
  }
}

TEST(ToFloatDistorted, IsImageByImageShapeThenNumbersThenLight) {
  const data::Digits digits = data::draw_digits(1, 0, 3);
  for (const data::Input input : {data::Input::gray, data::Input::binary, data::Input::halved}) {
    data::Random random(1), twin(1);
    const Images out = distorted(digits, {2, 0}, strong, random, input);
    for (Eigen::Index row = 0; row < 2; ++row) {
      data::Digits one = data::draw_digits(1, 0, 1);
      data::distort(&digits.pixels[(row == 0 ? 2 : 0) * data::image_pixels], strong, twin, one.pixels.data());
      Images expected(1, data::input_pixels(input));
      data::to_float(one, Indices{0}, input, expected);
      data::change_light({expected.data(), static_cast<std::size_t>(expected.size())}, strong, twin);
      EXPECT_EQ(out.row(row), expected.row(0));
    }
  }
}

TEST(ToFloatDistorted, NoTwoBatchesAreAlikeAndAllDependOnTheSeed) {
  const data::Digits digits = data::draw_digits(1, 0, 4);
  for (data::Distortion most : {strong, data::Distortion{.rotation = 20}, data::Distortion{.contrast = 0.5}}) {
    data::Random random(1), same(1), other(2);
    std::set<std::vector<float>> seen;
    for (int step = 0; step < 100; ++step) {
      const Images out = distorted(digits, {0, 1, 2, 3}, most, random);
      EXPECT_EQ(distorted(digits, {0, 1, 2, 3}, most, same), out);
      EXPECT_NE(distorted(digits, {0, 1, 2, 3}, most, other), out);
      seen.emplace(out.data(), out.data() + out.size());
    }
    EXPECT_EQ(seen.size(), 100U);
  }
}

TEST(ToFloatDistorted, TheAverageBrightnessStays) {
  // Width, height and contrast are 1 on average, each by itself, and noise is 0. The brightness of an image has a
  // relative deviation of sqrt((1 + .25^2 / 3)^2 (1 + .5^2 / 3) - 1) = .36, and the mean of so many four times less
  // than this bound. A square of 8x8 in the middle stays on the sheet.
  constexpr Eigen::Index count = 4'000;
  data::Digits square;
  square.labels = {0};
  square.pixels.assign(data::image_pixels, 0);
  for (std::size_t row = 10; row < 18; ++row) std::fill_n(&square.pixels[row * 28 + 10], 8, std::uint8_t{255});
  data::Random random(1);
  const Images out = distorted(square, Indices(count, 0), strong, random);
  EXPECT_NEAR(out.mean(), 64 / 784.0, 64 / 784.0 * 4 * 0.36 / std::sqrt(static_cast<double>(count)));
}

TEST(ToFloatDistorted, RefusesWhatIsRefusedWithoutDistortion) {
  const data::Digits digits = all_values();
  data::Random random(1);
  EXPECT_THROW(distorted(digits, {2}, strong, random), std::invalid_argument);
  Images wide(1, 197);
  EXPECT_THROW(data::to_float(digits, Indices{0}, data::Input::halved, strong, random, wide), std::invalid_argument);
}

}  // namespace batches_test
