#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/training/protocol.hpp"
#include "nn/image_stack.hpp"

namespace training {

/// A network of section 4.2.2, how it is trained, and what the paper says of it. Numbers are in units of Inception's.
struct InceptionVariant {
  std::string word, name;
  nn::Unit unit;
  double learning_rate = 1;
  std::string paper_steps = {}, paper_accuracy = {};
  double steps = 1, half_life = 1;
  double weight_decay = 1;
};

/// A way to train and compare those networks: what the program has for defaults.
struct InceptionProtocol {
  Protocol protocol;  ///< Inception's
  std::vector<std::uint64_t> seeds;
  std::vector<InceptionVariant> variants;
  std::string remark;  ///< what is to be said of the ratios of steps
};

/// All for as many steps and with the same decay of the learning rate.
extern const InceptionProtocol short_inception;

/// Each as long as it takes, and with the paper's changes for BN-x5: a decay six to nine times faster, a fifth of the
/// weight decay. What is called L2 has weight decay: the paper's Inception was regularized.
extern const InceptionProtocol long_inception;

/// On images that never come twice, so that nothing is learned by heart, and the one that optimizes better ends higher.
/// The test images are distorted as much.
extern const InceptionProtocol distorted_inception;

/// How a network is trained where Inception is trained like this. One whose learning rate falls faster is tested twice
/// as often.
Protocol protocol_of(const Protocol& inception, const InceptionVariant& variant);

}  // namespace training
