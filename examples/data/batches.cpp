#include "data/batches.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

namespace data {
namespace {

void halve(const std::uint8_t* pixels, float* values) {
  for (Eigen::Index row = 0; row < image_rows; row += 2) {
    const std::uint8_t *upper = pixels + row * image_columns, *lower = upper + image_columns;
    for (Eigen::Index column = 0; column < image_columns; column += 2)
      *values++ = static_cast<float>(upper[column] + upper[column + 1] + lower[column] + lower[column + 1]) / 1020.0f;
  }
}

void convert(const std::uint8_t* pixels, Input input, float* values) {
  switch (input) {
    case Input::gray:
      for (Eigen::Index i = 0; i < image_pixels; ++i) values[i] = static_cast<float>(pixels[i]) * (1 / 255.0f);
      break;
    case Input::binary:
      for (Eigen::Index i = 0; i < image_pixels; ++i) values[i] = static_cast<float>(pixels[i] >> 7);
      break;
    case Input::halved: halve(pixels, values); break;
  }
}

using Floats = Eigen::Ref<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

void check(const Digits& digits, std::span<const Eigen::Index> indices, Input input, const Floats& out) {
  const auto rows = static_cast<Eigen::Index>(indices.size());
  if (out.rows() != rows || out.cols() != input_pixels(input)) {
    throw std::invalid_argument("data: to_float(digits, indices, input, out): expected out [" + std::to_string(rows) +
                                ", " + std::to_string(input_pixels(input)) + "], got [" + std::to_string(out.rows()) +
                                ", " + std::to_string(out.cols()) + ']');
  }
  for (const Eigen::Index index : indices) {
    if (index >= 0 && index < digits.count()) continue;
    throw std::invalid_argument("data: to_float(digits, indices, input, out): expected indices from 0 to " +
                                std::to_string(digits.count() - 1) + ", got " + std::to_string(index));
  }
}

/// Calls visit(image, row) for each image of a batch.
template <class Visit>
void for_each_image(const Digits& digits, std::span<const Eigen::Index> indices, const Visit& visit) {
  const auto rows = static_cast<Eigen::Index>(indices.size());
  const auto image = [&](Eigen::Index row) {
    return &digits.pixels[static_cast<std::size_t>(indices[static_cast<std::size_t>(row)] * image_pixels)];
  };
  constexpr Eigen::Index ahead = 4;  // images come from all over main memory: ask for them before they are needed
  for (Eigen::Index row = 0; row < rows; ++row) {
    if (row + ahead < rows) {
      for (Eigen::Index i = 0; i < image_pixels; i += 64) __builtin_prefetch(image(row + ahead) + i);
    }
    visit(image(row), row);
  }
}

}  // namespace

Batches::Batches(Eigen::Index count, Eigen::Index batch, std::uint64_t seed, Order order)
    : batch_(static_cast<std::size_t>(batch)), random_(seed), reshuffle_(order == Order::reshuffled) {
  if (batch < 1 || batch > count) {
    throw std::invalid_argument("data: Batches(count, batch, seed): expected a batch from 1 to count = " +
                                std::to_string(count) + ", got " + std::to_string(batch));
  }
  order_.resize(static_cast<std::size_t>(count));
  std::iota(order_.begin(), order_.end(), Eigen::Index{0});
  next_ = order_.size();
}

std::span<const Eigen::Index> Batches::next() {
  if (next_ == order_.size()) {  // a new epoch: Fisher and Yates's shuffle
    for (std::size_t i = order_.size() - 1; shuffle_ && i > 0; --i) {
      std::swap(order_[i], order_[static_cast<std::size_t>(random_.below(static_cast<Eigen::Index>(i + 1)))]);
    }
    shuffle_ = reshuffle_;
    next_ = 0;
  }
  const std::size_t first = next_;
  next_ = std::min(first + batch_, order_.size());
  return std::span(order_).subspan(first, next_ - first);
}

void to_float(const Digits& digits, std::span<const Eigen::Index> indices, Input input, Floats out) {
  check(digits, indices, input, out);
  for_each_image(digits, indices,
                 [&](const std::uint8_t* image, Eigen::Index row) { convert(image, input, &out(row, 0)); });
}

void to_float(const Digits& digits, std::span<const Eigen::Index> indices, Input input, const Distortion& most,
              Random& random, Floats out) {
  if (most == Distortion{}) return to_float(digits, indices, input, out);
  check(digits, indices, input, out);
  std::array<std::uint8_t, image_pixels> distorted;
  for_each_image(digits, indices, [&](const std::uint8_t* image, Eigen::Index row) {
    distort(image, most, random, distorted.data());
    convert(distorted.data(), input, &out(row, 0));
    change_light({&out(row, 0), static_cast<std::size_t>(out.cols())}, most, random);
  });
}

}  // namespace data
