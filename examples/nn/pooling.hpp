#pragma once

#include <cassert>
#include <limits>

#include "nn/layer.hpp"
#include "nn/shape.hpp"

namespace nn {

/// Calls visit(row of the output, first, end: the pixels of one line of the window that lie within the image, number of
/// the first in the window) for each line of the window at each of its positions.
template <class Visit>
void for_each_window_line(const Shape& image, const Window& window, Eigen::Index samples, const Visit& visit) {
  const Shape output = window.slide_over(image, image.channels);
  Eigen::Index row = 0;
  for (Eigen::Index sample = 0; sample < samples; ++sample) {
    for (Eigen::Index i = 0; i < output.rows; ++i) {
      const Span lines(window, i, image.rows);
      for (Eigen::Index j = 0; j < output.columns; ++j, ++row) {
        const Span columns(window, j, image.columns);
        for (Eigen::Index line = lines.first; line < lines.end; ++line) {
          const Eigen::Index pixel = (sample * image.rows + line) * image.columns;
          visit(row, pixel + columns.first, pixel + columns.end,
                (line - lines.origin) * window.size + columns.first - columns.origin);
        }
      }
    }
  }
}

/// The largest value that the window sees in each channel; NaN if it sees one. The border is never the largest.
template <class Scalar>
class MaxPool final : public Layer<Scalar> {
 public:
  MaxPool(const Shape& image, const Window& window)
      : image_(image), window_(window), output_(window.slide_over(image, image.channels)) {
    assert(window.padding < window.size);
  }

  const Shape& output_shape() const { return output_; }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    const Eigen::Index samples = x.rows() / image_.pixels();
    y.resize(samples * output_.pixels(), image_.channels);
    y.setConstant(-std::numeric_limits<Scalar>::infinity());
    winner_.setZero(y.rows(), y.cols());
    for_each_pixel(samples, [&](Eigen::Index row, Eigen::Index pixel, Scalar number) {
      compete(image_.channels, &x(pixel, 0), number, &y(row, 0), &winner_(row, 0));
    });
  }

  /// All of the gradient goes to the first of the largest.
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    if (!dx) return;
    dx->setZero(x.rows(), x.cols());
    for_each_pixel(x.rows() / image_.pixels(), [&](Eigen::Index row, Eigen::Index pixel, Scalar number) {
      reward(image_.channels, &winner_(row, 0), number, &dy(row, 0), &(*dx)(pixel, 0));
    });
  }

 private:
  /// Calls visit(row of the output, pixel that it sees, the pixel's number in the window).
  template <class Visit>
  void for_each_pixel(Eigen::Index samples, const Visit& visit) const {
    for_each_window_line(image_, window_, samples,
                         [&](Eigen::Index row, Eigen::Index first, Eigen::Index end, Eigen::Index number) {
                           for (Eigen::Index pixel = first; pixel < end; ++pixel, ++number)
                             visit(row, pixel, static_cast<Scalar>(number));
                         });
  }

  // With pointers that may alias, a short-circuit || or bytes for the numbers, g++ does not vectorize these two, and the
  // pools take two fifths of a training step of program/inception_network.hpp.
  static void compete(Eigen::Index channels, const Scalar* __restrict value, Scalar number, Scalar* __restrict largest,
                      Scalar* __restrict winner) {
    for (Eigen::Index c = 0; c < channels; ++c) {
      const bool wins = (value[c] > largest[c]) | (value[c] != value[c]);
      largest[c] = wins ? value[c] : largest[c];
      winner[c] = wins ? number : winner[c];
    }
  }

  static void reward(Eigen::Index channels, const Scalar* __restrict winner, Scalar number,
                     const Scalar* __restrict gradient, Scalar* __restrict target) {
    for (Eigen::Index c = 0; c < channels; ++c) target[c] += winner[c] == number ? gradient[c] : Scalar(0);
  }

  Shape image_;
  Window window_;
  Shape output_;
  /// The number in the window of the pixel that was the largest: ties are common after ReLU, so that x == y would not
  /// tell.
  Matrix<Scalar> winner_;
};

/// The mean of what the window sees in each channel; the border counts as zeros.
template <class Scalar>
class AveragePool final : public Layer<Scalar> {
 public:
  AveragePool(const Shape& image, const Window& window)
      : image_(image),
        window_(window),
        output_(window.slide_over(image, image.channels)),
        weight_(Scalar(1) / static_cast<Scalar>(window.size * window.size)) {}

  const Shape& output_shape() const { return output_; }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    const Eigen::Index samples = x.rows() / image_.pixels();
    y.setZero(samples * output_.pixels(), image_.channels);
    for_each_pixel(samples, [&](Eigen::Index row, Eigen::Index pixel) {
      Scalar* sum = &y(row, 0);
      const Scalar* value = &x(pixel, 0);
      for (Eigen::Index c = 0; c < image_.channels; ++c) sum[c] += weight_ * value[c];
    });
  }

  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    if (!dx) return;
    dx->setZero(x.rows(), x.cols());
    for_each_pixel(x.rows() / image_.pixels(), [&](Eigen::Index row, Eigen::Index pixel) {
      Scalar* sum = &(*dx)(pixel, 0);
      const Scalar* gradient = &dy(row, 0);
      for (Eigen::Index c = 0; c < image_.channels; ++c) sum[c] += weight_ * gradient[c];
    });
  }

 private:
  /// Calls visit(row of the output, pixel that counts for it).
  template <class Visit>
  void for_each_pixel(Eigen::Index samples, const Visit& visit) const {
    for_each_window_line(image_, window_, samples,
                         [&](Eigen::Index row, Eigen::Index first, Eigen::Index end, Eigen::Index) {
                           for (Eigen::Index pixel = first; pixel < end; ++pixel) visit(row, pixel);
                         });
  }

  Shape image_;
  Window window_;
  Shape output_;
  Scalar weight_;
};

/// The mean of each channel over the whole image: from [samples * pixels, channels] to [samples, channels].
template <class Scalar>
class GlobalAveragePool final : public Layer<Scalar> {
 public:
  explicit GlobalAveragePool(const Shape& image) : image_(image) {}

  Shape output_shape() const { return {1, 1, image_.channels}; }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override {
    y.resize(x.rows() / image_.pixels(), image_.channels);
    for (Eigen::Index i = 0; i < y.rows(); ++i)
      y.row(i) = x.middleRows(i * image_.pixels(), image_.pixels()).colwise().sum() / pixels();
  }

  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy, Matrix<Scalar>* dx) override {
    if (!dx) return;
    dx->resizeLike(x);
    // Row by row: to spread an expression over rows, Eigen would allocate its value.
    for (Eigen::Index i = 0; i < dx->rows(); ++i) dx->row(i) = dy.row(i / image_.pixels()) / pixels();
  }

 private:
  Scalar pixels() const { return static_cast<Scalar>(image_.pixels()); }

  Shape image_;
};

}  // namespace nn
