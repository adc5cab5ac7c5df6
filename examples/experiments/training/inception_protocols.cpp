#include "experiments/training/inception_protocols.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace training {
namespace {

using Activation = nn::Unit::Activation;

constexpr nn::Unit plain = {false, Activation::relu}, normalized = {true, Activation::relu},
                   normalized_sigmoid = {true, Activation::sigmoid}, plain_sigmoid = {false, Activation::sigmoid};

/// What all have in common.
const Protocol halved_digits = {.steps = 3'000,
                                .batch = 32,
                                .learning_rate = {.initial = 0.1, .half_life = 1'000},
                                .input = data::Input::halved,
                                .every = 100,
                                .probe = 1,
                                .population_batches = 100};

Protocol until_no_better() {
  Protocol protocol = halved_digits;
  protocol.steps = 24'000;
  protocol.learning_rate = {.initial = 0.2, .half_life = 6'000};
  protocol.weight_decay = 3e-4;
  protocol.every = 200;
  return protocol;
}

Protocol never_twice() {
  Protocol protocol = halved_digits;
  protocol.steps = 16'000;
  protocol.learning_rate.half_life = 4'000;
  protocol.every = 200;
  constexpr double half_width = data::image_columns / 2.0;
  protocol.distortion = {.shift = 0.15 * half_width,
                         .rotation = 0.35 * 180 / std::numbers::pi,
                         .stretch = 0.25,
                         .shear = 0.3,
                         .contrast = 0.5,
                         .noise = 0.15};
  protocol.test_distortion = protocol.distortion;
  return protocol;
}

}  // namespace

const InceptionProtocol short_inception = {
    .protocol = halved_digits,
    .seeds = {0, 1, 2},
    .variants = {{"inception", "Inception", plain, 1, "31.0M", "72.2"},
                 {"baseline", "BN-Baseline", normalized, 1, "13.3M", "72.7"},
                 {"x5", "BN-x5", normalized, 5, "2.1M", "73.0"},
                 {"x30", "BN-x30", normalized, 30, "2.7M", "74.8"},
                 {"x5-sigmoid", "BN-x5-Sigmoid", normalized_sigmoid, 5, "-", "69.8"},
                 {"sigmoid", "Sigmoid without BN", plain_sigmoid, 1, "-", "chance"}},
    .remark =
        "The paper's ratios are up to 14: its Inception needs millions of steps, this one\n"
        "is small enough to train tolerably without batch normalization, and is cut short.\n"};

const InceptionProtocol long_inception = {
    .protocol = until_no_better(),
    .seeds = {0},
    .variants = {{"inception", "Inception", plain, 1, "31.0M", "72.2", 1, 1, 0},
                 {"inception-l2", "Inception-L2", plain, 1, "31.0M", "72.2", 1, 1, 1},
                 {"baseline", "BN-Baseline", normalized, 1, "13.3M", "72.7", 0.5, 1, 0},
                 {"x5", "BN-x5", normalized, 5, "2.1M", "73.0", 1 / 8.0, 1 / 9.0, 0},
                 {"x5-l2", "BN-x5-L2/5", normalized, 5, "2.1M", "73.0", 1 / 8.0, 1 / 9.0, 1 / 5.0},
                 {"x15", "BN-x15", normalized, 15, "-", "-", 3 / 16.0, 1 / 6.0, 0},
                 {"x5-sigmoid", "BN-x5-Sigmoid", normalized_sigmoid, 5, "-", "69.8", 1 / 6.0, 1 / 9.0, 0}},
    .remark =
        "The paper's ratios are up to 14: this Inception, too, is trained until it gets no\n"
        "better, but is small enough to do so tolerably without batch normalization.\n"};

const InceptionProtocol distorted_inception = {
    .protocol = never_twice(),
    .seeds = {0, 1, 2},
    .variants = {{"inception", "Inception", plain, 1, "31.0M", "72.2"},
                 {"inception-x2", "Inception-x2", plain, 2, "-", "-"},
                 {"baseline", "BN-Baseline", normalized, 1, "13.3M", "72.7", 1 / 2.0},
                 {"x10", "BN-x10", normalized, 10, "-", "-", 3 / 8.0, 1 / 3.0},
                 {"x10-sigmoid", "BN-x10-Sigmoid", normalized_sigmoid, 10, "-", "-", 3 / 8.0, 1 / 3.0},
                 {"sigmoid", "Sigmoid without BN", plain_sigmoid, 1, "-", "chance", 3 / 8.0}},
    .remark =
        "The paper's ratios are up to 14, for BN-x5. Here no image comes twice, so that no\n"
        "network can learn its images by heart: see how high each comes, below.\n"};

Protocol protocol_of(const Protocol& inception, const InceptionVariant& variant) {
  Protocol protocol = inception;
  const auto part_of = [](double part, std::int64_t steps) {
    return std::max<std::int64_t>(1, std::lround(part * static_cast<double>(steps)));
  };
  protocol.steps = part_of(variant.steps, protocol.steps);
  protocol.every = part_of(variant.half_life < 1 ? 0.5 : 1, protocol.every);
  protocol.learning_rate.initial *= variant.learning_rate;
  protocol.learning_rate.half_life *= variant.half_life;
  protocol.weight_decay *= variant.weight_decay;
  return protocol;
}

}  // namespace training
