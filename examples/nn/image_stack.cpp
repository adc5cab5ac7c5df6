#include "nn/image_stack.hpp"

#include <cassert>
#include <utility>
#include <vector>

#include "nn/activations.hpp"
#include "nn/batch_norm.hpp"
#include "nn/branches.hpp"
#include "nn/convolution.hpp"
#include "nn/dropout.hpp"
#include "nn/pooling.hpp"

namespace nn {

template <class Scalar>
ImageStack<Scalar>::ImageStack(const Shape& image, const Unit& unit) : shape_(image), unit_(unit) {}

template <class Scalar>
ImageStack<Scalar>& ImageStack<Scalar>::use(const Unit& unit) {
  unit_ = unit;
  return *this;
}

template <class Scalar>
ImageStack<Scalar>& ImageStack<Scalar>::convolution(Eigen::Index channels, const Window& window) {
  add_shaped(Convolution<Scalar>(shape_, channels, window, unit_.batch_norm ? Bias::no : Bias::yes));
  const bool relu = unit_.activation == Unit::Activation::relu;
  if (unit_.batch_norm) {
    const Eigen::Index pixels = unit_.per_activation ? shape_.pixels() : 1;
    const bn::Options options{.channels = pixels * channels};
    relu ? add(BatchNorm<Scalar, bn::relu>(options, pixels)) : add(BatchNorm<Scalar, bn::sigmoid>(options, pixels));
  } else {
    relu ? add(Relu<Scalar>()) : add(Sigmoid<Scalar>());
  }
  return *this;
}

template <class Scalar>
ImageStack<Scalar>& ImageStack<Scalar>::max_pool(const Window& window) {
  return add_shaped(MaxPool<Scalar>(shape_, window));
}

template <class Scalar>
ImageStack<Scalar>& ImageStack<Scalar>::average_pool(const Window& window) {
  return add_shaped(AveragePool<Scalar>(shape_, window));
}

template <class Scalar>
ImageStack<Scalar>& ImageStack<Scalar>::global_average_pool() {
  return add_shaped(GlobalAveragePool<Scalar>(shape_));
}

template <class Scalar>
ImageStack<Scalar>& ImageStack<Scalar>::branches(std::initializer_list<Branch> build) {
  std::vector<Sequential<Scalar>> models;
  Shape joined{0, 0, 0};
  for (const Branch& build_one : build) {
    ImageStack branch(shape_, unit_);
    build_one(branch);
    assert(models.empty() || (branch.shape_.rows == joined.rows && branch.shape_.columns == joined.columns));
    joined = {branch.shape_.rows, branch.shape_.columns, joined.channels + branch.shape_.channels};
    models.push_back(branch.take());
  }
  shape_ = joined;
  return add(Branches<Scalar>(std::move(models)));
}

template <class Scalar>
ImageStack<Scalar>& ImageStack<Scalar>::dropout(double probability, std::uint64_t seed) {
  return add(Dropout<Scalar>(probability, seed));
}

template <class Scalar>
ImageStack<Scalar>& ImageStack<Scalar>::local_response_norm(
    const typename LocalResponseNorm<Scalar>::Options& options) {
  return add(LocalResponseNorm<Scalar>(options));
}

template <class Scalar>
ImageStack<Scalar>& ImageStack<Scalar>::dense(Eigen::Index outputs) {
  assert(shape_.pixels() == 1);
  const Eigen::Index inputs = std::exchange(shape_.channels, outputs);
  return add(Dense<Scalar>(inputs, outputs));
}

template <class Scalar>
Sequential<Scalar> ImageStack<Scalar>::take() {
  return std::move(model_);
}

template <class Scalar>
template <class AnyLayer>
ImageStack<Scalar>& ImageStack<Scalar>::add(AnyLayer layer) {
  model_.add(std::move(layer));
  return *this;
}

template <class Scalar>
template <class AnyLayer>
ImageStack<Scalar>& ImageStack<Scalar>::add_shaped(AnyLayer layer) {
  shape_ = layer.output_shape();
  return add(std::move(layer));
}

template class ImageStack<float>;
template class ImageStack<double>;

}  // namespace nn
