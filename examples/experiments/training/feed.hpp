#pragma once

#include <cstdint>
#include <vector>

#include "data/batches.hpp"
#include "data/digits.hpp"
#include "data/distortion.hpp"
#include "data/random.hpp"
#include "experiments/training/protocol.hpp"
#include "nn/loss.hpp"
#include "nn/matrix.hpp"

namespace training {

/// How many images a network is trained with.
Eigen::Index count_training_images(const Protocol& protocol, const data::Digits& digits);

/// Training batches as a network takes them. What is left of an epoch and no whole batch is passed over.
class Feed {
 public:
  Feed(const Protocol& protocol, const data::Digits& digits, std::uint64_t seed);

  /// The next batch's images; the second: `count` of them from the one at `first` on.
  const nn::Matrix<float>& next() { return next(0, batch_); }
  const nn::Matrix<float>& next(Eigen::Index first, Eigen::Index count);

  /// The labels that go with them.
  nn::Labels labels() const { return labels_; }

 private:
  const data::Digits& digits_;
  data::Input input_;
  data::Distortion distortion_;
  Eigen::Index batch_;
  data::Batches batches_;
  data::Random random_;
  std::vector<std::uint8_t> labels_;
  nn::Matrix<float> images_;
};

}  // namespace training
