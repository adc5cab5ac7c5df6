/// \file
/// What the Google Benchmark programs share: storage in every layout, rows for the shapes, and bytes per second.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <batchnorm/batchnorm.hpp>
#include <unsupported/Eigen/CXX11/Tensor>

#include "shapes.hpp"

namespace benchmarks {

namespace bn = batchnorm;

/// NCHW, height and width as one axis.
template <class Element>
struct planes {
  using Scalar = Element;
  using Layout = bn::channel_first;
  using Tensor = Eigen::Tensor<Scalar, 3, Eigen::RowMajor>;
  static Tensor make(const Shape& s) { return Tensor(s.samples, s.channels, s.plane); }
};

/// NHWC, height and width as one axis.
template <class Element>
struct rows {
  using Scalar = Element;
  using Layout = bn::channel_last;
  using Tensor = Eigen::Tensor<Scalar, 3, Eigen::RowMajor>;
  static Tensor make(const Shape& s) { return Tensor(s.samples, s.plane, s.channels); }
};

template <class Element, int StorageOrder>
struct matrix {
  using Scalar = Element;
  using Layout = bn::samples_in_rows;
  using Tensor = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, StorageOrder>;
  static Tensor make(const Shape& s) { return Tensor(s.samples, s.channels); }
};
template <class Element>
using row_major = matrix<Element, Eigen::RowMajor>;
template <class Element>
using column_major = matrix<Element, Eigen::ColMajor>;

/// The shape that the arguments of a row name.
inline Shape shape_of(const benchmark::State& state) {
  Shape shape{"", state.range(0), state.range(1), state.range(2)};
  for (const Shape& named :
       distinct({dense_shapes, image_shapes, resnet50_shapes, mlp_shapes, sums_images, sums_matrices, masked_shapes})) {
    if (named.same_extents(shape)) return named;
  }
  return shape;
}

/// A tensor with random contents, its pages touched before the clock runs.
template <class Storage>
typename Storage::Tensor random_tensor(const Shape& shape) {
  auto tensor = Storage::make(shape);
  tensor.setRandom();
  return tensor;
}

/// Lets the compiler think that others look at the values, so that ClobberMemory and the like cover them.
template <class... Tensors>
void escape(Tensors&... tensors) {
  const auto escape_one = [](auto* data) { benchmark::DoNotOptimize(data); };
  (escape_one(tensors.data()), ...);
}

/// How the values of x count in a call: all alike.
struct unweighted {
  explicit unweighted(const Shape&) {}
  bn::CallOptions options() const { return {}; }
  template <class Activation>
  bn::FusedOptions<Activation> fused_options() const {
    return {};
  }
};

/// A weight of 0 or 1 for each position of x. The bytes of the mask are not counted.
struct masked {
  explicit masked(const Shape& shape) : mask(shape.samples, shape.plane) { mask = mask.setRandom().round(); }
  bn::WeightedCallOptions options() const { return {.weights = mask}; }
  template <class Activation>
  bn::WeightedFusedOptions<Activation> fused_options() const {
    return {.weights = mask};
  }

  Eigen::Tensor<float, 2, Eigen::RowMajor> mask;
};

/// Bytes per second if a call moves `tensors` times the bytes of x, as the Cost line of its docstring says.
template <class Storage>
void report(benchmark::State& state, const Shape& shape, int tensors) {
  state.SetLabel(shape.name);
  state.SetBytesProcessed(state.iterations() * tensors * shape.size() * Index(sizeof(typename Storage::Scalar)));
}

// Of type auto, since the type of a row has another name from version to version; objects, since a template cannot
// become the std::function that Apply takes.
inline constexpr auto add_rows = [](auto* row, const std::vector<Shape>& shapes) {
  row->ArgNames({"samples", "channels", "plane"})->UseRealTime();
  for (const Shape& s : shapes) row->Args({s.samples, s.channels, s.plane});
};

/// The images, and the layers of ResNet-50 and what is masked elsewhere that are not among them.
inline constexpr auto all_images = [](auto* row) {
  add_rows(row, distinct({image_shapes, resnet50_shapes, masked_shapes}));
};
inline constexpr auto all_matrices = [](auto* row) { add_rows(row, distinct({dense_shapes, mlp_shapes})); };

/// For what is beside an unweighted row.
inline constexpr auto masked_images = [](auto* row) { add_rows(row, masked_shapes); };

/// One image and one matrix for what differs from float only by its element type.
inline constexpr auto one_image = [](auto* row) { add_rows(row, {image_shapes[1]}); };
inline constexpr auto one_matrix = [](auto* row) { add_rows(row, {dense_shapes[2]}); };

}  // namespace benchmarks
