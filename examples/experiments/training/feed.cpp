#include "experiments/training/feed.hpp"

namespace training {

Eigen::Index count_training_images(const Protocol& protocol, const data::Digits& digits) {
  return protocol.training_images > 0 ? protocol.training_images : digits.count();
}

Feed::Feed(const Protocol& protocol, const data::Digits& digits, std::uint64_t seed)
    : digits_(digits),
      input_(protocol.input),
      distortion_(protocol.distortion),
      batch_(protocol.batch),
      batches_(count_training_images(protocol, digits), protocol.batch, seed, protocol.order),
      random_(seed, 1) {}

const nn::Matrix<float>& Feed::next(Eigen::Index first, Eigen::Index count) {
  auto indices = batches_.next();
  if (std::ssize(indices) < batch_) indices = batches_.next();
  indices = indices.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  labels_.clear();
  for (const Eigen::Index index : indices) labels_.push_back(digits_.labels[static_cast<std::size_t>(index)]);
  images_.resize(count, data::input_pixels(input_));
  data::to_float(digits_, indices, input_, distortion_, random_, images_);
  return images_;
}

}  // namespace training
