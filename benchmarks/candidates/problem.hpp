/// \file
/// One problem that all candidates solve: a pass over a shape, on the same buffers.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "shapes.hpp"

namespace benchmarks {

enum class Pass { forward, backward, inference };
/// planes: NCHW. rows: NHWC. matrices: row-major, one sample in each row.
enum class Layout { planes, rows, matrices };
enum class Activation { identity, relu };

std::string name_of(Pass pass);
std::string name_of(Layout layout);
std::string name_of(Activation activation);

inline constexpr double epsilon = 1e-5;

struct Task {
  Pass pass;
  Layout layout;
  Activation activation;
  Shape shape;

  bool fuses_relu() const { return activation == Activation::relu; }
  /// The tensors that the pass reads: x, and for a backward pass dy.
  int inputs() const { return pass == Pass::backward ? 2 : 1; }
  /// The bytes of all tensors that the pass reads and writes.
  Index bytes() const { return (inputs() + 1) * shape.bytes(); }
  /// The channel of the element at position k in memory.
  Index channel_of(Index k) const { return (layout == Layout::planes ? k / shape.plane : k) % shape.channels; }
};

/// Floats that begin with a page, as large arrays from the system do.
class Buffer {
 public:
  explicit Buffer(Index size);

  float* data() const { return data_.get(); }
  Index size() const { return size_; }
  float* begin() const { return data(); }
  float* end() const { return data() + size_; }
  float& operator[](Index k) const { return data_[std::size_t(k)]; }

 private:
  struct Free {
    void operator()(float* data) const { std::free(data); }
  };
  Index size_;
  std::unique_ptr<float[], Free> data_;
};

/// Inputs, which no candidate changes, and outputs, which each overwrites.
struct Problem {
  /// Random inputs, the same ones whenever the task is the same.
  explicit Problem(Task task_);

  Task task;
  Buffer x, dy;
  std::vector<float> gamma, beta, running_mean, running_variance;

  /// y, or dx of a backward pass.
  Buffer out;
  std::vector<float> dgamma, dbeta;
};

}  // namespace benchmarks
