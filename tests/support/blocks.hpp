/// \file
/// What blocks do to memory, element by element: which they read, and which they write, and with whose constants.
#pragma once

#include <gtest/gtest.h>

#include <batchnorm/walk/planes.hpp>
#include <batchnorm/walk/rows.hpp>
#include <cstdint>
#include <memory>
#include <new>
#include <numeric>
#include <ostream>
#include <vector>

#include "values.hpp"

namespace testing_support {

/// Memory that begins with a cache line and ends with its last element, so that a sanitizer sees a step behind it.
template <class Element>
class LineAligned {
 public:
  explicit LineAligned(Index size, Element value = Element(0))
      : size_(size),
        data_(static_cast<Element*>(::operator new(std::size_t(size) * sizeof(Element), std::align_val_t(64)))) {
    std::uninitialized_fill_n(data_.get(), size, value);
  }
  Element* data() const { return data_.get(); }
  Index size() const { return size_; }
  Element& operator[](Index i) const { return data_.get()[i]; }

 private:
  struct Delete {
    void operator()(Element* memory) const { ::operator delete(memory, std::align_val_t(64)); }
  };
  Index size_;
  std::unique_ptr<Element, Delete> data_;
};

/// outer x channels x inner elements, with gaps in memory behind the slices and behind the channels.
struct Extent {
  Index outer, channels, inner, slice_gap = 0, channel_gap = 0;

  Index channel_stride() const { return inner + channel_gap; }
  Index outer_stride() const { return channels * channel_stride() + slice_gap; }
  Index count() const { return outer * inner; }

  template <class Element>
  batchnorm::ChannelView<Element> view(Element* data) const {
    return {data, outer, channels, inner, outer_stride(), channel_stride()};
  }
  /// The channel of every element of memory; -1 in the gaps.
  std::vector<int> owners() const {
    std::vector<int> result(std::size_t(outer * outer_stride()), -1);
    for (Index o = 0; o < outer; ++o) {
      for (Index c = 0; c < channels; ++c) {
        for (Index i = 0; i < inner; ++i) result[std::size_t(o * outer_stride() + c * channel_stride() + i)] = int(c);
      }
    }
    return result;
  }

  friend std::ostream& operator<<(std::ostream& out, const Extent& e) {
    return out << e.outer << " x " << e.channels << " x " << e.inner << " with gaps of " << e.slice_gap << " and "
               << e.channel_gap;
  }
};

/// Constants that name their channel.
template <class V>
struct Label {
  V channel;
};

/// The lanes that a reducing walk takes from memory.
template <class S>
std::array<Index, 2> lanes_of(const batchnorm::detail::WholePacket<S>&) {
  return {0, batchnorm::Packet<S>::size};
}
template <class S>
std::array<Index, 2> lanes_of(const batchnorm::detail::PartialPacket<S>& lanes) {
  return {0, lanes.size};
}
template <class S>
std::array<Index, 2> lanes_of(const batchnorm::detail::OverlappingPacket<S>& lanes) {
  return {lanes.seen, batchnorm::Packet<S>::size};
}

/// A term of a reduction that touches no memory, and calls visit(address, label) for every element it is given.
template <class V, class Visit>
struct Recorder {
  V channel;
  const Visit& visit;

  template <class Element>
  void add(const auto& lanes, V&, V&, const Element* x, const auto*... others) const {
    batchnorm::statistics_t<Element> labels[V::size];
    channel.store(labels);
    const auto [first, last] = lanes_of(lanes);
    for (Index k = first; k < last; ++k) {
      ((void)others, ...);
      visit(x + k, labels[k]);
    }
  }
};

/// S1 += x.
struct Sum {
  using V = batchnorm::Packet<float>;
  void add(const auto& lanes, V& s1, V&, const float* x) const { s1 = s1 + lanes.keep(lanes.load(x, V::broadcast(0))); }
};

/// Labels the channels of a block by their numbers, the first one by `first`.
template <class Scalar>
void label_channels(batchnorm::detail::ColumnTable<Scalar, Label>& table, const batchnorm::detail::ColumnShape& block,
                    Index first) {
  using V = batchnorm::Packet<Scalar>;
  table.fill(block, [&](Index c) { return Label<V>{V::count_up() + V::broadcast(Scalar(first + c))}; });
}

/// A table of the same, made as the passes that write make theirs; `first` labels channel 0 of all.
template <class Scalar>
batchnorm::detail::ColumnTable<Scalar, Label> channel_labels(const batchnorm::detail::ColumnShape& block, Index first) {
  using batchnorm::detail::Channels;
  return {block, [&](Index c, auto) {
            return Label<Channels>{Channels::count_up() + batchnorm::detail::all_channels(double(first + c))};
          }};
}

/// Walks a chunk as a reduction does.
template <class Block, class Chunk, class Element, std::size_t N, class Visit>
void visit_chunk(const Block& block, const Chunk& chunk, const std::array<batchnorm::ChannelView<Element>, N>& inputs,
                 const Visit& visit) {
  using Scalar = batchnorm::statistics_t<Element>;
  batchnorm::detail::ColumnTable<Scalar, Label> table;
  label_channels(table, block, block.first_channel);
  batchnorm::detail::ChannelSums sums;
  block.reduce(
      chunk, table,
      [&]<class V>(const Label<V>& label) {
        return Recorder<V, Visit>{label.channel, visit};
      },
      inputs, sums);
}

/// The values of a channel in a range of some blocks.
template <class Blocks>
Index values_in(const Blocks& blocks, Index range) {
  return Index(blocks.total(range, [](const batchnorm::detail::PlaneChunk& chunk) { return double(chunk.values()); }));
}

/// And in all ranges.
template <class Blocks>
Index values_in(const Blocks& blocks) {
  Index values = 0;
  for (Index range = 0; range < blocks.ranges(); ++range) values += values_in(blocks, range);
  return values;
}

/// How many elements of the sample of a block, whose elements hold their places, are another channel's, or none that
/// the block has been seen to read.
template <class Block, class Scalar>
Index sampled_strays(const Block& block, const batchnorm::ChannelView<const Scalar>& view,
                     const std::vector<int>& owners, const std::vector<int>& visits) {
  constexpr Index W = batchnorm::Packet<Scalar>::size;
  const batchnorm::detail::Sample<8> sample(block.part(block.chunk(0)));
  Index strays = 0;
  for (Index c = 0; c < block.channels; c += W) {
    const Index channel = block.first_channel + c, size = std::min(W, block.channels - c);
    const auto packets = sample.packets(view, channel, size);
    for (std::size_t k = 0; k < packets.size(); ++k) {
      Scalar lanes[std::size_t(W)];
      packets[k].store(lanes);
      for (Index lane = 0; lane < W; ++lane) {
        const auto at = std::size_t(lanes[lane]);
        strays += lane < size ? owners[at] != int(channel + lane) || visits[at] != 1 : lanes[lane] != 0;
        if (lane < size) strays += sample.value(view, k, channel + lane) != lanes[lane];
      }
    }
  }
  return strays;
}

/// That the blocks read each element once, and take it for one of its own channel; and count the values.
template <class Scalar, std::size_t Inputs = 1, class Blocks>
void expect_each_element_is_read_once(const Blocks& blocks, const Extent& extent) {
  const std::vector<int> owners = extent.owners();
  std::vector<int> visits(owners.size());
  // Each element is its own place.
  std::vector<Scalar> memory(owners.size());
  std::iota(memory.begin(), memory.end(), Scalar(0));
  const batchnorm::ChannelView<const Scalar> view = extent.view<const Scalar>(memory.data());
  std::array<batchnorm::ChannelView<const Scalar>, Inputs> inputs;
  inputs.fill(view);
  Index strays = 0;
  const auto visit = [&](const Scalar* address, Scalar label) {
    const Index at = address - memory.data();
    if (at < 0 || at >= Index(owners.size()) || Scalar(owners[std::size_t(at)]) != label) {
      ++strays;
    } else {
      ++visits[std::size_t(at)];
    }
  };
  for (Index k = 0; k < blocks.count(); ++k) {
    const auto block = blocks[k];
    ASSERT_TRUE(0 <= block.range && block.range < blocks.ranges());
    Index in_chunks = 0;
    for (Index chunk = 0; chunk < block.chunks(); ++chunk) {
      visit_chunk(block, block.chunk(chunk), inputs, visit);
      in_chunks += block.part(block.chunk(chunk)).values();
    }
    EXPECT_EQ(in_chunks, values_in(blocks, block.range)) << "block " << k;
    strays += sampled_strays(block, view, owners, visits);
  }
  EXPECT_EQ(values_in(blocks), extent.count());
  EXPECT_EQ(strays, 0) << "elements of other channels or of none";
  Index wrong = 0;
  for (std::size_t at = 0; at < owners.size(); ++at) wrong += visits[at] != (owners[at] < 0 ? 0 : 1);
  EXPECT_EQ(wrong, 0) << "elements that are not read exactly once";
}

/// That the blocks write each element once, with the constants of its channel, and nothing in the gaps: y += channel +
/// 1 in place, or streamed to other memory that begins with element `place` of a line.
template <bool Streaming, class Scalar, class Blocks>
void expect_each_element_is_written_once(const Blocks& blocks, const Extent& extent, Index place = 0) {
  namespace detail = batchnorm::detail;
  const std::vector<int> owners = extent.owners();
  const LineAligned<Scalar> in(place + Index(owners.size()), Scalar(1)), apart(in.size(), Scalar(1));
  const LineAligned<Scalar>& out = Streaming ? apart : in;
  const detail::Views<const Scalar, 1> inputs{extent.view<const Scalar>(in.data() + place)};
  const detail::Views<Scalar, 1> outputs{extent.view(out.data() + place)};
  for (Index k = 0; k < blocks.count(); ++k) {
    const auto block = blocks[k];
    const auto table = channel_labels<Scalar>(block, 1);
    for (Index chunk = 0; chunk < block.chunks(); ++chunk) {
      block.template write<Streaming>(
          block.chunk(chunk), {chunk % 2 == 0 ? 0 : 1000, detail::Cache::l2}, table,
          [](const auto& label, const auto& x) { return std::array{x + label.channel}; }, inputs, outputs);
    }
  }
  if (Streaming) detail::finish_streaming();
  Index wrong = 0;
  for (std::size_t at = 0; at < owners.size(); ++at) wrong += out[place + Index(at)] != Scalar(owners[at] + 2);
  EXPECT_EQ(wrong, 0) << "elements that are not written exactly once, or not with the constants of their channel";
}

}  // namespace testing_support
