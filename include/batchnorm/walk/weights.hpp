/// \file
/// Weights: how much the values at a position, one of each channel, count in the sums. The walk says where it is, by
/// in_plane() or in_row(), and what is summed or written there is bound to the weights of that place.
#pragma once

#include <batchnorm/walk/lanes.hpp>
#include <batchnorm/walk/partition.hpp>

#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// The weight of values that count once.
struct NoWeight {
  template <class V>
  EIGEN_STRONG_INLINE const V& keep(const V& packet) const {
    return packet;
  }
  template <class V>
  EIGEN_STRONG_INLINE const V& times(const V& packet) const {
    return packet;
  }
};

/// The weights of a packet.
template <class V>
struct Weight {
  V value;

  /// Zeros where the weight is 0, whatever is there.
  EIGEN_STRONG_INLINE V keep(const V& packet) const {
    return select_less_equal(value, V::broadcast(0), V::broadcast(0), packet);
  }
  EIGEN_STRONG_INLINE V times(const V& packet) const { return value * packet; }
};

/// All values count once.
struct Unweighted {
  static constexpr bool is_weighted = false;

  /// The weight of a channel's values.
  template <class Element>
  static double total(const ChannelView<Element>& x) {
    return static_cast<double>(x.count());
  }
  static double total(const PlaneChunk& chunk) { return static_cast<double>(chunk.values()); }
  /// How many of them have one.
  template <class Element>
  static double present(const ChannelView<Element>& x) {
    return total(x);
  }
  static double present(const PlaneChunk& chunk) { return total(chunk); }
  /// Whether values that have a weight have the same.
  static constexpr bool are_alike() { return true; }
  static constexpr bool is_present(Index, Index) { return true; }
  /// All of them, in the order of memory.
  static ChannelView<const float> view() { return {}; }
};

/// A weight for each position of outer x inner. Positions of weight 0 are not there: whatever they hold enters no sum.
template <class Scalar>
class PositionWeights {
 public:
  static constexpr bool is_weighted = true;

  /// `values`: finite and not negative, of the positions in the order of memory; a packet of them may reach into another
  /// one of zeros behind them.
  PositionWeights(std::vector<Scalar> values, Index inner)
      : inner_(inner), positions_(Index(values.size()) - Packet<Scalar>::size), values_(std::move(values)) {
    marks_.reserve(std::size_t(positions_ / grain + 1));
    Scalar least = std::numeric_limits<Scalar>::max(), most = 0;
    for (Index p = 0; p < positions_; ++p) {
      if (p % grain == 0) marks_.push_back(all_);
      const Scalar value = values_[std::size_t(p)];
      all_.add(value);
      most = std::max(most, value);
      least = std::min(least, value > 0 ? value : least);
    }
    are_alike_ = least == most;
    are_ones_ = are_alike_ && most == 1 && all_.present == static_cast<double>(positions_);
  }

  /// As in Unweighted.
  template <class Element>
  double total(const ChannelView<Element>&) const {
    return all_.weight;
  }
  double total(const PlaneChunk& chunk) const { return between(chunk).weight; }
  template <class Element>
  double present(const ChannelView<Element>&) const {
    return all_.present;
  }
  double present(const PlaneChunk& chunk) const { return between(chunk).present; }
  bool are_alike() const { return are_alike_; }
  bool is_present(Index o, Index i) const { return *at(o, i) > 0; }

  ChannelView<const Scalar> view() const { return dense_view<const Scalar>(values_.data(), 1, 1, positions_); }

  /// Whether they are as good as none.
  bool are_ones() const { return are_ones_; }

  /// That of element i of the planes of slice o, and those behind it.
  EIGEN_STRONG_INLINE const Scalar* at(Index o, Index i) const { return values_.data() + o * inner_ + i; }

  /// The first position in [position, end) that has a weight, or end.
  Index next_present(Index position, Index end) const {
    while (position < end && !is_present(0, position)) {
      const std::size_t mark = std::size_t(position / grain);
      const bool is_empty = mark + 1 < marks_.size() && marks_[mark].present == marks_[mark + 1].present;
      position = is_empty ? Index(mark + 1) * grain : position + 1;
    }
    return std::min(position, end);
  }

 private:
  /// Sums up to a position.
  struct Mark {
    double weight = 0, present = 0;

    void add(Scalar value) {
      weight += static_cast<double>(value);
      present += value > 0 ? 1 : 0;
    }
  };

  /// The sums of positions that follow each other.
  Mark between(const PlaneChunk& chunk) const {
    const Index first = chunk.first * inner_ + chunk.begin;
    const Mark begin = up_to(first), end = up_to(first + chunk.values());
    return {end.weight - begin.weight, end.present - begin.present};
  }
  Mark up_to(Index position) const {
    const std::size_t mark = std::size_t(position / grain);
    if (mark >= marks_.size()) return all_;
    Mark sum = marks_[mark];
    for (Index p = position / grain * grain; p < position; ++p) sum.add(values_[std::size_t(p)]);
    return sum;
  }

  static constexpr Index grain = 64;

  Index inner_, positions_;
  std::vector<Scalar> values_;
  std::vector<Mark> marks_;
  Mark all_;
  bool are_alike_ = false, are_ones_ = false;
};

/// Access to packets of an input, as `Lanes` has it, that count by weights.
template <class Lanes, class V>
struct WeightedLanes {
  const Lanes& lanes;
  Weight<V> weight;

  template <class Element>
  EIGEN_STRONG_INLINE V load(const Element* from, const V& fill) const {
    return lanes.load(from, fill);
  }
  EIGEN_STRONG_INLINE V keep(const V& packet) const { return weight.keep(lanes.keep(packet)); }
  EIGEN_STRONG_INLINE V weigh(const V& packet) const { return weight.times(packet); }
};

/// A term of sums over weighted values.
template <class Term, class Scalar>
struct WeightedTerm {
  using V = Packet<Scalar>;

  /// From element `x` of the first input on, which has weight `*weights`.
  template <class Element>
  struct InPlane {
    const Term& term;
    const Scalar* weights;
    const Element* first;

    template <class Lanes>
    EIGEN_STRONG_INLINE void add(const Lanes& lanes, V& s1, V& s2, const Element* x, const auto*... others) const {
      const Weight<V> weight{lanes.load(weights + (x - first), V::broadcast(0))};
      term.add(WeightedLanes<Lanes, V>{lanes, weight}, s1, s2, x, others...);
    }
  };
  struct InRow {
    const Term& term;
    Weight<V> weight;

    template <class Lanes>
    EIGEN_STRONG_INLINE void add(const Lanes& lanes, V& s1, V& s2, const auto*... inputs) const {
      term.add(WeightedLanes<Lanes, V>{lanes, weight}, s1, s2, inputs...);
    }
  };

  template <class Element>
  EIGEN_STRONG_INLINE InPlane<Element> in_plane(Index o, Index i, const Element* x) const {
    return {term, weights.at(o, i), x};
  }
  EIGEN_STRONG_INLINE InRow in_row(Index o) const { return {term, {V::broadcast(*weights.at(o, 0))}}; }

  Term term;
  const PositionWeights<Scalar>& weights;
};

/// What is written from weighted values: function(weight, constants, packets of the inputs...).
template <class Function, class Scalar>
struct WeightedFunction {
  using V = Packet<Scalar>;

  EIGEN_STRONG_INLINE auto in_plane(Index o, Index i) const {
    return [&f = function, first = weights.at(o, i)](Index k, const auto& constants, const auto&... in) {
      return f(Weight<V>{V::load(first + k)}, constants, in...);
    };
  }
  EIGEN_STRONG_INLINE auto in_row(Index o) const {
    return [&f = function, weight = Weight<V>{V::broadcast(*weights.at(o, 0))}](
               Index, const auto& constants, const auto&... in) { return f(weight, constants, in...); };
  }

  Function function;
  const PositionWeights<Scalar>& weights;
};

/// A term of sums, by these weights.
template <class Term>
EIGEN_STRONG_INLINE const Term& weighted_term(const Term& term, const Unweighted&) {
  return term;
}
template <class Term, class Scalar>
EIGEN_STRONG_INLINE WeightedTerm<Term, Scalar> weighted_term(const Term& term, const PositionWeights<Scalar>& weights) {
  return {term, weights};
}

/// function(weight, constants, packets of the inputs...), by these weights.
template <class Function>
auto weighted_function(const Function& function, const Unweighted&) {
  return [function](const auto& constants, const auto&... in) { return function(NoWeight(), constants, in...); };
}
template <class Function, class Scalar>
WeightedFunction<Function, Scalar> weighted_function(const Function& function, const PositionWeights<Scalar>& weights) {
  return {function, weights};
}

/// Calls body(weights): with those of a call's options, if it has any that differ from 1, by position.
template <class Scalar, class Call, class Options, class Input, class Body>
void with_weights(const Call& call, const Options& options, const Input& x, const Body& body) {
  if constexpr (requires { options.weights; }) {
    const PositionWeights<Scalar> weights(call.template weights<Scalar>(options.weights, x), x.view.inner);
    if (!weights.are_ones()) return body(weights);
  }
  body(Unweighted());
}

/// What differs from one position to the next, and so cannot be done to several rows at a time as if they were one.
template <class F>
concept ByPosition = requires(const F& f) {
  f.in_row(Index(0));
};

/// A term of sums in a plane that begins with element i of slice o, which is `x` in the first input.
template <class Term, class Element>
EIGEN_STRONG_INLINE decltype(auto) term_in_plane(const Term& term, Index o, Index i, const Element* x) {
  if constexpr (ByPosition<Term>) {
    return term.in_plane(o, i, x);
  } else {
    return (term);
  }
}
template <class Term>
EIGEN_STRONG_INLINE decltype(auto) term_in_row(const Term& term, Index o) {
  if constexpr (ByPosition<Term>) {
    return term.in_row(o);
  } else {
    return (term);
  }
}

/// A function of a packet's place, constants and inputs in a plane that begins with element i of slice o.
template <class Function>
EIGEN_STRONG_INLINE auto function_in_plane(const Function& function, Index o, Index i) {
  if constexpr (ByPosition<Function>) {
    return function.in_plane(o, i);
  } else {
    return [&function](Index, const auto& constants, const auto&... in) { return function(constants, in...); };
  }
}
template <class Function>
EIGEN_STRONG_INLINE auto function_in_row(const Function& function, Index o) {
  if constexpr (ByPosition<Function>) {
    return function.in_row(o);
  } else {
    return [&function](Index, const auto& constants, const auto&... in) { return function(constants, in...); };
  }
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
