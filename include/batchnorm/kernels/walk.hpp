/// \file
/// Walking through memory: which kind of blocks suits some views, and the passes over them that all kernels are made
/// of: one that reduces channels, one that writes, and both fused.
#pragma once

#include <batchnorm/core/parallel.hpp>
#include <batchnorm/kernels/planes.hpp>
#include <batchnorm/kernels/rows.hpp>

#include <variant>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// Inputs and outputs of more than this go past the caches. Twice an L2 of 2 MiB: from there on a pass and the reading
/// of its output by the next one, together, are faster so.
inline constexpr Index streaming_bytes = Index(4) << 20;
/// How far ahead of its use memory is asked for.
inline constexpr Index prefetch_bytes = Index(16) << 10;
/// What a block and the next one may take of L2 together for the next one to be brought in while this one is written.
inline constexpr Index overlap_bytes = Index(1600) << 10;

using Blocks = std::variant<PlaneBlocks, RowBlocks>;

/// The blocks for views of the same extents, of which the first `inputs` are read.
template <class First, class... Others>
Blocks blocks_for(Index inputs, const First& x, const Others&... others) {
  const Index bytes = inputs * static_cast<Index>(sizeof(*x.data));
  const auto all = [&](const auto& property) { return property(x) && (property(others) && ...); };
  const bool dense = all([](const auto& v) { return v.outer == 1 || v.outer_stride == v.channels * v.inner; });
  const bool side_by_side = all([](const auto& v) { return v.channel_stride == v.inner; });
  constexpr Index short_plane = 512, enough_rows = 16;
  const bool short_planes = x.inner < short_plane && x.outer >= enough_rows;
  if (side_by_side && (x.inner == 1 || short_planes)) {
    return RowBlocks(x.outer, x.channels, x.inner, dense, bytes);
  }
  return PlaneBlocks(x.outer, x.channels, x.inner, bytes);
}

/// How a pass that writes meets memory.
struct Traffic {
  /// Whether outputs go past the caches.
  bool streaming;
  /// Whether chunks are taken from the last to the first: a pass that follows another then starts in what is cached.
  bool backwards;
  /// The elements that inputs are asked for ahead of their use, in the first chunks of a block.
  Index ahead = 0, chunks_ahead = 0;
};

template <class Element, std::size_t M, class... Views>
bool streams(const std::array<ChannelView<Element>, M>& outputs, const Views&... inputs) {
  Index bytes = (bytes_of(inputs) + ...);
  bool apart = true;
  for (const auto& output : outputs) {
    bytes += bytes_of(output);
    // An output that is an input has its lines in the caches; outputs are streamed line by line together.
    apart = apart && ((output.data != inputs.data) && ...);
    apart = apart && (output.data - outputs[0].data) * Index(sizeof(Element)) % line_bytes == 0 &&
            output.outer_stride == outputs[0].outer_stride && output.channel_stride == outputs[0].channel_stride;
  }
  return bytes > streaming_bytes && apart;
}

/// Writes a block: outputs = function(constants, packets of the inputs...).
template <class B, class Table, class Function, class Element, std::size_t M, class... Views>
void write_block(const B& block, const Table& table, const Traffic& traffic, const Function& function,
                 const std::array<ChannelView<Element>, M>& outputs, const Views&... inputs) {
  const Index chunks = block.chunks();
  for (Index k = 0; k < chunks; ++k) {
    const Index chunk = traffic.backwards ? chunks - 1 - k : k;
    const Index ahead = chunk < traffic.chunks_ahead ? traffic.ahead : 0;
    if (traffic.streaming) {
      block.template map<true>(block.chunk(chunk), ahead, table, function, outputs, inputs...);
    } else {
      block.template map<false>(block.chunk(chunk), ahead, table, function, outputs, inputs...);
    }
  }
  if (traffic.streaming) finish_streaming();
}

/// Whether a pass that follows another starts in what that one left in the caches.
enum class Order { forwards, backwards };

/// The pass that writes: outputs = function(constants, packets of the inputs...), where the constants of the channels
/// c, c + 1, ... are make(c, lanes). An output may be one of the inputs.
template <template <class> class Coefficients, class Make, class Function, class Element, std::size_t M, class... Views>
void write_all(const Executor& executor, Order order, const Make& make, const Function& function,
               const std::array<ChannelView<Element>, M>& outputs, const Views&... inputs) {
  const auto views_of = [&](const auto&... output) { return blocks_for(sizeof...(inputs), inputs..., output...); };
  const Blocks kind = std::apply(views_of, outputs);
  const bool streaming = streams(outputs, inputs...);
  const Index bytes = (bytes_of(inputs) + ...) + Index(M) * bytes_of(outputs[0]);
  const Index ahead = bytes > streaming_bytes ? prefetch_bytes / Index(sizeof(Element)) : 0;
  std::visit(
      [&](const auto& blocks) {
        executor.for_each_block(blocks.count(), bytes, [&](Index k) {
          const bool backwards = order == Order::backwards;
          const auto block = blocks[backwards ? blocks.count() - 1 - k : k];
          const ColumnTable<statistics_t<Element>, Coefficients> table(block, make);
          write_block(block, table, {streaming, backwards, ahead, block.chunks()}, function, outputs, inputs...);
        });
      },
      kind);
}

/// The pass that reduces and the pass that writes fused, for blocks that hold all values of their channels:
/// reduce(block) leaves what make(c, lanes) makes the constants of, and the block is written while it is in cache.
template <template <class> class Coefficients, class AllBlocks, class Reduce, class Make, class Function, class Element,
          std::size_t M, class... Views>
void reduce_and_write(const Executor& executor, const AllBlocks& blocks, const Reduce& reduce, const Make& make,
                      const Function& function, const std::array<ChannelView<Element>, M>& outputs,
                      const Views&... inputs) {
  const bool streaming = streams(outputs, inputs...);
  const Index read = (bytes_of(inputs) + ...), bytes = read + Index(M) * bytes_of(outputs[0]);
  // The first chunks of the next block, as many as there is room for beside this one.
  const Index block = read / blocks.count(), room = bytes > streaming_bytes ? overlap_bytes - block : 0;
  executor.for_each_block(blocks.count(), bytes, [&](Index k) {
    const auto here = blocks[k];
    reduce(here);
    const ColumnTable<statistics_t<Element>, Coefficients> table(here, make);
    const Index chunks = k + 1 < blocks.count() ? std::clamp<Index>(here.chunks() * room / block, 0, here.chunks()) : 0;
    write_block(here, table, {streaming, true, blocks.stride(outputs[0]), chunks}, function, outputs, inputs...);
  });
}

/// Whether blocks hold all values of their channels.
inline bool hold_whole_channels(const Blocks& kind) {
  return std::visit([](const auto& blocks) { return blocks.ranges() == 1; }, kind);
}

/// Calls body on the views; dense views of one channel are handed over as one long plane.
template <class Body, class... Views>
decltype(auto) as_planes_where_one(const Body& body, const Views&... views) {
  const bool one_plane = (is_one_plane(views) && ...);
  return one_plane ? body(as_one_plane(views)...) : body(views...);
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
