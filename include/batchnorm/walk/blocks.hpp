/// \file
/// Planes and rows seen alike: what a pass does with a block is compiled once so, and for each kind only what touches
/// elements.
#pragma once

#include <batchnorm/walk/planes.hpp>
#include <batchnorm/walk/rows.hpp>

#include <variant>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

/// One of two kinds.
template <class Planes, class Rows>
class EitherKind {
 public:
  explicit EitherKind(const Planes& planes) : kind_(planes) {}
  explicit EitherKind(const Rows& rows) : kind_(rows) {}

  /// body(what it is): std::visit, without an exception that cannot come.
  template <class Body>
  EIGEN_STRONG_INLINE auto visit(const Body& body) const {
    if (const auto* planes = std::get_if<Planes>(&kind_)) return body(*planes);
    return body(*std::get_if<Rows>(&kind_));
  }

 protected:
  std::variant<Planes, Rows> kind_;
};

/// A block, whose chunks go by their number.
class Block : public EitherKind<PlaneBlock, RowBlock>, public ColumnShape {
 public:
  template <class Kind>
  explicit Block(const Kind& block) : EitherKind(block), ColumnShape(block), range(block.range) {}

  /// Which of the ranges that the values of a channel are cut into.
  Index range;

  EIGEN_DONT_INLINE Index chunks() const {
    return visit([](const auto& block) { return block.chunks(); });
  }
  /// What a chunk consists of, as planes.
  EIGEN_DONT_INLINE PlaneChunk part(Index chunk) const {
    return visit([&](const auto& block) { return block.part(block.chunk(chunk)); });
  }

  /// Two sums per channel over a chunk: term(constants).add(lanes, s1, s2, addresses in the inputs...) adds what a
  /// packet contributes.
  template <class Table, class MakeTerm, class Element, std::size_t N>
  void reduce(Index chunk, const Table& table, const MakeTerm& term, const Views<const Element, N>& inputs,
              ChannelSums& sums) const {
    visit([&](const auto& block) { block.reduce(block.chunk(chunk), table, term, inputs, sums); });
  }
};

/// The blocks of a pass.
class Blocks : public EitherKind<PlaneBlocks, RowBlocks> {
 public:
  using EitherKind::EitherKind;

  EIGEN_DONT_INLINE Index count() const {
    return visit([](const auto& blocks) { return blocks.count(); });
  }
  Index ranges() const {
    return visit([](const auto& blocks) { return blocks.ranges(); });
  }
  EIGEN_DONT_INLINE Block operator[](Index k) const {
    return visit([&](const auto& blocks) { return Block(blocks[k]); });
  }

  /// Whether blocks hold all values of their channels, and may be written after they have been reduced.
  bool may_be_fused() const {
    return visit([](const auto& blocks) { return blocks.may_be_fused(); });
  }
  /// What `count` says of all chunks of a range.
  template <class Count>
  double total(Index range, const Count& count) const {
    return visit([&](const auto& blocks) { return blocks.total(range, count); });
  }

  /// Whether lines are written in parts.
  template <class Element>
  bool share_lines(const ChannelView<Element>& v) const {
    return visit([&](const auto& blocks) { return blocks.share_lines(v); });
  }
  /// Whether these are rows of which each line may be written once.
  template <class Element>
  bool may_write_lines_once(const ChannelView<Element>& v) const {
    const RowBlocks* const rows = std::get_if<RowBlocks>(&kind_);
    return rows != nullptr && rows->may_write_lines_once(v);
  }
  /// From now on each is. These are rows.
  void write_lines_once() { std::get_if<RowBlocks>(&kind_)->write_lines_once(); }

  /// How far behind an element those lie that a pass which only writes comes to some time later.
  template <class Element>
  Index ahead(const ChannelView<Element>& v) const {
    return visit([&](const auto& blocks) { return blocks.ahead(v); });
  }
  /// How far behind the elements of a block those of the next block lie.
  template <class Element>
  Index stride(const ChannelView<Element>& v) const {
    return visit([&](const auto& blocks) { return blocks.stride(v); });
  }
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
