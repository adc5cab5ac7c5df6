#include "nn/patches.hpp"

#include <algorithm>

namespace nn {

template <class Scalar>
Patches<Scalar>::Patches(const Shape& image, const Window& window)
    : image_(image),
      window_(window),
      positions_(window.slide_over(image, window.size * window.size * image.channels)) {}

template <class Scalar>
void Patches<Scalar>::gather(const Matrix<Scalar>& x, Eigen::Index first, Eigen::Index samples,
                             Rows<Scalar> patches) const {
  const Eigen::Index line = window_.size * image_.channels;
  for_each_line(first, samples, [&](Eigen::Index row, Eigen::Index offset, Eigen::Index pixel, const Span& columns) {
    Scalar* target = patches.data() + row * positions_.channels + offset;
    const Eigen::Index before = pixel < 0 ? line : (columns.first - columns.origin) * image_.channels;
    const Eigen::Index inside = pixel < 0 ? 0 : (columns.end - columns.first) * image_.channels;
    std::fill_n(target, before, Scalar(0));
    if (inside > 0) std::copy_n(x.data() + pixel * image_.channels, inside, target + before);
    std::fill_n(target + before + inside, line - before - inside, Scalar(0));
  });
}

template <class Scalar>
void Patches<Scalar>::scatter(const ConstRows<Scalar>& patches, Eigen::Index first, Eigen::Index samples,
                              Matrix<Scalar>& x) const {
  for_each_line(first, samples, [&](Eigen::Index row, Eigen::Index offset, Eigen::Index pixel, const Span& columns) {
    if (pixel < 0) return;
    const Scalar* source =
        patches.data() + row * positions_.channels + offset + (columns.first - columns.origin) * image_.channels;
    Scalar* target = x.data() + pixel * image_.channels;
    const Eigen::Index inside = (columns.end - columns.first) * image_.channels;
    for (Eigen::Index i = 0; i < inside; ++i) target[i] += source[i];
  });
}

template <class Scalar>
template <class Visit>
void Patches<Scalar>::for_each_line(Eigen::Index first, Eigen::Index samples, const Visit& visit) const {
  Eigen::Index row = 0;
  for (Eigen::Index sample = first; sample < first + samples; ++sample) {
    for (Eigen::Index i = 0; i < positions_.rows; ++i) {
      for (Eigen::Index j = 0; j < positions_.columns; ++j, ++row) {
        const Span columns(window_, j, image_.columns);
        for (Eigen::Index k = 0; k < window_.size; ++k) {
          const Eigen::Index line = i * window_.stride - window_.padding + k;
          const bool seen = line >= 0 && line < image_.rows && columns.first < columns.end;
          const Eigen::Index pixel = (sample * image_.rows + line) * image_.columns + columns.first;
          visit(row, k * window_.size * image_.channels, seen ? pixel : -1, columns);
        }
      }
    }
  }
}

template class Patches<float>;
template class Patches<double>;

}  // namespace nn
