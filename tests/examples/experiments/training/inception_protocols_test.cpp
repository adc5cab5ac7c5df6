#include "experiments/training/inception_protocols.hpp"

#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace inception_protocols_test {

using training::InceptionProtocol, training::InceptionVariant, training::Protocol;

const InceptionVariant& variant_of(const InceptionProtocol& inception, const std::string& word) {
  for (const InceptionVariant& variant : inception.variants) {
    if (variant.word == word) return variant;
  }
  throw std::invalid_argument("no such network: " + word);
}

Protocol of(const InceptionProtocol& inception, const std::string& word) {
  return training::protocol_of(inception.protocol, variant_of(inception, word));
}

void expect_schedule(const Protocol& protocol, double initial, double half_life, std::int64_t steps,
                     std::int64_t every) {
  EXPECT_DOUBLE_EQ(protocol.learning_rate.initial, initial);
  EXPECT_DOUBLE_EQ(protocol.learning_rate.half_life, half_life);
  EXPECT_EQ(protocol.steps, steps);
  EXPECT_EQ(protocol.every, every);
}

TEST(InceptionProtocols, HaveNetworksOfDifferentNamesAndAReferenceAmongThem) {
  for (const auto* inception :
       {&training::short_inception, &training::long_inception, &training::distorted_inception}) {
    std::set<std::string> words, names;
    for (const InceptionVariant& variant : inception->variants) {
      words.insert(variant.word);
      names.insert(variant.name);
    }
    EXPECT_EQ(words.size(), inception->variants.size());
    EXPECT_EQ(names.size(), inception->variants.size());
    EXPECT_FALSE(variant_of(*inception, "inception").unit.batch_norm);
    EXPECT_EQ(of(*inception, "inception").steps, inception->protocol.steps);
    EXPECT_EQ(inception->protocol.batch, 32);
    EXPECT_EQ(inception->protocol.input, data::Input::halved);
  }
}

TEST(InceptionProtocols, ShortIsTheSameForAllButTheRate) {
  const auto& inception = training::short_inception;
  expect_schedule(of(inception, "inception"), 0.1, 1'000, 3'000, 100);
  expect_schedule(of(inception, "x30"), 3, 1'000, 3'000, 100);
  EXPECT_EQ(inception.protocol.distortion, data::Distortion{});
  EXPECT_EQ(inception.protocol.test_distortion, data::Distortion{});
  EXPECT_EQ(inception.protocol.weight_decay, 0);
  EXPECT_EQ(inception.seeds, (std::vector<std::uint64_t>{0, 1, 2}));
}

TEST(InceptionProtocols, LongDecaysFasterWithBatchNormAndLessWeight) {
  const auto& inception = training::long_inception;
  expect_schedule(of(inception, "inception"), 0.2, 6'000, 24'000, 200);
  expect_schedule(of(inception, "baseline"), 0.2, 6'000, 12'000, 200);
  expect_schedule(of(inception, "x5"), 1, 6'000 / 9.0, 3'000, 100);
  expect_schedule(of(inception, "x15"), 3, 1'000, 4'500, 100);
  EXPECT_EQ(of(inception, "inception").weight_decay, 0);
  EXPECT_EQ(of(inception, "inception-l2").weight_decay, 3e-4);
  EXPECT_DOUBLE_EQ(of(inception, "x5-l2").weight_decay, 6e-5);
  EXPECT_EQ(inception.protocol.distortion, data::Distortion{});
  EXPECT_EQ(inception.seeds, (std::vector<std::uint64_t>{0}));
}

TEST(InceptionProtocols, DistortedHasTenTimesTheRateAndAThirdOfTheHalfLife) {
  const auto& inception = training::distorted_inception;
  expect_schedule(of(inception, "inception"), 0.1, 4'000, 16'000, 200);
  expect_schedule(of(inception, "inception-x2"), 0.2, 4'000, 16'000, 200);
  expect_schedule(of(inception, "baseline"), 0.1, 4'000, 8'000, 200);
  expect_schedule(of(inception, "x10"), 1, 4'000 / 3.0, 6'000, 100);
  expect_schedule(of(inception, "x10-sigmoid"), 1, 4'000 / 3.0, 6'000, 100);
  expect_schedule(of(inception, "sigmoid"), 0.1, 4'000, 6'000, 200);
  for (const char* word : {"inception", "inception-x2", "sigmoid"})
    EXPECT_FALSE(variant_of(inception, word).unit.batch_norm) << word;
  for (const char* word : {"baseline", "x10", "x10-sigmoid"})
    EXPECT_TRUE(variant_of(inception, word).unit.batch_norm) << word;
  EXPECT_EQ(inception.protocol.weight_decay, 0);
  EXPECT_EQ(inception.seeds, (std::vector<std::uint64_t>{0, 1, 2}));
}

TEST(InceptionProtocols, DistortedTrainsAndTestsWithTheSameDistortions) {
  const Protocol& protocol = training::distorted_inception.protocol;
  EXPECT_EQ(protocol.test_distortion, protocol.distortion);
  EXPECT_DOUBLE_EQ(protocol.distortion.shift, 2.1);
  EXPECT_NEAR(protocol.distortion.rotation, 20.0535, 1e-4);  // 0.35 rad
  EXPECT_EQ(protocol.distortion.scale, 0);
  EXPECT_EQ(protocol.distortion.stretch, 0.25);
  EXPECT_EQ(protocol.distortion.shear, 0.3);
  EXPECT_EQ(protocol.distortion.contrast, 0.5);
  EXPECT_EQ(protocol.distortion.noise, 0.15);
  EXPECT_EQ(protocol.training_images, 0);
}

}  // namespace inception_protocols_test
