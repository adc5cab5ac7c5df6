/// \file
/// How the library sees Eigen's matrices, arrays and tensors: by their members, so that no header includes the Tensor
/// module.
#pragma once

#include <batchnorm/base/abi.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <ostream>
#include <type_traits>
#include <utility>

namespace Eigen {
template <typename Scalar, int Rank, int Options, typename Index>
class Tensor;
template <typename Expression>
class TensorRef;
}  // namespace Eigen

namespace batchnorm {
inline namespace BATCHNORM_ABI {

/// One value for each channel.
template <class Scalar>
using ChannelArray = Eigen::Array<Scalar, Eigen::Dynamic, 1>;

/// Sizes are 64 bits wide, whatever EIGEN_DEFAULT_DENSE_INDEX_TYPE says.
using Index = std::ptrdiff_t;

namespace detail {

template <class Derived>
void accepts_dense(const Eigen::DenseBase<Derived>*);

template <class T>
inline constexpr bool is_tensor_ref = false;
template <class Expression>
inline constexpr bool is_tensor_ref<Eigen::TensorRef<Expression>> = true;

/// A matrix or array of Eigen's Core module, or an expression of them.
template <class T>
concept Dense = requires(const std::remove_cvref_t<T>* t) {
  accepts_dense(t);
};

/// A row or column of them, known as such at compile time.
template <class T>
concept DenseVector = Dense<T> && bool(std::remove_cvref_t<T>::IsVectorAtCompileTime);

/// A dense object whose coefficients lie in memory at constant strides.
template <class T>
concept DenseInMemory = Dense<T> && bool(std::remove_cvref_t<T>::Flags& Eigen::DirectAccessBit);

/// A Tensor, TensorFixedSize or TensorMap.
template <class T>
concept TensorInMemory = !Dense<T> && !is_tensor_ref<std::remove_cvref_t<T>> && requires(std::remove_cvref_t<T> & t) {
  std::remove_cvref_t<T>::NumDimensions;
  std::remove_cvref_t<T>::Layout;
  t.data();
  t.dimensions();
};

template <class T>
concept InMemory = DenseInMemory<T> || TensorInMemory<T>;

template <class T>
consteval int rank_of() {
  if constexpr (Dense<T>) {
    return 2;
  } else {
    return static_cast<int>(std::remove_cvref_t<T>::NumDimensions);
  }
}

template <class T>
consteval bool is_row_major() {
  if constexpr (Dense<T>) {
    return bool(std::remove_cvref_t<T>::IsRowMajor);
  } else {
    return static_cast<int>(std::remove_cvref_t<T>::Layout) == static_cast<int>(Eigen::RowMajor);
  }
}

/// `float` or `const float`: what data() of an argument of type T points to.
template <class T>
using element_t = std::remove_pointer_t<decltype(std::declval<std::remove_reference_t<T>&>().data())>;

template <class T>
using scalar_t = std::remove_const_t<element_t<T>>;

/// The extents of a matrix or tensor, axis by axis as the user writes them.
template <std::size_t Rank>
using Extents = std::array<Index, Rank>;

template <InMemory T>
Extents<rank_of<T>()> extents_of(const T& t) {
  if constexpr (Dense<T>) {
    return {t.rows(), t.cols()};
  } else {
    // Constants, since Eigen's kinds of dimensions disagree about the sign of an index.
    return [&]<std::size_t... Axis>(std::index_sequence<Axis...>) {
      return Extents<rank_of<T>()>{static_cast<Index>(t.dimensions()[Axis])...};
    }
    (std::make_index_sequence<std::size_t(rank_of<T>())>{});
  }
}

/// Of a type that every call refuses it may be any.
template <class T>
struct plain {
  using type = Eigen::MatrixXf;
};
template <Dense T>
struct plain<T> {
  using type = typename T::PlainObject;
};
template <TensorInMemory T>
struct plain<T> {
  static constexpr int options = is_row_major<T>() ? int(Eigen::RowMajor) : int(Eigen::ColMajor);
  using type = Eigen::Tensor<scalar_t<T>, rank_of<T>(), options, typename T::Index>;
};
/// The type that owns a copy of a T: a Matrix, Array or Tensor.
template <class T>
using plain_t = typename plain<std::remove_cvref_t<T>>::type;

/// Whether a T has memory of its own, as a Matrix, an Array or a Tensor has: its constness reaches its elements.
template <class T>
consteval bool owns_memory() {
  if constexpr (Dense<T>) {
    return std::is_base_of_v<Eigen::PlainObjectBase<T>, T>;
  } else if constexpr (TensorInMemory<T>) {
    return std::is_const_v<element_t<const T>>;
  } else {
    return false;
  }
}

/// Gives an output that has no elements the given extents, where its type allows; other outputs are left alone.
template <class T, std::size_t Rank>
void resize_if_empty(T& t, const Extents<Rank>& extents) {
  if constexpr (std::is_base_of_v<Eigen::PlainObjectBase<T>, T>) {
    const auto fits = [](Index extent, Index fixed, Index most) {
      return (fixed == Eigen::Dynamic || extent == fixed) && (most == Eigen::Dynamic || extent <= most);
    };
    const bool rows_fit = fits(extents[0], T::RowsAtCompileTime, T::MaxRowsAtCompileTime);
    const bool cols_fit = fits(extents[1], T::ColsAtCompileTime, T::MaxColsAtCompileTime);
    if (t.size() == 0 && rows_fit && cols_fit) t.resize(extents[0], extents[1]);
  } else if constexpr (std::same_as<T, plain_t<T>>) {
    if (t.size() != 0) return;
    typename T::Dimensions dimensions;
    for (std::size_t axis = 0; axis < Rank; ++axis) dimensions[axis] = static_cast<typename T::Index>(extents[axis]);
    t.resize(dimensions);
  }
}

/// Prints as `[8, 14, 14, 32] row-major`.
template <std::size_t Rank>
struct ShapeText {
  Extents<Rank> extents;
  bool row_major;

  friend std::ostream& operator<<(std::ostream& out, const ShapeText& shape) {
    const char* separator = "[";
    for (const Index extent : shape.extents) {
      out << separator << extent;
      separator = ", ";
    }
    return out << (shape.row_major ? "] row-major" : "] column-major");
  }
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
