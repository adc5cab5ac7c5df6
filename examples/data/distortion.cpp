#include "data/distortion.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace data {
namespace {

/// Evenly from -most to most; nothing is drawn where there is nothing to draw.
double draw(double most, Random& random) { return most == 0 ? 0 : random.uniform(-most, most); }

}  // namespace

void distort(const std::uint8_t* image, const Distortion& most, Random& random, std::uint8_t* distorted) {
  const double right = draw(most.shift, random), down = draw(most.shift, random);
  const double angle = draw(most.rotation, random) * std::numbers::pi / 180, size = 1 + draw(most.scale, random);
  const double width = size * (1 + draw(most.stretch, random)), height = size * (1 + draw(most.stretch, random));
  const double shear = draw(most.shear, random), cosine = std::cos(angle), sine = std::sin(angle);
  // Where a pixel comes from, seen from the middle, after the shift is taken away: turned back, divided by width and
  // height, and set upright.
  const double across = shear / height;
  const auto x_of_x = static_cast<float>(cosine / width + across * sine);
  const auto x_of_y = static_cast<float>(sine / width - across * cosine);
  const auto y_of_x = static_cast<float>(-sine / height), y_of_y = static_cast<float>(cosine / height);
  constexpr float middle_x = (image_columns - 1) / 2.0f, middle_y = (image_rows - 1) / 2.0f;

  // The image with paper about it. A place farther outside is taken for one at the border, and so is one that is no
  // number, of a shift beyond all bounds: min and max in this order.
  constexpr Eigen::Index border = 2;
  constexpr auto width_of_sheet = image_columns + 2 * border, height_of_sheet = image_rows + 2 * border;
  constexpr float least = -border, most_x = image_columns, most_y = image_rows;
  std::array<float, height_of_sheet * width_of_sheet> sheet{};
  for (Eigen::Index row = 0; row < image_rows; ++row)
    std::copy_n(image + row * image_columns, image_columns, sheet.data() + (row + border) * width_of_sheet + border);

  for (Eigen::Index row = 0; row < image_rows; ++row) {
    for (Eigen::Index column = 0; column < image_columns; ++column) {
      const float x = static_cast<float>(column) - middle_x - static_cast<float>(right);
      const float y = static_cast<float>(row) - middle_y - static_cast<float>(down);
      const float from_x = std::max(least, std::min(most_x, middle_x + x_of_x * x + x_of_y * y));
      const float from_y = std::max(least, std::min(most_y, middle_y + y_of_x * x + y_of_y * y));
      const float left = std::floor(from_x), top = std::floor(from_y), part_x = from_x - left, part_y = from_y - top;
      const auto i = static_cast<Eigen::Index>(top) + border, j = static_cast<Eigen::Index>(left) + border;
      const float* corner = sheet.data() + i * width_of_sheet + j;
      const float upper = (1 - part_x) * corner[0] + part_x * corner[1];
      const float lower = (1 - part_x) * corner[width_of_sheet] + part_x * corner[width_of_sheet + 1];
      const float value = (1 - part_y) * upper + part_y * lower;
      *distorted++ = static_cast<std::uint8_t>(static_cast<double>(value) + 0.5);  // to the nearest
    }
  }
}

void change_light(std::span<float> values, const Distortion& most, Random& random) {
  const auto contrast = static_cast<float>(1 + draw(most.contrast, random));
  for (float& value : values) value *= contrast;
  if (most.noise == 0) return;
  for (float& value : values) value += static_cast<float>(random.bell(most.noise));
}

}  // namespace data
