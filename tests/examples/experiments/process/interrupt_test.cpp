#include "experiments/process/interrupt.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace {

TEST(Interrupt, TheFirstAsksAndTheSecondEnds) {
  EXPECT_FALSE(program::interrupted());
  program::catch_interrupt();
  EXPECT_FALSE(program::interrupted());
  EXPECT_EXIT(
      {
        std::raise(SIGINT);
        if (program::interrupted()) std::raise(SIGINT);
        std::exit(0);
      },
      testing::KilledBySignal(SIGINT), "");
  std::raise(SIGINT);
  EXPECT_TRUE(program::interrupted());
}

}  // namespace
