#include "nn/pooling.hpp"

#include <cassert>
#include <limits>

namespace nn {
namespace {

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

/// Calls visit(row of the output, pixel that it sees, the pixel's number in the window).
template <class Visit>
void for_each_pixel(const Shape& image, const Window& window, Eigen::Index samples, const Visit& visit) {
  for_each_window_line(image, window, samples,
                       [&](Eigen::Index row, Eigen::Index first, Eigen::Index end, Eigen::Index number) {
                         for (Eigen::Index pixel = first; pixel < end; ++pixel, ++number) visit(row, pixel, number);
                       });
}

// With pointers that may alias, a short-circuit || or bytes for the numbers, g++ does not vectorize these two, and the
// pools take two fifths of a training step of experiments/networks/inception_network.hpp.
template <class Scalar>
void compete(Eigen::Index channels, const Scalar* __restrict value, Scalar number, Scalar* __restrict largest,
             Scalar* __restrict winner) {
  for (Eigen::Index c = 0; c < channels; ++c) {
    const bool wins = (value[c] > largest[c]) | (value[c] != value[c]);
    largest[c] = wins ? value[c] : largest[c];
    winner[c] = wins ? number : winner[c];
  }
}

template <class Scalar>
void reward(Eigen::Index channels, const Scalar* __restrict winner, Scalar number, const Scalar* __restrict gradient,
            Scalar* __restrict target) {
  for (Eigen::Index c = 0; c < channels; ++c) target[c] += winner[c] == number ? gradient[c] : Scalar(0);
}

}  // namespace

template <class Scalar>
MaxPool<Scalar>::MaxPool(const Shape& image, const Window& window)
    : image_(image), window_(window), output_(window.slide_over(image, image.channels)) {
  assert(window.padding < window.size);
}

template <class Scalar>
void MaxPool<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  const Eigen::Index samples = x.rows() / image_.pixels();
  y.resize(samples * output_.pixels(), image_.channels);
  y.setConstant(-std::numeric_limits<Scalar>::infinity());
  winner_.setZero(y.rows(), y.cols());
  for_each_pixel(image_, window_, samples, [&](Eigen::Index row, Eigen::Index pixel, Eigen::Index number) {
    compete(image_.channels, &x(pixel, 0), static_cast<Scalar>(number), &y(row, 0), &winner_(row, 0));
  });
}

template <class Scalar>
void MaxPool<Scalar>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy,
                               Matrix<Scalar>* dx) {
  if (!dx) return;
  dx->setZero(x.rows(), x.cols());
  const Eigen::Index samples = x.rows() / image_.pixels();
  for_each_pixel(image_, window_, samples, [&](Eigen::Index row, Eigen::Index pixel, Eigen::Index number) {
    reward(image_.channels, &winner_(row, 0), static_cast<Scalar>(number), &dy(row, 0), &(*dx)(pixel, 0));
  });
}

template <class Scalar>
AveragePool<Scalar>::AveragePool(const Shape& image, const Window& window)
    : image_(image),
      window_(window),
      output_(window.slide_over(image, image.channels)),
      weight_(Scalar(1) / static_cast<Scalar>(window.size * window.size)) {}

template <class Scalar>
void AveragePool<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  const Eigen::Index samples = x.rows() / image_.pixels();
  y.setZero(samples * output_.pixels(), image_.channels);
  for_each_pixel(image_, window_, samples, [&](Eigen::Index row, Eigen::Index pixel, Eigen::Index) {
    Scalar* sum = &y(row, 0);
    const Scalar* value = &x(pixel, 0);
    for (Eigen::Index c = 0; c < image_.channels; ++c) sum[c] += weight_ * value[c];
  });
}

template <class Scalar>
void AveragePool<Scalar>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy,
                                   Matrix<Scalar>* dx) {
  if (!dx) return;
  dx->setZero(x.rows(), x.cols());
  const Eigen::Index samples = x.rows() / image_.pixels();
  for_each_pixel(image_, window_, samples, [&](Eigen::Index row, Eigen::Index pixel, Eigen::Index) {
    Scalar* sum = &(*dx)(pixel, 0);
    const Scalar* gradient = &dy(row, 0);
    for (Eigen::Index c = 0; c < image_.channels; ++c) sum[c] += weight_ * gradient[c];
  });
}

template <class Scalar>
void GlobalAveragePool<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  y.resize(x.rows() / image_.pixels(), image_.channels);
  for (Eigen::Index i = 0; i < y.rows(); ++i)
    y.row(i) = x.middleRows(i * image_.pixels(), image_.pixels()).colwise().sum() / pixels();
}

template <class Scalar>
void GlobalAveragePool<Scalar>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>&, const Matrix<Scalar>& dy,
                                         Matrix<Scalar>* dx) {
  if (!dx) return;
  dx->resizeLike(x);
  // Row by row: to spread an expression over rows, Eigen would allocate its value.
  for (Eigen::Index i = 0; i < dx->rows(); ++i) dx->row(i) = dy.row(i / image_.pixels()) / pixels();
}

template class MaxPool<float>;
template class MaxPool<double>;
template class AveragePool<float>;
template class AveragePool<double>;
template class GlobalAveragePool<float>;
template class GlobalAveragePool<double>;

}  // namespace nn
