#include "nn/convolution.hpp"

#include <algorithm>
#include <cassert>

namespace nn {

template <class Scalar>
Convolution<Scalar>::Convolution(const Shape& image, Eigen::Index outputs, const Window& window, Bias bias)
    : image_(image),
      output_(window.slide_over(image, outputs)),
      patches_(image, window),
      is_dense_(window == Window{.size = 1} && image.channels > 1),
      dense_(patches_.shape().channels, outputs, bias),
      samples_at_once_(std::max<Eigen::Index>(1, rows_at_once / output_.pixels())) {}

template <class Scalar>
void Convolution<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  if (is_dense_) return dense_.forward(x, y);
  y.resize(samples_of(x) * output_.pixels(), output_.channels);
  for_each_block(x, [&](Eigen::Index first, Eigen::Index samples, Rows<Scalar> patches) {
    patches_.gather(x, first, samples, patches);
    dense_.multiply(patches, y.middleRows(first * output_.pixels(), patches.rows()));
  });
}

template <class Scalar>
void Convolution<Scalar>::backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                                   Matrix<Scalar>* dx) {
  if (is_dense_) return dense_.backward(x, y, dy, dx);
  if (dx) dx->setZero(x.rows(), x.cols());
  for_each_block(x, [&](Eigen::Index first, Eigen::Index samples, Rows<Scalar> patches) {
    patches_.gather(x, first, samples, patches);
    const ConstRows<Scalar> block = dy.middleRows(first * output_.pixels(), patches.rows());
    dense_.add_gradients(patches, block);
    if (!dx) return;
    dense_.multiply_transposed(block, patches);
    patches_.scatter(patches, first, samples, *dx);
  });
}

template <class Scalar>
void Convolution<Scalar>::for_each_parameter(const ParameterVisitor<Scalar>& visit) {
  dense_.for_each_parameter(visit);
}

template <class Scalar>
void Convolution<Scalar>::initialize(Normal& normal, const Deviation& deviation) {
  dense_.initialize(normal, deviation);
}

template <class Scalar>
Eigen::Index Convolution<Scalar>::samples_of(const Matrix<Scalar>& x) const {
  assert(x.size() % (image_.pixels() * image_.channels) == 0);
  return x.size() / (image_.pixels() * image_.channels);
}

template <class Scalar>
template <class Body>
void Convolution<Scalar>::for_each_block(const Matrix<Scalar>& x, const Body& body) {
  const Eigen::Index samples = samples_of(x), width = patches_.shape().channels;
  buffer_.resize(samples_at_once_ * output_.pixels(), width);
  for (Eigen::Index first = 0; first < samples; first += samples_at_once_) {
    const Eigen::Index count = std::min(samples_at_once_, samples - first);
    body(first, count, buffer_.topRows(count * output_.pixels()));
  }
}

template class Convolution<float>;
template class Convolution<double>;

}  // namespace nn
