#include "data/random.hpp"

#include <limits>
#include <stdexcept>

namespace data {
namespace {

// The finalizer of splitmix64: neighboring inputs give unrelated outputs.
std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::uint64_t seed, std::uint64_t stream) : engine_(mix(mix(seed) + stream)) {}

double Random::uniform(double low, double high) {
  return low + (high - low) * (static_cast<double>(bits() >> 11) * 0x1p-53);
}

double Random::bell(double deviation) {
  std::int64_t sum = -2 * 0xffff;  // of four 16-bit numbers, less its mean
  for (std::uint64_t rest = bits(), i = 0; i < 4; ++i, rest >>= 16) sum += static_cast<std::int64_t>(rest & 0xffff);
  constexpr double unit = 2.6428997921303014e-05;  // 1 / sqrt(4 (2^32 - 1) / 12)
  return deviation * (unit * static_cast<double>(sum));
}

Eigen::Index Random::below(Eigen::Index count) {
  if (count < 1) throw std::invalid_argument("data: Random::below(count): expected count >= 1");
  const auto n = static_cast<std::uint64_t>(count);
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t draw = bits();
  while (draw >= most - most % n) draw = bits();  // the last, incomplete round would favor small numbers
  return static_cast<Eigen::Index>(draw % n);
}

}  // namespace data
