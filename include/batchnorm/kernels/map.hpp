/// \file
/// The one loop that writes: an output computed element by element from inputs of the same extents and constants of the
/// channel.
#pragma once

#include <batchnorm/core/parallel.hpp>
#include <batchnorm/kernels/coefficients.hpp>

namespace batchnorm::inline BATCHNORM_ABI::detail {

/// Writes a row of `length` elements: out[i] = function(i, in[i]...), packet by packet.
template <class Scalar, class Function, class... Pointers>
EIGEN_STRONG_INLINE void map_row(Index length, Scalar* out, const Function& function, const Pointers*... in) {
  constexpr Index W = Packet<Scalar>::size;
  if (length < W) {
    const PartialPacket<Scalar> lanes{length};
    lanes.store(out, function(Index(0), lanes.load(in, Packet<Scalar>::broadcast(0))...));
    return;
  }
  // The last packet may overlap the one before it. It is computed first, since `out` may be one of `in`.
  const Packet<Scalar> last = function(length - W, Packet<Scalar>::load(in + length - W)...);
  for (Index i = 0; i + W < length; i += W) function(i, Packet<Scalar>::load(in + i)...).store(out + i);
  last.store(out + length - W);
}

/// Writes channel c of planes: function(constants, in...) for every packet.
template <class Scalar, class Constants, class Function, class... Inputs>
void map_planes(Index c, const Constants& constants, const Function& function, const ChannelView<Scalar>& out,
                const Inputs&... in) {
  for (Index o = 0; o < out.outer; ++o) {
    map_row(
        out.inner, out.plane(o, c), [&](Index, const auto&... packets) { return function(constants, packets...); },
        in.plane(o, c)...);
  }
}

/// Writes all of `out`: function(constants, in...) for every packet, where coefficients(c), a Coefficients<Scalar>, are
/// the constants of channel c. An output may be one of the inputs.
template <template <class> class Coefficients, class Scalar, class Make, class Function, class... Inputs>
void map_channels(const Executor& executor, const Make& coefficients, const Function& function,
                  const ChannelView<Scalar>& out, const Inputs&... in) {
  if (out.outer > 1 && is_one_plane(out) && (is_one_plane(in) && ...)) {
    return map_channels<Coefficients>(executor, coefficients, function, as_one_plane(out), as_one_plane(in)...);
  }
  const Index bytes = bytes_of(out) * static_cast<Index>(1 + sizeof...(in));
  if (!out.has_rows() || !(in.has_rows() && ...)) {
    const Cut blocks = cut_channels(out.channels, out.count(), sizeof(Scalar));
    executor.for_each_block(blocks.parts(), bytes, [&](Index block) {
      for (Index c = blocks.begin(block); c < blocks.end(block); ++c)
        map_planes(c, spread(coefficients(c)), function, out, in...);
    });
    return;
  }
  const RowBlocks blocks(out.outer, out.channels, sizeof(Scalar));
  executor.for_each_block(blocks.blocks(), bytes, [&](Index block) {
    const Index first = blocks.first_channel(block), channels = blocks.channels(block);
    CoefficientTable<Scalar, Coefficients> table;
    table.fill(first, channels, coefficients);
    for (Index r = blocks.first_row(block); r < blocks.last_row(block); ++r) {
      map_row(
          channels, out.plane(r, first),
          [&](Index c, const auto&... packets) { return function(table.packet(c), packets...); },
          in.plane(r, first)...);
    }
  });
}

}  // namespace batchnorm::inline BATCHNORM_ABI::detail
