#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <random>

namespace data {

/// Random numbers with the same bits from every compiler: the standard specifies its engines to the bit, but not its
/// distributions. One seed has as many independent streams as are wanted.
class Random {
 public:
  /// Starts a stream; another seed or another stream gives unrelated numbers.
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0);

  /// 64 random bits.
  std::uint64_t bits() { return engine_(); }

  /// A number in [low, high).
  double uniform(double low, double high);

  /// A number from a bell-shaped distribution (the sum of four uniform ones) of mean 0 and the given standard
  /// deviation, at most 3.5 standard deviations from 0.
  double bell(double deviation);

  /// A whole number in [0, count), each as likely as any other. Throws std::invalid_argument unless count >= 1.
  Eigen::Index below(Eigen::Index count);

 private:
  std::mt19937_64 engine_;
};

}  // namespace data
