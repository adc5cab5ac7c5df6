#include "data/distortion.hpp"

#include <cmath>
#include <numbers>

namespace data {

void distort(const std::uint8_t* image, const Distortion& most, Random& random, std::uint8_t* distorted) {
  const auto draw = [&](double limit) { return limit == 0 ? 0 : random.uniform(-limit, limit); };
  const double right = draw(most.shift), down = draw(most.shift);
  const double angle = draw(most.rotation) * std::numbers::pi / 180, size = 1 + draw(most.scale);
  // Where a pixel comes from, seen from the middle: turned back and divided by the size, after the shift is taken away.
  const auto cosine = static_cast<float>(std::cos(angle) / size), sine = static_cast<float>(std::sin(angle) / size);
  constexpr float middle_x = (image_columns - 1) / 2.0f, middle_y = (image_rows - 1) / 2.0f;

  const auto pixel = [image](Eigen::Index row, Eigen::Index column) {
    const bool inside = row >= 0 && row < image_rows && column >= 0 && column < image_columns;
    return inside ? static_cast<float>(image[row * image_columns + column]) : 0.0f;
  };
  for (Eigen::Index row = 0; row < image_rows; ++row) {
    for (Eigen::Index column = 0; column < image_columns; ++column) {
      const float x = static_cast<float>(column) - middle_x - static_cast<float>(right);
      const float y = static_cast<float>(row) - middle_y - static_cast<float>(down);
      const float from_x = middle_x + cosine * x + sine * y, from_y = middle_y - sine * x + cosine * y;
      const float left = std::floor(from_x), top = std::floor(from_y), part_x = from_x - left, part_y = from_y - top;
      const auto i = static_cast<Eigen::Index>(top), j = static_cast<Eigen::Index>(left);
      const float upper = (1 - part_x) * pixel(i, j) + part_x * pixel(i, j + 1);
      const float lower = (1 - part_x) * pixel(i + 1, j) + part_x * pixel(i + 1, j + 1);
      *distorted++ = static_cast<std::uint8_t>(std::lround((1 - part_y) * upper + part_y * lower));
    }
  }
}

}  // namespace data
