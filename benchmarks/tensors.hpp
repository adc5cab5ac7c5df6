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
  for (const auto* list :
       {&dense_shapes, &image_shapes, &resnet50_shapes, &mlp_shapes, &sums_images, &sums_matrices, &masked_shapes}) {
    for (const Shape& named : *list) {
      if (shape.name.empty() && named.same_extents(shape)) shape.name = named.name;
    }
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

/// A weight of 0 or 1 for each position of x.
inline Eigen::Tensor<float, 2, Eigen::RowMajor> random_mask(const Shape& shape) {
  Eigen::Tensor<float, 2, Eigen::RowMajor> mask(shape.samples, shape.plane);
  mask.setRandom();
  return mask.round();
}

/// Bytes per second if a call moves `tensors` times the bytes of x, as the Cost line of its docstring says.
template <class Storage>
void report(benchmark::State& state, const Shape& shape, int tensors) {
  state.SetLabel(shape.name);
  state.SetBytesProcessed(state.iterations() * tensors * shape.size() * Index(sizeof(typename Storage::Scalar)));
}

inline void add_rows(benchmark::internal::Benchmark* row, const std::vector<Shape>& shapes) {
  row->ArgNames({"samples", "channels", "plane"})->UseRealTime();
  for (const Shape& s : shapes) row->Args({s.samples, s.channels, s.plane});
}

/// The images, and the layers of ResNet-50 and the sequences that are not among them.
inline void all_images(benchmark::internal::Benchmark* row) {
  add_rows(row, image_shapes);
  for (const auto* list : {&resnet50_shapes, &masked_shapes}) {
    for (const Shape& s : *list) {
      const auto same = [&](const Shape& image) { return image.same_extents(s); };
      if (std::none_of(image_shapes.begin(), image_shapes.end(), same)) row->Args({s.samples, s.channels, s.plane});
    }
  }
}

inline void all_matrices(benchmark::internal::Benchmark* row) {
  add_rows(row, dense_shapes);
  for (const Shape& s : mlp_shapes) row->Args({s.samples, s.channels, s.plane});
}

/// Images, and sequences of 512 steps, for what is beside an unweighted row.
inline void masked_images(benchmark::internal::Benchmark* row) { add_rows(row, masked_shapes); }

/// One image and one matrix for what differs from float only by its element type.
inline void one_image(benchmark::internal::Benchmark* row) { add_rows(row, {image_shapes[1]}); }
inline void one_matrix(benchmark::internal::Benchmark* row) { add_rows(row, {dense_shapes[2]}); }

}  // namespace benchmarks
