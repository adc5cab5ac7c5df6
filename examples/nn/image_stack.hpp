#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>

#include "nn/local_response_norm.hpp"
#include "nn/sequential.hpp"
#include "nn/shape.hpp"

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

  ImageStack(const Shape& image, const Unit& unit);

  /// What comes out of it so far.
  const Shape& shape() const { return shape_; }

  /// What follows each convolution from here on.
  ImageStack& use(const Unit& unit);

  /// A convolution, then batch normalization or else a bias, then the activation.
  ImageStack& convolution(Eigen::Index channels, const Window& window = {});

  ImageStack& max_pool(const Window& window = {});
  ImageStack& average_pool(const Window& window = {});
  ImageStack& global_average_pool();

  /// Several stacks on the same images, their results put together by channels.
  ImageStack& branches(std::initializer_list<Branch> build);

  ImageStack& dropout(double probability, std::uint64_t seed);
  ImageStack& local_response_norm(const typename LocalResponseNorm<Scalar>::Options& options = {});

  /// A dense layer on images of one pixel, such as global_average_pool() makes, without an activation.
  ImageStack& dense(Eigen::Index outputs);

  /// The finished model; the stack is empty then.
  Sequential<Scalar> take();

 private:
  template <class AnyLayer>
  ImageStack& add(AnyLayer layer);
  template <class AnyLayer>
  ImageStack& add_shaped(AnyLayer layer);

  Shape shape_;
  Unit unit_;
  Sequential<Scalar> model_;
};

extern template class ImageStack<float>;
extern template class ImageStack<double>;

}  // namespace nn
