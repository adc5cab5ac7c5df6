#include "experiments/process/interrupt.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

namespace interrupt_test {

TEST(Interrupt, TheFirstAsksAndTheSecondEnds) {
  EXPECT_FALSE(process::interrupted());
  process::catch_interrupt();
  EXPECT_FALSE(process::interrupted());
  EXPECT_EXIT(
      {
        std::raise(SIGINT);
        if (process::interrupted()) std::raise(SIGINT);
        std::exit(0);
      },
      testing::KilledBySignal(SIGINT), "");
  std::raise(SIGINT);
  EXPECT_TRUE(process::interrupted());
}

}  // namespace interrupt_test
