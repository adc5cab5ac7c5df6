#include "nn/dropout.hpp"

#include <cassert>

namespace nn {

template <class Scalar>
Dropout<Scalar>::Dropout(double probability, std::uint64_t seed) : probability_(probability), uniform_(seed) {
  assert(probability >= 0 && probability < 1);
}

template <class Scalar>
void Dropout<Scalar>::forward(const Matrix<Scalar>& x, Matrix<Scalar>& y) {
  if (!active_) return void(y = x);
  const auto kept = static_cast<Scalar>(1 / (1 - probability_));
  mask_.resizeLike(x);
  for (Scalar& factor : mask_.reshaped()) factor = uniform_() < probability_ ? Scalar(0) : kept;
  y = x.cwiseProduct(mask_);
}

template <class Scalar>
void Dropout<Scalar>::backward(const Matrix<Scalar>&, const Matrix<Scalar>&, const Matrix<Scalar>& dy,
                               Matrix<Scalar>* dx) {
  if (!dx) return;
  if (!active_) return void(*dx = dy);
  *dx = dy.cwiseProduct(mask_);
}

template class Dropout<float>;
template class Dropout<double>;

}  // namespace nn
