#pragma once

#include <functional>
#include <initializer_list>
#include <utility>
#include <vector>

#include "nn/activations.hpp"
#include "nn/batch_norm.hpp"
#include "nn/branches.hpp"
#include "nn/convolution.hpp"
#include "nn/dropout.hpp"
#include "nn/local_response_norm.hpp"
#include "nn/pooling.hpp"

namespace nn {

/// What follows each convolution of a network.
struct Unit {
  enum class Activation { relu, sigmoid };

  bool batch_norm = true;
  Activation activation = Activation::relu;
  bool per_activation = false;  ///< batch normalization of each pixel's channels by themselves: see BatchNorm
};

/// Puts together a network for images, keeping count of their shape:
///
///     nn::ImageStack<float> net({14, 14, 1}, {.batch_norm = true});
///     net.convolution(16).max_pool({.stride = 2});
///     net.branches({[](auto& branch) { branch.convolution(8, {.size = 1}); },
///                   [](auto& branch) { branch.convolution(8, {.size = 1}).convolution(8); }});
///     net.global_average_pool().dense(10);
///     nn::Sequential<float> model = net.take();
template <class Scalar>
class ImageStack {
 public:
  using Branch = std::function<void(ImageStack&)>;

  ImageStack(const Shape& image, const Unit& unit) : shape_(image), unit_(unit) {}

  /// What comes out of it so far.
  const Shape& shape() const { return shape_; }

  /// What follows each convolution from here on.
  ImageStack& use(const Unit& unit) {
    unit_ = unit;
    return *this;
  }

  /// A convolution, then batch normalization or else a bias, then the activation.
  ImageStack& convolution(Eigen::Index channels, const Window& window = {}) {
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

  ImageStack& max_pool(const Window& window = {}) { return add_shaped(MaxPool<Scalar>(shape_, window)); }
  ImageStack& average_pool(const Window& window = {}) { return add_shaped(AveragePool<Scalar>(shape_, window)); }
  ImageStack& global_average_pool() { return add_shaped(GlobalAveragePool<Scalar>(shape_)); }

  /// Several stacks on the same images, their results put together by channels.
  ImageStack& branches(std::initializer_list<Branch> build) {
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

  ImageStack& dropout(double probability, std::uint64_t seed) { return add(Dropout<Scalar>(probability, seed)); }

  ImageStack& local_response_norm(const typename LocalResponseNorm<Scalar>::Options& options = {}) {
    return add(LocalResponseNorm<Scalar>(options));
  }

  /// A dense layer on images of one pixel, such as global_average_pool() makes, without an activation.
  ImageStack& dense(Eigen::Index outputs) {
    assert(shape_.pixels() == 1);
    const Eigen::Index inputs = std::exchange(shape_.channels, outputs);
    return add(Dense<Scalar>(inputs, outputs));
  }

  /// The finished model; the stack is empty then.
  Sequential<Scalar> take() { return std::move(model_); }

 private:
  template <class AnyLayer>
  ImageStack& add(AnyLayer layer) {
    model_.add(std::move(layer));
    return *this;
  }

  template <class AnyLayer>
  ImageStack& add_shaped(AnyLayer layer) {
    shape_ = layer.output_shape();
    return add(std::move(layer));
  }

  Shape shape_;
  Unit unit_;
  Sequential<Scalar> model_;
};

}  // namespace nn
