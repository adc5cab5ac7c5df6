/// \file
/// Walking through memory: which kind of blocks suits some views, and the passes over them that all kernels are made
/// of: one that reduces channels, one that writes, and both fused.
#pragma once

#include <batchnorm/base/device.hpp>
#include <batchnorm/walk/blocks.hpp>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// Inputs and outputs of more than this go past the caches: from there on a pass and the reading of its output by the
/// next one, together, are faster so. As measured: twice an L2 of 2 MiB; where L2 is smaller and L3 quicker, half of an
/// L3 of 32 MiB. No bit depends on it.
inline Index streaming_bytes() {
  constexpr Index MiB = Index(1) << 20;
  if (Eigen::l2CacheSize() >= 2 * MiB) return 4 * MiB;
  return std::clamp<Index>(Eigen::l3CacheSize() / 2, 8 * MiB, 16 * MiB);
}
/// The same where lines are written in parts, each of which goes to memory on its own: twice an L3 of 32 MiB.
inline constexpr Index streaming_bytes_in_parts = Index(64) << 20;
/// What a block and the next one may take of L2 together for the next one to be brought in while this one is written.
inline constexpr Index overlap_bytes = Index(1600) << 10;

/// Whether a pass reduces channels, or only writes.
enum class Pass { reduces, writes };

/// How all views of a pass lie in memory.
struct Arrangement {
  /// Whether slices follow each other without gaps, and channels do.
  bool dense = true, side_by_side = true;
  /// Whether what is done differs from one position to the next.
  bool by_position = false;

  template <class View>
  void add(const View& v) {
    dense = dense && (v.outer == 1 || v.outer_stride == v.channels * v.inner);
    side_by_side = side_by_side && v.channel_stride == v.inner;
  }
};

/// The blocks for a pass over outer x channels x inner elements, of which the inputs have so many bytes each.
inline Blocks blocks_for(Pass pass, Index outer, Index channels, Index inner, const Arrangement& all, Index bytes) {
  if (all.side_by_side && may_be_rows(outer, inner, all.by_position)) {
    const bool folding = folds_rows(channels, all.by_position);
    return Blocks(pass == Pass::reduces ? RowBlocks::to_reduce(outer, channels, inner, all.dense, bytes, folding)
                                        : RowBlocks::to_write(outer, channels, inner, all.dense, bytes, folding));
  }
  return Blocks(pass == Pass::reduces ? PlaneBlocks::to_reduce(outer, channels, inner, bytes)
                                      : PlaneBlocks::to_write(outer, channels, inner, bytes));
}

/// The blocks for the views of a pass, which have elements.
template <class Element, std::size_t N, std::size_t M = 0>
Blocks blocks_for(Pass pass, const Views<const Element, N>& inputs, const Views<Element, M>& outputs = {},
                  bool by_position = false) {
  Arrangement all;
  all.by_position = by_position;
  for (const auto& view : inputs) all.add(view);
  for (const auto& view : outputs) all.add(view);
  const auto& x = inputs[0];
  return blocks_for(pass, x.outer, x.channels, x.inner, all, Index(N * sizeof(Element)));
}

/// The inputs and outputs of a pass: dense views of one channel as one long plane, others as they are.
template <class Element, std::size_t N, std::size_t M>
EIGEN_DONT_INLINE auto as_planes_where_one(const Views<const Element, N>& inputs, const Views<Element, M>& outputs) {
  const auto is_one = [](const auto& v) { return is_one_plane(v); };
  const bool all_are =
      std::all_of(inputs.begin(), inputs.end(), is_one) && std::all_of(outputs.begin(), outputs.end(), is_one);
  const auto as_one = [&](const auto& v) { return all_are ? as_one_plane(v) : v; };
  return std::pair(each(inputs, as_one), each(outputs, as_one));
}

/// How a pass that writes meets memory.
struct Traffic {
  /// Whether outputs go past the caches.
  bool streaming;
  /// Whether chunks are taken from the last to the first: a pass that follows another then starts in what is cached.
  bool backwards;
  /// How inputs are prefetched, in the first chunks of a block.
  Prefetch ahead;
  Index chunks_ahead;
};

/// Whether outputs go past the caches. Not where an output is an input, whose lines are in the caches; and outputs are
/// streamed line by line together, so their lines begin together.
template <class Element, std::size_t N, std::size_t M>
bool streams(const Views<const Element, N>& inputs, const Views<Element, M>& outputs, bool share_lines) {
  const auto is_apart = [&](const auto& output) {
    return std::none_of(inputs.begin(), inputs.end(), [&](const auto& x) { return x.data == output.data; }) &&
           (output.data - outputs[0].data) * Index(sizeof(Element)) % line_bytes == 0 &&
           output.outer_stride == outputs[0].outer_stride && output.channel_stride == outputs[0].channel_stride;
  };
  return bytes_of(inputs) + bytes_of(outputs) > (share_lines ? streaming_bytes_in_parts : streaming_bytes()) &&
         std::all_of(outputs.begin(), outputs.end(), is_apart);
}

/// What makes constants, and with scaled(c, lanes) others that have room for channels of any size.
template <class Make>
concept HasScaledForm = requires(const Make& make) {
  make.scaled(Index(0), PartialPacket<double>{1});
};

/// These constants of channel c, in all lanes.
template <class Scalar, template <class> class Coefficients>
Coefficients<Packet<Scalar>> broadcast(const Coefficients<Channels>& values) {
  constexpr std::size_t members = sizeof(values) / sizeof(Channels);
  const auto in_double = std::bit_cast<std::array<Channels, members>>(values);
  std::array<Packet<Scalar>, members> result;
  for (std::size_t k = 0; k < members; ++k) {
    Scalar lanes[Channels::size];
    in_double[k].store(lanes);
    result[k] = Packet<Scalar>::broadcast(lanes[0]);
  }
  return std::bit_cast<Coefficients<Packet<Scalar>>>(result);
}

/// Writes channel c of some planes, all elements with the same constants.
template <class Constants, class Function, class Element, std::size_t N, std::size_t M>
[[gnu::cold]] EIGEN_DONT_INLINE void write_channel(const PlaneChunk& part, Index c, const Constants& constants,
                                                   const Function& function, const Views<const Element, N>& inputs,
                                                   const Views<Element, M>& outputs) {
  for (Index o = part.first; o < part.first + part.slices; ++o) {
    const auto here = [&](const auto& view) { return view.plane(o, c) + part.begin; };
    const auto in_plane = function_in_plane(function, o, part.begin);
    const auto with_constants = [&](Index i, const auto&... in) { return in_plane(i, constants, in...); };
    const RunWriter run(with_constants, each(outputs, here), each(inputs, here), {0, Cache::l1});
    run.store(part.end - part.begin);
  }
}

/// Writes a block channel by channel, those of extreme size by the form that has room for them: slow, and rare. The
/// others get the bits that they always have.
template <class Table, class Make, class Function, class Element, std::size_t N, std::size_t M>
[[gnu::cold]] EIGEN_DONT_INLINE void write_extremes(const Block& block, const Table& table, const Make& make,
                                                    const Function& function, const Views<const Element, N>& inputs,
                                                    const Views<Element, M>& outputs) {
  for (Index c = 0; c < block.channels; ++c) {
    const Index channel = block.first_channel + c, column = block.column(c);
    const auto write = [&](const auto& constants) {
      for (Index k = 0; k < block.chunks(); ++k) {
        write_channel(block.part(k), channel, constants, function, inputs, outputs);
      }
    };
    if (table.is_extreme(column)) {
      write(broadcast<statistics_t<Element>>(make.scaled(channel, PartialPacket<double>{1})));
    } else {
      write(table.broadcast(column));
    }
  }
}

/// Whether a channel has constants of a size with which its values cannot be computed in Scalar.
template <class Scalar, template <class> class Coefficients, class Make>
bool have_extremes(const Blocks& blocks, const Make& make) {
  if constexpr (HasScaledForm<Make> && std::same_as<Scalar, float>) {
    for (Index k = 0; k < blocks.count(); k += blocks.ranges()) {
      if (ColumnTable<Scalar, Coefficients>(blocks[k], make).has_extremes()) return true;
    }
  }
  return false;
}

/// Writes a block: outputs = function(constants, packets of the inputs...).
template <class Table, class Make, class Function, class Element, std::size_t N, std::size_t M>
EIGEN_DONT_INLINE void write_block(const Block& block, const Table& table, const Make& make, const Traffic& traffic,
                                   const Function& function, const Views<const Element, N>& inputs,
                                   const Views<Element, M>& outputs) {
  if constexpr (HasScaledForm<Make> && std::same_as<statistics_t<Element>, float>) {
    if (table.has_extremes()) return write_extremes(block, table, make, function, inputs, outputs);
  }
  const Index chunks = block.chunks();
  for (Index i = 0; i < chunks; ++i) {
    const Index chunk = traffic.backwards ? chunks - 1 - i : i;
    const Prefetch ahead{chunk < traffic.chunks_ahead ? traffic.ahead.elements : 0, traffic.ahead.into};
    block.visit([&](const auto& kind) {
      if (traffic.streaming) {
        kind.template write<true>(kind.chunk(chunk), ahead, table, function, inputs, outputs);
      } else {
        kind.template write<false>(kind.chunk(chunk), ahead, table, function, inputs, outputs);
      }
    });
  }
}

/// Whether a pass follows another, and starts in what that one left in the caches.
enum class Order { forwards, backwards };

/// How a pass that only writes goes about it.
struct WritePlan {
  Blocks blocks;
  Traffic traffic;
  Index bytes;
  /// Whether rows share lines that could be written once.
  bool may_write_lines_once;

  /// They go past the caches then.
  void write_lines_once() {
    blocks.write_lines_once();
    traffic.streaming = true;
  }
};

template <class Element, std::size_t N, std::size_t M>
EIGEN_DONT_INLINE WritePlan plan_writing(Order order, const Views<const Element, N>& inputs,
                                         const Views<Element, M>& outputs, bool by_position) {
  const Blocks blocks = blocks_for(Pass::writes, inputs, outputs, by_position);
  const Index bytes = bytes_of(inputs) + bytes_of(outputs);
  const Prefetch ahead{bytes > streaming_bytes() ? blocks.ahead(inputs[0]) : 0, Cache::l1};
  const bool streaming = streams(inputs, outputs, blocks.share_lines(outputs[0]));
  return {blocks,
          {streaming, order == Order::backwards, ahead, std::numeric_limits<Index>::max()},
          bytes,
          blocks.may_write_lines_once(outputs[0]) && streams(inputs, outputs, false)};
}

/// The pass that writes: outputs = function(constants, packets of the inputs...), where the constants of the channels
/// c, c + 1, ... are make(c, lanes). An output may be one of the inputs.
template <template <class> class Coefficients, class Make, class Function, class Element, std::size_t N, std::size_t M>
void write_all(const Device& device, Order order, const Make& make, const Function& function,
               const Views<const Element, N>& all_inputs, const Views<Element, M>& all_outputs) {
  if (all_inputs[0].size() == 0) return;
  const auto views = as_planes_where_one(all_inputs, all_outputs);
  const auto& inputs = views.first;
  const auto& outputs = views.second;
  WritePlan plan = plan_writing(order, inputs, outputs, ByPosition<Function>);
  if (goes_on(function) && plan.may_write_lines_once &&
      !have_extremes<statistics_t<Element>, Coefficients>(plan.blocks, make)) {
    plan.write_lines_once();
  }
  const Index count = plan.blocks.count(), ranges = plan.blocks.ranges();
  device.for_each_part(count, plan.bytes, [&](Index first, Index last) {
    const auto at = [&](Index k) { return plan.blocks[plan.traffic.backwards ? count - 1 - k : k]; };
    for (Index next; first < last; first = next) {
      next = std::min(last, first + ranges - Division(first, ranges).rest);
      const ColumnTable<statistics_t<Element>, Coefficients> of_channels(at(first), make);
      for (Index k = first; k < next; ++k) {
        write_block(at(k), of_channels, make, plan.traffic, function, inputs, outputs);
      }
    }
    if (plan.traffic.streaming) finish_streaming();
  });
}

/// The pass that reduces and the pass that writes fused, for blocks that hold all values of their channels:
/// reduce(block) leaves what make(c, lanes) makes the constants of, and the block is written while it is in cache.
template <template <class> class Coefficients, class Reduce, class Make, class Function, class Element, std::size_t N,
          std::size_t M>
void reduce_and_write(const Device& device, const Blocks& blocks, const Reduce& reduce, const Make& make,
                      const Function& function, const Views<const Element, N>& inputs,
                      const Views<Element, M>& outputs) {
  const Index bytes = bytes_of(inputs) + bytes_of(outputs);
  const bool streaming = streams(inputs, outputs, blocks.share_lines(outputs[0]));
  // The first chunks of the next block are asked for, as many as there is room for beside this one.
  const Index count = blocks.count(), read = bytes_of(inputs) / count;
  const Index room = bytes > streaming_bytes() ? std::clamp<Index>(overlap_bytes - read, 0, read) : 0;
  device.for_each_block(count, bytes, [&](Index k) {
    const Block block = blocks[k];
    reduce(block);
    const Index chunks_ahead = k + 1 < count ? block.chunks() * room / read : 0;
    const Traffic traffic{streaming, true, {blocks.stride(outputs[0]), Cache::l2}, chunks_ahead};
    const ColumnTable<statistics_t<Element>, Coefficients> of_channels(block, make);
    write_block(block, of_channels, make, traffic, function, inputs, outputs);
    if (streaming) finish_streaming();
  });
}

/// The pass that reduces: reduce(block, part) for every block. Where channels are cut into ranges, `part` is one of
/// `make_part()` for each range, and merge(part, weight of a channel's values in it) is called for them in order; else
/// it is `whole`.
template <class Part, class MakePart, class Reduce, class Merge, class Weights, class Element, std::size_t N>
void reduce_all(const Device& device, const Views<const Element, N>& inputs, const Weights& weights, Part& whole,
                const MakePart& make_part, const Reduce& reduce, const Merge& merge) {
  const Blocks blocks = blocks_for(Pass::reduces, inputs, Views<Element, 0>{}, Weights::is_weighted);
  const Index ranges = blocks.ranges();
  std::vector<Part> parts;
  for (Index range = 0; ranges > 1 && range < ranges; ++range) parts.push_back(make_part());
  device.for_each_block(blocks.count(), bytes_of(inputs), [&](Index k) {
    const Block block = blocks[k];
    reduce(block, ranges > 1 ? parts[std::size_t(block.range)] : whole);
  });
  const auto weight = [&](const PlaneChunk& chunk) { return weights.total(chunk); };
  for (std::size_t range = 0; range < parts.size(); ++range) merge(parts[range], blocks.total(Index(range), weight));
}

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
