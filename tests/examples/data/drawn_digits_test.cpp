#include "data/drawn_digits.hpp"

#include <gtest/gtest.h>

#include <array>
#include <stdexcept>

namespace drawn_digits_test {

// FNV-1a.
std::uint64_t checksum(const std::vector<std::uint8_t>& bytes) {
  std::uint64_t sum = 0xcbf29ce484222325;
  for (const std::uint8_t byte : bytes) sum = (sum ^ byte) * 0x100000001b3;
  return sum;
}

TEST(DrawnDigits, AreTheSameFromEveryCompiler) {
  EXPECT_EQ(checksum(data::draw_digits(1, 0, 100).pixels), 10957106428004770665U);
}

TEST(DrawnDigits, DependOnSeedAndNumberAlone) {
  const data::Digits all = data::draw_digits(5, 0, 40), part = data::draw_digits(5, 15, 10);
  EXPECT_EQ(part.images(), all.images().middleRows(15, 10));
  for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(part.labels[i], all.labels[15 + i]);
  EXPECT_NE(data::draw_digits(6, 15, 10).pixels, part.pixels);
}

TEST(DrawnDigits, AreAllDifferentAndBalanced) {
  constexpr Eigen::Index count = 2000;
  const data::Digits digits = data::draw_digits(1, 60000, count);
  std::array<int, 10> found{};
  for (const std::uint8_t label : digits.labels) ++found.at(label);
  for (const int times : found) EXPECT_EQ(times, count / 10);
  const auto images = digits.images();
  for (Eigen::Index i = 10; i < count; ++i) ASSERT_NE(images.row(i), images.row(i - 10)) << i;
}

TEST(DrawnDigits, AreInkOnPaper) {
  const data::Digits digits = data::draw_digits(1, 0, 500);
  const auto images = digits.images();
  for (Eigen::Index i = 0; i < digits.count(); ++i) {
    const auto image = images.row(i).cast<int>();
    EXPECT_GE(image.maxCoeff(), 160) << i;
    EXPECT_TRUE(image.mean() > 5 && image.mean() < 110) << i << ": " << image.mean();
  }
}

TEST(DrawnDigits, RefuseNegativeNumbers) {
  EXPECT_EQ(data::draw_digits(1, 5, 0).count(), 0);
  EXPECT_THROW(data::draw_digits(1, -1, 5), std::invalid_argument);
  EXPECT_THROW(data::draw_digits(1, 5, -1), std::invalid_argument);
}

}  // namespace drawn_digits_test
