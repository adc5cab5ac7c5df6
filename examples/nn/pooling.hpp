#pragma once

#include "nn/layer.hpp"
#include "nn/shape.hpp"

namespace nn {

/// The largest value that the window sees in each channel; NaN if it sees one. The border is never the largest.
template <class Scalar>
class MaxPool final : public Layer<Scalar> {
 public:
  MaxPool(const Shape& image, const Window& window);

  const Shape& output_shape() const { return output_; }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  /// All of the gradient goes to the first of the largest.
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;

 private:
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
  AveragePool(const Shape& image, const Window& window);

  const Shape& output_shape() const { return output_; }

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;

 private:
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

  void forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) override;
  void backward(const Matrix<Scalar>& x, const Matrix<Scalar>& y, const Matrix<Scalar>& dy,
                Matrix<Scalar>* dx) override;

 private:
  Scalar pixels() const { return static_cast<Scalar>(image_.pixels()); }

  Shape image_;
};

extern template class MaxPool<float>;
extern template class MaxPool<double>;
extern template class AveragePool<float>;
extern template class AveragePool<double>;
extern template class GlobalAveragePool<float>;
extern template class GlobalAveragePool<double>;

}  // namespace nn
