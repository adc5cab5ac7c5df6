#include "data/drawn_digits.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "data/random.hpp"

// The bytes must not depend on the compiler: only +, -, *, / and sqrt, which IEEE 754 rounds in one way, and no
// contraction of a * b + c into one operation (-ffp-contract=off for this library).
namespace data {
namespace {

struct Point {
  float x, y;
};

// A stroke is a smooth curve through its points; a point given twice is a corner. x runs to the right and y down, in a
// box of 20 x 20.
using Stroke = std::vector<Point>;
using Glyph = std::vector<Stroke>;

// The ways of writing each digit.
const std::array<std::vector<Glyph>, 10> alphabet = {{
    // 0: a loop; one that overshoots at the top
    {{{{11, 1}, {5, 4}, {3, 10}, {5, 16}, {10, 19}, {15, 16}, {17, 10}, {15, 4}, {11, 1}, {8, 2}}},
     {{{14, 3}, {9, 1}, {5, 5}, {4, 12}, {7, 18}, {12, 18}, {16, 12}, {15, 5}, {11, 2}, {7, 4}}}},
    // 1: a line; with a flag; with a flag and a foot
    {{{{10, 1}, {10, 10}, {10, 19}}},
     {{{6, 6}, {10, 1}, {10, 1}, {10, 10}, {10, 19}}},
     {{{6, 5}, {10, 1}, {10, 1}, {10, 10}, {10, 19}}, {{5, 19}, {10, 19}, {15, 19}}}},
    // 2: with a corner; with a loop
    {{{{4, 6}, {6, 2}, {11, 1}, {15, 4}, {14, 9}, {9, 14}, {4, 19}, {4, 19}, {10, 19}, {16, 19}}},
     {{{4, 5}, {9, 1}, {14, 4}, {13, 9}, {8, 15}, {4, 18}, {4, 15}, {8, 15}, {12, 18}, {17, 17}}}},
    // 3: round; with a flat top
    {{{{4, 3}, {9, 1}, {14, 4}, {13, 8}, {8, 10}, {8, 10}, {14, 12}, {16, 15}, {10, 19}, {4, 17}}},
     {{{4, 1}, {9, 1}, {15, 1}, {15, 1}, {9, 8}, {9, 8}, {15, 11}, {15, 16}, {10, 19}, {4, 17}}}},
    // 4: open; closed; open and round
    {{{{5, 2}, {4, 7}, {4, 11}, {4, 11}, {10, 11}, {17, 10}}, {{14, 1}, {14, 10}, {13, 19}}},
     {{{13, 19}, {13, 10}, {13, 1}, {13, 1}, {8, 7}, {3, 13}, {3, 13}, {10, 13}, {17, 13}}},
     {{{5, 1}, {4, 6}, {6, 11}, {11, 10}, {15, 5}, {16, 1}}, {{16, 1}, {14, 10}, {13, 19}}}},
    // 5: in one stroke; with the hat last; like an S
    {{{{15, 1}, {10, 1}, {6, 1}, {6, 1}, {5, 9}, {5, 9}, {11, 8}, {15, 12}, {14, 17}, {8, 19}, {4, 17}}},
     {{{6, 2}, {5, 9}, {5, 9}, {10, 8}, {15, 12}, {13, 17}, {8, 19}, {3, 18}}, {{6, 2}, {11, 1}, {16, 1}}},
     {{{15, 2}, {9, 1}, {5, 5}, {8, 9}, {14, 12}, {14, 17}, {8, 19}, {4, 17}}}},
    // 6: round; steep with a small loop
    {{{{13, 1}, {7, 5}, {4, 12}, {6, 18}, {11, 19}, {15, 15}, {12, 11}, {7, 12}, {5, 15}}},
     {{{10, 1}, {7, 7}, {5, 14}, {8, 19}, {13, 18}, {14, 14}, {10, 12}, {6, 15}}}},
    // 7: plain; with a bar; with a serif and a bend
    {{{{4, 2}, {10, 2}, {16, 2}, {16, 2}, {12, 10}, {9, 19}}},
     {{{4, 2}, {10, 2}, {16, 2}, {16, 2}, {12, 10}, {9, 19}}, {{7, 11}, {11, 10}, {15, 10}}},
     {{{4, 6}, {4, 2}, {4, 2}, {10, 3}, {16, 1}, {16, 1}, {11, 8}, {9, 13}, {9, 19}}}},
    // 8: in one stroke; two loops
    {{{{14, 4}, {10, 1}, {5, 4}, {8, 8}, {14, 12}, {14, 17}, {9, 19}, {5, 16}, {7, 12}, {13, 8}, {14, 4}, {12, 2}}},
     {{{10, 9}, {6, 6}, {7, 2}, {11, 1}, {14, 4}, {13, 8}, {10, 9}},
      {{10, 9}, {6, 12}, {5, 16}, {10, 19}, {15, 16}, {14, 12}, {10, 9}}}},
    // 9: with a straight tail; with a bent one; with a corner
    {{{{15, 5}, {11, 1}, {6, 4}, {6, 9}, {11, 10}, {15, 5}, {15, 5}, {14, 12}, {12, 19}}},
     {{{14, 3}, {9, 1}, {5, 5}, {8, 10}, {13, 8}, {15, 4}, {15, 11}, {12, 17}, {6, 19}}},
     {{{14, 2}, {8, 2}, {5, 6}, {7, 10}, {12, 9}, {14, 2}, {14, 2}, {13, 10}, {13, 19}}}},
}};

// How one image is written: from the box of the alphabet to pixels.
class Hand {
 public:
  explicit Hand(Random& random)
      : random_(random),
        width_(random.uniform(0.60, 1.04)),
        height_(random.uniform(0.84, 1.08)),
        slant_(random.bell(0.22)),
        turn_(random.bell(0.2)),
        right_(random.bell(1.6)),
        down_(random.bell(1.6)),
        bend_x_(random.bell(0.10)),
        bend_y_(random.bell(0.10)),
        swell_x_(random.bell(0.12)),
        swell_y_(random.bell(0.12)) {}

  // A point of the alphabet, written: shaken, warped (quadratic in x and y), scaled, slanted, turned, shifted.
  Point write(Point p) {
    const double u = p.x - 10 + random_.bell(1.0), v = p.y - 10 + random_.bell(1.0);
    const double x = width_ * (u + bend_x_ * v * v / 10 + swell_x_ * u * v / 10) - slant_ * v;
    const double y = height_ * (v + bend_y_ * u * u / 10 + swell_y_ * u * v / 10);
    return {static_cast<float>(13.5 + right_ + x - turn_ * y), static_cast<float>(13.5 + down_ + y + turn_ * x)};
  }

 private:
  Random& random_;
  double width_, height_, slant_, turn_, right_, down_, bend_x_, bend_y_, swell_x_, swell_y_;
};

bool operator==(Point a, Point b) { return a.x == b.x && a.y == b.y; }

// A sheet of pixels, and a pen with a round tip.
class Sheet {
 public:
  explicit Sheet(float radius) : reach_(radius + 0.5f) { squares_.fill(reach_ * reach_); }

  // A smooth curve through the points (a Catmull-Rom spline), in short lines.
  void curve(const Stroke& points) {
    for (std::size_t i = 0; i + 1 < points.size(); ++i) {
      const Point p1 = points[i], p2 = points[i + 1];
      if (p1 == p2) continue;  // a corner: the curve starts anew
      const Point p0 = points[i > 0 ? i - 1 : i], p3 = points[std::min(i + 2, points.size() - 1)];
      Point pen = p1;
      for (const float t : {0.25f, 0.5f, 0.75f, 1.0f}) {
        const Point next = {between(p0.x, p1.x, p2.x, p3.x, t), between(p0.y, p1.y, p2.y, p3.y, t)};
        line(pen, next);
        pen = next;
      }
    }
  }

  // How far a pixel is covered, from 0 to 1; the edge of a line is one pixel wide.
  float ink(std::size_t pixel) const { return std::min(reach_ - std::sqrt(squares_[pixel]), 1.0f); }

 private:
  static float between(float p0, float p1, float p2, float p3, float t) {
    return p1 + 0.5f * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)));
  }

  void line(Point a, Point b) {
    const float ex = b.x - a.x, ey = b.y - a.y;
    const float per_square = 1 / std::max(ex * ex + ey * ey, 1e-12f);
    const auto first = [this](float p, float q) { return std::max(static_cast<int>(std::min(p, q) - reach_), 0); };
    const auto last = [this](float p, float q) { return std::min(static_cast<int>(std::max(p, q) + reach_), 27); };
    const int left = first(a.x, b.x), right = last(a.x, b.x), top = first(a.y, b.y), bottom = last(a.y, b.y);
    for (int row = top; row <= bottom; ++row) {
      for (int column = left; column <= right; ++column) {
        const float px = static_cast<float>(column) - a.x, py = static_cast<float>(row) - a.y;
        const float along = std::clamp((px * ex + py * ey) * per_square, 0.0f, 1.0f);
        const float dx = px - along * ex, dy = py - along * ey;
        float& square = squares_[static_cast<std::size_t>(row * image_columns + column)];
        square = std::min(square, dx * dx + dy * dy);
      }
    }
  }

  float reach_;                              // no ink further from the middle of a line than this
  std::array<float, image_pixels> squares_;  // of each pixel's distance from the nearest line, at most reach_
};

void draw(const Glyph& glyph, Random& random, std::uint8_t* pixels) {
  Hand hand(random);
  Sheet sheet(static_cast<float>(random.uniform(0.7, 1.8)));
  Stroke written;
  for (const Stroke& stroke : glyph) {
    written.clear();
    for (std::size_t i = 0; i < stroke.size(); ++i) {
      const bool corner = i > 0 && stroke[i] == stroke[i - 1];
      written.push_back(corner ? written.back() : hand.write(stroke[i]));
    }
    sheet.curve(written);
  }
  const auto black = static_cast<float>(random.uniform(200, 256));
  const auto grain = static_cast<float>(random.uniform(0, 0.25));
  std::array<std::uint8_t, image_pixels> noise;
  for (std::size_t i = 0; i < noise.size(); i += 8) {
    const std::uint64_t bits = random.bits();
    for (std::size_t k = 0; k < 8; ++k) noise[i + k] = static_cast<std::uint8_t>(bits >> 8 * k);
  }
  for (std::size_t i = 0; i < noise.size(); ++i) {
    const float value = black * sheet.ink(i) + grain * (static_cast<float>(noise[i]) - 128);
    pixels[i] = static_cast<std::uint8_t>(static_cast<int>(std::clamp(value, 0.0f, 255.0f)));
  }
}

}  // namespace

Digits draw_digits(std::uint64_t seed, Eigen::Index first, Eigen::Index count) {
  if (first < 0 || count < 0) {
    throw std::invalid_argument("data: draw_digits(seed, first, count): expected first >= 0 and count >= 0");
  }
  Digits digits;
  digits.pixels.resize(static_cast<std::size_t>(count * image_pixels));
  digits.labels.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < digits.labels.size(); ++i) {
    const auto image = static_cast<std::uint64_t>(first) + i;
    Random random(seed, image);
    digits.labels[i] = static_cast<std::uint8_t>(image % 10);
    const std::vector<Glyph>& ways = alphabet[digits.labels[i]];
    const auto way = static_cast<std::size_t>(random.below(static_cast<Eigen::Index>(ways.size())));
    draw(ways[way], random, &digits.pixels[i * image_pixels]);
  }
  return digits;
}

}  // namespace data
