/// \file
/// Weights: how much the values at a position, one of each channel, count in the sums. The walk says where it is, by
/// in_plane() or in_row(), and what is summed or written there is bound to the weights of that place.
#pragma once

#include <batchnorm/walk/lanes.hpp>
#include <batchnorm/walk/partition.hpp>

#include <algorithm>
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

/// One for all lanes, above 0.
template <class V>
struct WeightOfAll {
  V value;

  EIGEN_STRONG_INLINE const V& keep(const V& packet) const { return packet; }
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
  static double present(const PlaneChunk& chunk) { return total(chunk); }
  static constexpr double of(Index, Index) { return 1; }
  static constexpr float largest() { return 1; }
  /// All of them, in the order of memory.
  static ChannelView<const float> view() { return {}; }
};

/// A weight for each position of outer x inner. Positions of weight 0 are not there: whatever they hold enters no sum.
template <class Scalar>
class PositionWeights {
  static constexpr Index W = Packet<Scalar>::size;

 public:
  static constexpr bool is_weighted = true;

  /// `values`: finite and not negative, of the positions of x in the order of memory.
  template <class Element>
  PositionWeights(const std::vector<Scalar>& values, const ChannelView<Element>& x)
      : channels_(x.channels), inner_(x.inner), positions_(x.count()), values_(values.size() + std::size_t(2 * W)) {
    std::copy(values.begin(), values.end(), values_.begin() + W);
    sum_up();
    if (positions_ > 0 && may_be_rows(x.outer, x.inner, true)) lay_along_rows();
  }

  /// As in Unweighted.
  template <class Element>
  double total(const ChannelView<Element>&) const {
    return all_.weight;
  }
  double total(const PlaneChunk& chunk) const { return between(chunk).weight; }
  double present(const PlaneChunk& chunk) const { return between(chunk).present; }
  double of(Index o, Index i) const { return static_cast<double>(*at(o, i)); }
  Scalar largest() const { return largest_; }

  ChannelView<const Scalar> view() const { return dense_view<const Scalar>(at(0, 0), 1, 1, positions_); }

  /// Whether they are as good as none.
  bool are_ones() const { return are_ones_; }

  /// Those of the elements from i of the planes of slice o on, one for each. Packets of them may begin before the first
  /// and reach beyond the last.
  EIGEN_STRONG_INLINE const Scalar* in_plane(Index o, Index i) const { return at(o, i); }
  /// Whether all values of a slice that is a row have one weight: there is one of each channel, and rows are not
  /// folded.
  EIGEN_STRONG_INLINE bool is_one_for_row() const { return row_ == 0; }
  /// That one.
  EIGEN_STRONG_INLINE Scalar of_row(Index o) const { return *at(o, 0); }
  /// Else those of the elements from channel c of slice o on.
  EIGEN_STRONG_INLINE const Scalar* in_row(Index o, Index c) const { return rows_.data() + o * row_ + c * inner_; }

  /// The first position in [position, end) that has a weight, or end.
  Index next_present(Index position, Index end) const {
    while (position < end && !(*at(0, position) > 0)) {
      const std::size_t mark = std::size_t(position / grain);
      const bool is_empty = mark + 1 < marks_.size() && marks_[mark].present == marks_[mark + 1].present;
      position = is_empty ? Index(mark + 1) * grain : position + 1;
    }
    return std::min(position, end);
  }

 private:
  const Scalar* at(Index o, Index i) const { return values_.data() + W + o * inner_ + i; }

  void sum_up() {
    using V = Packet<Scalar>;
    const V zero = V::broadcast(0), one = V::broadcast(1),
            most_of_all = V::broadcast(std::numeric_limits<Scalar>::max());
    V least = most_of_all, most = zero;
    marks_.reserve(std::size_t(positions_ / grain + 1));
    for (Index begin = 0; begin < positions_; begin += grain) {
      marks_.push_back(all_);
      double weights[std::size_t(W)] = {};
      V present = zero;
      // Behind the last one are zeros.
      for (Index p = begin; p < std::min(positions_, begin + grain); p += W) {
        const V values = V::load(at(0, p));
        add_lanes(weights, values);
        present = present + select_less_equal(values, zero, zero, one);
        most = max(most, values);
        least = min(least, select_less_equal(values, zero, most_of_all, values));
      }
      for (const double weight : weights) all_.weight += weight;
      all_.present += static_cast<double>(sum(present));
    }
    Scalar lanes_of_least[std::size_t(W)], lanes_of_most[std::size_t(W)];
    least.store(lanes_of_least);
    most.store(lanes_of_most);
    largest_ = *std::max_element(lanes_of_most, lanes_of_most + W);
    are_ones_ = *std::min_element(lanes_of_least, lanes_of_least + W) == 1 && largest_ == 1 &&
                all_.present == static_cast<double>(positions_);
  }

  /// One for each column of rows that are walked several at a time, or are planes side by side.
  void lay_along_rows() {
    if (inner_ == 1 && !folds_rows(channels_, true)) return;
    const Index slices = positions_ / inner_;
    row_ = channels_ * inner_;
    rows_.resize(std::size_t(slices * row_ + W));
    // Whole packets: what they write behind the end of a plane or a row is written over by what follows.
    Scalar* row = rows_.data();
    for (Index o = 0; o < slices; ++o, row += row_) {
      if (inner_ == 1) {
        for (Index k = 0; k < row_; k += W) Packet<Scalar>::broadcast(*at(o, 0)).store(row + k);
      } else {
        for (Index k = 0; k < row_; k += inner_) {
          for (Index i = 0; i < inner_; i += W) Packet<Scalar>::load(at(o, i)).store(row + k + i);
        }
      }
    }
  }

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
    for (Index p = position / grain * grain; p < position; ++p) sum.add(*at(0, p));
    return sum;
  }

  static constexpr Index grain = 64;

  Index channels_, inner_, positions_;
  /// With room for a packet before and behind.
  std::vector<Scalar> values_;
  std::vector<Mark> marks_;
  /// As they are read along rows, `row_` for each; none where there is one for all of a row.
  std::vector<Scalar> rows_;
  Index row_ = 0;
  Mark all_;
  Scalar largest_ = 0;
  bool are_ones_ = false;
};

/// Access to packets of an input, as `Lanes` has it, that count by weights.
template <class Lanes, class OfLanes>
struct WeightedLanes {
  const Lanes& lanes;
  OfLanes weight;

  template <class V, class Element>
  EIGEN_STRONG_INLINE V load(const Element* from, const V& fill) const {
    return lanes.load(from, fill);
  }
  template <class V>
  EIGEN_STRONG_INLINE V keep(const V& packet) const {
    return weight.keep(lanes.keep(packet));
  }
  template <class V>
  EIGEN_STRONG_INLINE V weigh(const V& packet) const {
    return weight.times(packet);
  }
};

/// A term of sums over weighted values.
template <class Term, class Scalar>
struct WeightedTerm {
  using V = Packet<Scalar>;

  /// In a run of elements that begins with `first` in the first input.
  template <class Element>
  struct InRun {
    const Term& term;
    const Scalar* weights;
    const Element* first;

    template <class Lanes>
    EIGEN_STRONG_INLINE void add(const Lanes& lanes, V& s1, V& s2, const Element* x, const auto*... others) const {
      term.add(WeightedLanes<Lanes, Weight<V>>{lanes, {lanes.load(weights + (x - first), V::broadcast(0))}}, s1, s2, x,
               others...);
    }
  };
  /// In a row of one weight, above 0.
  struct InRowOf {
    const Term& term;
    WeightOfAll<V> weight;

    template <class Lanes>
    EIGEN_STRONG_INLINE void add(const Lanes& lanes, V& s1, V& s2, const auto*... inputs) const {
      term.add(WeightedLanes<Lanes, WeightOfAll<V>>{lanes, weight}, s1, s2, inputs...);
    }
  };

  template <class Element>
  EIGEN_STRONG_INLINE InRun<Element> in_plane(Index o, Index i, const Element* first) const {
    return {term, weights.in_plane(o, i), first};
  }
  template <class Element>
  EIGEN_STRONG_INLINE InRun<Element> in_row(Index o, Index c, const Element* first) const {
    return {term, weights.in_row(o, c), first};
  }

  EIGEN_STRONG_INLINE InRowOf in_row_of(Scalar weight) const { return {term, {V::broadcast(weight)}}; }

  Term term;
  const PositionWeights<Scalar>& weights;
};

/// What is written from weighted values: function(weight, constants, packets of the inputs...).
template <class Function, class Scalar>
struct WeightedFunction {
  using V = Packet<Scalar>;

  /// In a run with a weight for each element.
  struct InPlane {
    const Function& function;
    const Scalar* each;

    EIGEN_STRONG_INLINE auto operator()(Index k, const auto& constants, const auto&... in) const {
      return function(Weight<V>{V::load(each + k)}, constants, in...);
    }
  };
  /// In such a run or, if `each` is null, one with a weight for all.
  struct InRow {
    const Function& function;
    const Scalar* each;
    alignas(64) Scalar all[std::size_t(V::size)];

    // One load from either place: a choice of packets would be a branch in the loop.
    EIGEN_STRONG_INLINE auto operator()(Index k, const auto& constants, const auto&... in) const {
      return function(Weight<V>{V::load(each ? each + k : all)}, constants, in...);
    }
  };

  EIGEN_STRONG_INLINE InPlane in_plane(Index o, Index i) const { return {function, weights.in_plane(o, i)}; }
  EIGEN_STRONG_INLINE InRow in_row(Index o, Index c) const {
    const bool is_one = weights.is_one_for_row();
    InRow run{function, is_one ? nullptr : weights.in_row(o, c), {}};
    if (is_one) V::broadcast(weights.of_row(o)).store(run.all);
    return run;
  }
  /// Whether a run along rows may be written beyond its end.
  bool goes_on() const { return !weights.is_one_for_row(); }

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
    const PositionWeights<Scalar> weights(call.template weights<Scalar>(options.weights, x), x.view);
    if (!weights.are_ones()) return body(weights);
  }
  body(Unweighted());
}

/// What differs from one position to the next, and is bound to a run of elements before it is done there.
template <class F>
concept ByPosition = requires(const F& f) {
  f.weights;
};

/// A term of sums in a run that begins with element i of slice o in some plane, which is `first` in the first input.
template <class Term, class Element>
EIGEN_STRONG_INLINE decltype(auto) term_in_plane(const Term& term, Index o, Index i, const Element* first) {
  if constexpr (ByPosition<Term>) {
    return term.in_plane(o, i, first);
  } else {
    return (term);
  }
}
/// The same in a run that begins with channel c of slice o.
template <class Term, class Element>
EIGEN_STRONG_INLINE decltype(auto) term_in_row(const Term& term, Index o, Index c, const Element* first) {
  if constexpr (ByPosition<Term>) {
    return term.in_row(o, c, first);
  } else {
    return (term);
  }
}

/// Whether a function along rows may be applied beyond the end of a run, in the row that follows.
template <class Function>
bool goes_on(const Function& function) {
  if constexpr (ByPosition<Function>) {
    return function.goes_on();
  } else {
    return true;
  }
}

/// A function of a packet's place in a run, of constants and inputs; the run begins with element i of slice o.
template <class Function>
EIGEN_STRONG_INLINE auto function_in_plane(const Function& function, Index o, Index i) {
  if constexpr (ByPosition<Function>) {
    return function.in_plane(o, i);
  } else {
    return [&function](Index, const auto& constants, const auto&... in) { return function(constants, in...); };
  }
}
/// The same in a run that begins with channel c of slice o.
template <class Function>
EIGEN_STRONG_INLINE auto function_in_row(const Function& function, Index o, Index c) {
  if constexpr (ByPosition<Function>) {
    return function.in_row(o, c);
  } else {
    return [&function](Index, const auto& constants, const auto&... in) { return function(constants, in...); };
  }
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
