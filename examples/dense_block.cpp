// A dense block: each layer normalizes all channels so far and adds some, in one buffer. Nothing is concatenated.
#include <unsupported/Eigen/CXX11/Tensor>

#include <batchnorm/batchnorm.hpp>
#include <cstring>
#include <iostream>

namespace bn = batchnorm;

using Tensor = Eigen::Tensor<float, 4, Eigen::RowMajor>;
using Layer = bn::BatchNorm<float, bn::channel_first, bn::relu>;
using Eigen::Index;

int main() {
  constexpr Index samples = 8, first = 16, growth = 8, layers = 4, size = 14;
  Tensor buffer(samples, first + layers * growth, size, size), z, dz;
  buffer.setRandom();
  Index copied = 0;
  bool same = true;
  for (Index channels = first; channels < first + layers * growth; channels += growth) {
    Layer norm({.channels = channels});
    const auto so_far = bn::channel_slice<bn::channel_first>(buffer, 0, channels);
    z = Tensor(samples, channels, size, size);
    norm.forward(so_far, z);

    // A 1x1 convolution makes the next channels, behind those there are.
    Eigen::Tensor<float, 2, Eigen::RowMajor> weights(growth, channels);
    weights.setRandom();
    const Eigen::array<Eigen::IndexPair<Index>, 1> over_channels{{{1, 1}}};
    buffer.slice(Eigen::array<Index, 4>{0, channels, 0, 0}, Eigen::array<Index, 4>{samples, growth, size, size}) =
        weights.contract(z, over_channels).shuffle(Eigen::array<int, 4>{1, 0, 2, 3});

    // What a concatenation would have been: a copy of the channels so far.
    const Tensor copy = buffer.slice(Eigen::array<Index, 4>{0, 0, 0, 0}, z.dimensions());
    Tensor expected;
    Layer(norm.options()).forward(copy, expected);
    same = same && std::memcmp(z.data(), expected.data(), std::size_t(z.size()) * sizeof(float)) == 0;
    copied += copy.size();
  }
  std::cout << "a buffer of " << buffer.size() << " values, no copies of " << copied << "; "
            << (same ? "the same bits" : "other bits") << "\n";
  return same ? 0 : 1;
}
