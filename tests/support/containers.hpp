/// \file
/// The things users pass, each built in the same way: a container is made from extents, view() is the argument, and
/// untouched() says whether every element around the view still has the value it was born with.
///
/// An Arrangement is a container, a layout tag, and the axis the tag should mean, written down a second time.
#pragma once

#include <cstddef>
#include <unsupported/Eigen/CXX11/Tensor>
#include <utility>
#include <vector>

#include "values.hpp"

namespace testing_support {

/// What surrounds a view.
inline constexpr int guard = 77;

template <class Scalar_, int Order>
class OwnedMatrix {
 public:
  using Scalar = Scalar_;
  static constexpr std::size_t rank = 2;
  explicit OwnedMatrix(const Extents<2>& e) : matrix_(e[0], e[1]) { matrix_.setConstant(Scalar(guard)); }
  auto& view() { return matrix_; }
  bool untouched() const { return true; }

 private:
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Order> matrix_;
};

template <class Scalar_, int Order>
class OwnedArray {
 public:
  using Scalar = Scalar_;
  static constexpr std::size_t rank = 2;
  explicit OwnedArray(const Extents<2>& e) : array_(e[0], e[1]) { array_.setConstant(Scalar(guard)); }
  auto& view() { return array_; }
  bool untouched() const { return true; }

 private:
  Eigen::Array<Scalar, Eigen::Dynamic, Eigen::Dynamic, Order> array_;
};

/// A Map of memory that is not aligned.
template <class Scalar_, int Order>
class MappedMatrix {
 public:
  using Scalar = Scalar_;
  using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Order>;
  static constexpr std::size_t rank = 2;
  explicit MappedMatrix(const Extents<2>& e)
      : extents_(e), memory_(std::size_t(e[0] * e[1] + 2 * before), Scalar(guard)) {}
  auto view() { return Eigen::Map<Matrix>(memory_.data() + before, extents_[0], extents_[1]); }
  bool untouched() const {
    for (std::size_t k = 0; k < before; ++k) {
      if (memory_[k] != Scalar(guard) || memory_[memory_.size() - 1 - k] != Scalar(guard)) return false;
    }
    return true;
  }

 private:
  static constexpr Index before = 17;
  Extents<2> extents_;
  std::vector<Scalar> memory_;
};

/// A block of a larger matrix: an outer stride, and neighbors on all sides.
template <class Scalar_, int Order>
class BlockOfMatrix {
 public:
  using Scalar = Scalar_;
  static constexpr std::size_t rank = 2;
  explicit BlockOfMatrix(const Extents<2>& e) : extents_(e), matrix_(e[0] + 3, e[1] + 5) {
    matrix_.setConstant(Scalar(guard));
  }
  auto view() { return matrix_.block(1, 2, extents_[0], extents_[1]); }
  bool untouched() const {
    for (Index i = 0; i < matrix_.rows(); ++i) {
      for (Index j = 0; j < matrix_.cols(); ++j) {
        const bool inside = 1 <= i && i < 1 + extents_[0] && 2 <= j && j < 2 + extents_[1];
        if (!inside && matrix_(i, j) != Scalar(guard)) return false;
      }
    }
    return true;
  }

 protected:
  Extents<2> extents_;
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Order> matrix_;
};

/// The same block as a Ref, the type of function parameters.
template <class Scalar_, int Order>
class RefToBlock : public BlockOfMatrix<Scalar_, Order> {
 public:
  using BlockOfMatrix<Scalar_, Order>::BlockOfMatrix;
  auto view() {
    using Matrix = Eigen::Matrix<Scalar_, Eigen::Dynamic, Eigen::Dynamic, Order>;
    return Eigen::Ref<Matrix, 0, Eigen::OuterStride<>>(BlockOfMatrix<Scalar_, Order>::view());
  }
};

/// transpose() of a matrix in the other storage order's place: the view has extents e.
template <class Scalar_, int Order>
class TransposedMatrix {
 public:
  using Scalar = Scalar_;
  static constexpr std::size_t rank = 2;
  explicit TransposedMatrix(const Extents<2>& e) : matrix_(e[1], e[0]) { matrix_.setConstant(Scalar(guard)); }
  auto view() { return matrix_.transpose(); }
  bool untouched() const { return true; }

 private:
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Order> matrix_;
};

template <class Scalar_, std::size_t Rank, int Order>
class OwnedTensor {
 public:
  using Scalar = Scalar_;
  static constexpr std::size_t rank = Rank;
  explicit OwnedTensor(const Extents<Rank>& e) : tensor_(e) { tensor_.setConstant(Scalar(guard)); }
  auto& view() { return tensor_; }
  bool untouched() const { return true; }

 private:
  Eigen::Tensor<Scalar, int(Rank), Order> tensor_;
};

/// A TensorMap of memory that is not aligned.
template <class Scalar_, std::size_t Rank, int Order>
class MappedTensor {
 public:
  using Scalar = Scalar_;
  static constexpr std::size_t rank = Rank;
  explicit MappedTensor(const Extents<Rank>& e)
      : extents_(e), memory_(std::size_t(count_of(e, 0) * e[0] + 2 * before), Scalar(guard)) {}
  auto view() { return Eigen::TensorMap<Eigen::Tensor<Scalar, int(Rank), Order>>(memory_.data() + before, extents_); }
  bool untouched() const {
    for (std::size_t k = 0; k < before; ++k) {
      if (memory_[k] != Scalar(guard) || memory_[memory_.size() - 1 - k] != Scalar(guard)) return false;
    }
    return true;
  }

 private:
  static constexpr Index before = 17;
  Extents<Rank> extents_;
  std::vector<Scalar> memory_;
};

/// A TensorFixedSize: its extents are part of the type.
template <class Scalar_, int Order, Index... Sizes>
class FixedTensor {
 public:
  using Scalar = Scalar_;
  static constexpr std::size_t rank = sizeof...(Sizes);
  static constexpr Extents<rank> extents{Sizes...};
  explicit FixedTensor(const Extents<rank>&) { tensor_.setConstant(Scalar(guard)); }
  auto& view() { return tensor_; }
  bool untouched() const { return true; }

 private:
  Eigen::TensorFixedSize<Scalar, Eigen::Sizes<Sizes...>, Order> tensor_;
};

template <class Container_, class Layout_, int Axis>
struct Arrangement {
  using Container = Container_;
  using Scalar = typename Container::Scalar;
  using Layout = Layout_;
  static constexpr std::size_t rank = Container::rank;
  static constexpr int axis = Axis;
};

}  // namespace testing_support
