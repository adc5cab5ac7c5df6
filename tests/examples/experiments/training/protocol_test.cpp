#include "experiments/training/protocol.hpp"

#include <gtest/gtest.h>

namespace protocol_test {

TEST(Protocol, IsDescribedWithWhatItHas) {
  EXPECT_EQ(training::described({}), "50,000 steps of 60, learning rate 1");
  EXPECT_EQ(training::described({.steps = 3'000, .batch = 32, .learning_rate = {.initial = 0.1, .half_life = 1'500}}),
            "3,000 steps of 32, learning rate 0.1, halved every 1500 steps");
  EXPECT_EQ(training::described({.training_images = 5'000}), "50,000 steps of 60 of 5,000 images, learning rate 1");
}

}  // namespace protocol_test
