// The one loop that writes: every length around packets and lines, at every place in a line.
#include <gtest/gtest.h>

#include <batchnorm/walk/runs.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <string>

#include "support/blocks.hpp"

namespace runs_test {

namespace bn = batchnorm;
namespace detail = batchnorm::detail;
using bn::Index;
using testing_support::LineAligned;

std::string description(const detail::Prefetch& ahead) {
  if (ahead.elements == 0) return ", nothing prefetched";
  return ahead.into == detail::Cache::l1 ? ", prefetched into L1" : ", prefetched into L2";
}

/// Small whole numbers: they, their sums and twice them are exact in every type.
template <class Element>
Element number(Index i) {
  return static_cast<Element>(static_cast<float>(i % 31));
}

template <class Element_>
class Runs : public testing::Test {
 protected:
  using Element = Element_;
  using Scalar = bn::statistics_t<Element>;
  using Packet = bn::Packet<Scalar>;
  static constexpr Index line = 64 / Index(sizeof(Element)), W = Packet::size;

  /// All up to four packets or two lines, and those around three lines.
  static std::vector<Index> lengths() {
    std::vector<Index> result;
    for (Index length = 0; length <= std::max(4 * W, 2 * line) + 1; ++length) result.push_back(length);
    for (Index length = 3 * line - 2; length <= 3 * line + 2; ++length) result.push_back(length);
    return result;
  }

  /// An input of `length` numbers that ends with its memory.
  static LineAligned<Element> input(Index place, Index length, Index first) {
    LineAligned<Element> memory(place + length);
    for (Index i = 0; i < length; ++i) memory[place + i] = number<Element>(first + i);
    return memory;
  }

  /// The first element, counted from `place`, that is wrong: one of the `length` that is not as expected, or one around
  /// them that is not the guard any more.
  template <class Expected>
  static std::optional<Index> first_wrong(const LineAligned<Element>& memory, Index place, Index length, Element guard,
                                          const Expected& expected) {
    for (Index at = 0; at < memory.size(); ++at) {
      const bool inside = place <= at && at < place + length;
      if (memory[at] != (inside ? expected(at - place) : guard)) return at - place;
    }
    return std::nullopt;
  }

  /// Runs writer.store(length) or writer.stream(length) of outputs[m][i] = function.
  template <bool Streaming, std::size_t M, std::size_t N, class Function>
  static void write(Index length, const detail::Prefetch& ahead, const Function& function,
                    const std::array<Element*, M>& outputs, const std::array<const Element*, N>& inputs) {
    const detail::RunWriter writer(function, outputs, inputs, ahead);
    if constexpr (Streaming) {
      writer.stream(length, {});
      detail::finish_streaming();
    } else {
      writer.store(length);
    }
  }

  static constexpr detail::Prefetch nothing{0, detail::Cache::l1}, into_l1{200, detail::Cache::l1},
      into_l2{200, detail::Cache::l2};
};
using Elements = testing::Types<float, double, Eigen::half, Eigen::bfloat16>;
TYPED_TEST_SUITE(Runs, Elements);

TYPED_TEST(Runs, AreWrittenWhereverInputAndOutputLie) {
  using E = typename TestFixture::Element;
  using P = typename TestFixture::Packet;
  constexpr Index a_line = TestFixture::line;
  const E guard = static_cast<E>(-7.0f);
  // The function is handed the place of its packet, by which constants of columns are found.
  std::vector<typename TestFixture::Scalar> constants(std::size_t(4 * a_line + 64));
  for (std::size_t i = 0; i < constants.size(); ++i) constants[i] = static_cast<float>(i % 7);
  const auto function = [&](Index i, const P& x) { return std::array{x + x + P::load(constants.data() + i)}; };
  const auto expected = [&](Index i) {
    return static_cast<E>(2 * static_cast<float>(number<E>(i)) + static_cast<float>(i % 7));
  };
  for (const Index length : this->lengths()) {
    for (Index from = 0; from < a_line; ++from) {
      const auto in = this->input(from, length, 0);
      for (Index to = 0; to < a_line; ++to) {
        for (const auto& ahead : {this->nothing, this->into_l1, this->into_l2}) {
          const LineAligned<E> stored(to + length + a_line, guard), streamed(to + length + a_line, guard);
          const std::array<const E*, 1> inputs{in.data() + from};
          this->template write<false>(length, ahead, function, std::array{stored.data() + to}, inputs);
          this->template write<true>(length, ahead, function, std::array{streamed.data() + to}, inputs);
          ASSERT_EQ(this->first_wrong(stored, to, length, guard, expected), std::nullopt)
              << "stored " << length << " from " << from << " to " << to << description(ahead);
          ASSERT_EQ(this->first_wrong(streamed, to, length, guard, expected), std::nullopt)
              << "streamed " << length << " from " << from << " to " << to << description(ahead);
        }
      }
    }
  }
}

TYPED_TEST(Runs, AreWrittenOverTheirInput) {
  using E = typename TestFixture::Element;
  using P = typename TestFixture::Packet;
  const auto function = [](Index, const P& x) { return std::array{x + x}; };
  for (const Index length : this->lengths()) {
    for (Index place = 0; place < TestFixture::line; ++place) {
      for (const auto& ahead : {this->nothing, this->into_l1, this->into_l2}) {
        const auto memory = this->input(place, length, 1);
        E* const data = memory.data() + place;
        this->template write<false>(length, ahead, function, std::array{data}, std::array<const E*, 1>{data});
        ASSERT_EQ(this->first_wrong(memory, place, length, E(0),
                                    [](Index i) { return static_cast<E>(2 * static_cast<float>(number<E>(i + 1))); }),
                  std::nullopt)
            << length << " at " << place << description(ahead);
      }
    }
  }
}

// As backward of a residual does: dx and dresidual, apart from the inputs or over them in either way.
TYPED_TEST(Runs, WriteTwoOutputsOfThreeInputs) {
  using E = typename TestFixture::Element;
  using P = typename TestFixture::Packet;
  constexpr Index a_line = TestFixture::line;
  const E guard = static_cast<E>(-7.0f);
  const auto function = [](Index, const P& a, const P& b, const P& c) { return std::array{a + b, b + c}; };
  const auto sum_of = [](Index a, Index b) {
    return [a, b](Index i) {
      return static_cast<E>(static_cast<float>(number<E>(i + a)) + static_cast<float>(number<E>(i + b)));
    };
  };
  for (const Index length : this->lengths()) {
    for (Index to = 0; to < a_line; to += 3) {
      const auto a = this->input(1, length, 0), b = this->input(3, length, 10), c = this->input(0, length, 20);
      const std::array<const E*, 3> inputs{a.data() + 1, b.data() + 3, c.data()};
      for (const bool streaming : {false, true}) {
        const LineAligned<E> first(to + length + a_line, guard), second(to + length + a_line, guard);
        const std::array outputs{first.data() + to, second.data() + to};
        streaming ? this->template write<true>(length, this->into_l2, function, outputs, inputs)
                  : this->template write<false>(length, this->into_l2, function, outputs, inputs);
        ASSERT_EQ(this->first_wrong(first, to, length, guard, sum_of(0, 10)), std::nullopt) << length << " at " << to;
        ASSERT_EQ(this->first_wrong(second, to, length, guard, sum_of(10, 20)), std::nullopt) << length << " at " << to;
      }
      // Each output over another input.
      this->template write<false>(length, this->nothing, function, std::array{c.data(), a.data() + 1}, inputs);
      ASSERT_EQ(this->first_wrong(c, 0, length, E(0), sum_of(0, 10)), std::nullopt) << length;
      ASSERT_EQ(this->first_wrong(a, 1, length, E(0), sum_of(10, 20)), std::nullopt) << length;
    }
  }
}

// Three runs of functions of their own, at every place in a line: each element is its own run's, nothing else changes.
TYPED_TEST(Runs, AreStreamedSideBySide) {
  using E = typename TestFixture::Element;
  using P = typename TestFixture::Packet;
  constexpr Index a_line = TestFixture::line;
  const E guard = static_cast<E>(-7.0f);
  const auto times = [](float factor) {
    return [factor](Index, const P& x) { return std::array{x * P::broadcast(factor)}; };
  };
  const std::array functions{times(1), times(2), times(3)};
  for (Index length = a_line; length <= 3 * a_line + 1; ++length) {
    const auto in = this->input(1, 3 * length, 0);
    for (Index to = 0; to < a_line; ++to) {
      const LineAligned<E> out(to + 3 * length + a_line, guard);
      for (Index run = 0; run < 3; ++run) {
        const auto& function = functions[std::size_t(run)];
        const detail::RunWriter writer(function, std::array{out.data() + to + run * length},
                                       std::array<const E*, 1>{in.data() + 1 + run * length}, {200, detail::Cache::l2});
        writer.stream(length, {run > 0, run < 2}, functions[std::size_t(std::min<Index>(run + 1, 2))]);
      }
      detail::finish_streaming();
      const auto expected = [&](Index i) {
        return static_cast<E>(static_cast<float>(number<E>(i)) * static_cast<float>(i / length + 1));
      };
      ASSERT_EQ(this->first_wrong(out, to, 3 * length, guard, expected), std::nullopt) << length << " to " << to;
    }
  }
}

// A sequence cut into runs, short ones too, each of which knows the function of those behind it: in any order each
// element is written, and nothing else, which a sanitizer sees of the inputs as well.
TYPED_TEST(Runs, AreStreamedAsPartsOfASequence) {
  using E = typename TestFixture::Element;
  using P = typename TestFixture::Packet;
  constexpr Index a_line = TestFixture::line;
  const E guard = static_cast<E>(-7.0f);
  std::vector<typename TestFixture::Scalar> constants(std::size_t(20 * a_line));
  for (std::size_t i = 0; i < constants.size(); ++i) constants[i] = static_cast<float>(i % 7);
  const auto expected = [&](Index i) {
    return static_cast<E>(static_cast<float>(number<E>(i)) + static_cast<float>(i % 7));
  };
  for (const std::vector<Index>& lengths :
       std::vector<std::vector<Index>>{{3 * a_line, 3 * a_line},
                                       {2 * a_line + 1, a_line - 1, 1, 2, 3 * a_line + 5, 3},
                                       {5, 4 * a_line, 6, 4 * a_line, 6},
                                       {3, 2, 1, a_line / 2, 1},
                                       {1}}) {
    std::vector<Index> begins(lengths.size());
    std::exclusive_scan(lengths.begin(), lengths.end(), begins.begin(), Index(0));
    const Index all = begins.back() + lengths.back();
    const auto in = this->input(1, all, 0);
    for (Index to = 0; to < a_line; ++to) {
      for (const bool backwards : {false, true}) {
        const LineAligned<E> out(to + all + a_line, guard);
        std::vector<int> writes(std::size_t(all), 0);
        for (std::size_t k = 0; k < lengths.size(); ++k) {
          const std::size_t run = backwards ? lengths.size() - 1 - k : k;
          const Index begin = begins[run], length = lengths[run];
          const auto function = [&](Index i, const P& x) {
            return std::array{x + P::load(constants.data() + begin + i)};
          };
          // Of this run alone, to see which elements are its own.
          const LineAligned<E> alone(to + all + a_line, guard);
          for (const auto* memory : {&out, &alone}) {
            const detail::RunWriter writer(function, std::array{memory->data() + to + begin},
                                           std::array<const E*, 1>{in.data() + 1 + begin}, {200, detail::Cache::l2});
            writer.stream(length, {begin, all - begin - length});
          }
          detail::finish_streaming();
          for (Index i = 0; i < all; ++i) writes[std::size_t(i)] += alone[to + i] != guard;
        }
        ASSERT_EQ(this->first_wrong(out, to, all, guard, expected), std::nullopt) << all << " to " << to;
        for (Index i = 0; i < all; ++i) ASSERT_EQ(writes[std::size_t(i)], 1) << "element " << i << " to " << to;
      }
    }
  }
}

TYPED_TEST(Runs, HaveTheSameBitsStoredOrStreamedWhereverTheyBegin) {
  using E = typename TestFixture::Element;
  using P = typename TestFixture::Packet;
  // Of a function that rounds: a tail, or a packet that overlaps the one before it, gives the bits of a whole one.
  const auto function = [](Index, const P& x) {
    return std::array{multiply_add(x, P::broadcast(0.1f), P::broadcast(1 / 3.0f))};
  };
  const Index most = 5 * TestFixture::line;
  const auto in = this->input(0, most, 3);
  const LineAligned<E> whole(most);
  this->template write<false>(most, this->nothing, function, std::array{whole.data()},
                              std::array<const E*, 1>{in.data()});
  for (const Index length : this->lengths()) {
    for (const Index from : {0, 1, 3}) {
      for (const bool streaming : {false, true}) {
        const LineAligned<E> out(from + length + 1);
        const std::array<const E*, 1> inputs{in.data() + from};
        streaming ? this->template write<true>(length, this->into_l1, function, std::array{out.data() + from}, inputs)
                  : this->template write<false>(length, this->into_l1, function, std::array{out.data() + from}, inputs);
        for (Index i = 0; i < length; ++i) {
          ASSERT_TRUE(testing_support::same_bits(out[from + i], whole[from + i]))
              << "element " << i << " of " << length << " from " << from;
        }
      }
    }
  }
}

}  // namespace runs_test
